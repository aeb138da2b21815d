package fakedrive

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// apiError is an error reply of Google's: a status, and one reason with its place.
type apiError struct {
	status       int
	reason       string
	message      string
	domain       string // default: global
	location     string
	locationType string
	detail       string // for a person who debugs; not in the body
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.reason, e.message) }

// statusNames are the canonical codes that Google adds to some statuses.
var statusNames = map[int]string{http.StatusUnauthorized: "UNAUTHENTICATED"}

// body is the error as Google's JSON APIs write it: the newer form around the legacy errors array, which is what
// clients read reasons from.
func (e *apiError) body() []byte {
	type item struct {
		Message      string `json:"message"`
		Domain       string `json:"domain"`
		Reason       string `json:"reason"`
		Location     string `json:"location,omitempty"`
		LocationType string `json:"locationType,omitempty"`
	}
	domain := e.domain
	if domain == "" {
		domain = "global"
	}
	var v struct {
		Error struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
			Errors  []item `json:"errors"`
			Status  string `json:"status,omitempty"`
		} `json:"error"`
	}
	v.Error.Code = e.status
	v.Error.Message = e.message
	v.Error.Errors = []item{{e.message, domain, e.reason, e.location, e.locationType}}
	v.Error.Status = statusNames[e.status]
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return []byte(`{"error":{}}`) // strings and numbers always encode
	}
	return append(b, '\n')
}

func errParam(name, reason, message string) *apiError {
	return &apiError{status: http.StatusBadRequest, reason: reason, message: message, location: name,
		locationType: "parameter"}
}

// errInvalid is Drive's answer to a parameter that it cannot read; why is for the log and a header.
func errInvalid(name string, why error) *apiError {
	e := errParam(name, "invalid", "Invalid Value")
	if why != nil {
		e.detail = why.Error()
	}
	return e
}

func errNotFound(id string) *apiError {
	return &apiError{status: http.StatusNotFound, reason: "notFound", message: "File not found: " + id + ".",
		location: "fileId", locationType: "parameter"}
}

func errBadRequest(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, reason: "badRequest", message: message}
}

func errForbidden(reason, message string) *apiError {
	return &apiError{status: http.StatusForbidden, reason: reason, message: message}
}

func errUnauthorized() *apiError {
	return &apiError{status: http.StatusUnauthorized, reason: "authError", message: "Invalid Credentials",
		location: "Authorization", locationType: "header"}
}

// usageReasons are the reasons of the domain usageLimits with their default status and message.
var usageReasons = map[string]struct {
	status  int
	message string
}{
	"rateLimitExceeded":     {http.StatusForbidden, "Rate Limit Exceeded"},
	"userRateLimitExceeded": {http.StatusForbidden, "User Rate Limit Exceeded"},
	"sharingRateLimitExceeded": {http.StatusForbidden,
		"Rate limit exceeded. User message: \"Sorry, you have exceeded your sharing quota.\""},
	"dailyLimitExceeded": {http.StatusForbidden, "Daily Limit Exceeded"},
	"accessNotConfigured": {http.StatusForbidden,
		"Google Drive API has not been used in this project before or it is disabled."},
}

// globalReasons are the other reasons that a fault plan may name.
var globalReasons = map[string]struct {
	status  int
	message string
}{
	"authError":                   {http.StatusUnauthorized, "Invalid Credentials"},
	"required":                    {http.StatusUnauthorized, "Login Required"},
	"insufficientFilePermissions": {http.StatusForbidden, "The user does not have sufficient permissions for this file."},
	"appNotAuthorizedToFile":      {http.StatusForbidden, "The user has not granted the app access to the file."},
	"domainPolicy":                {http.StatusForbidden, "The domain administrators have disabled Drive apps."},
	"downloadQuotaExceeded":       {http.StatusForbidden, "The download quota for this file has been exceeded."},
	"exportSizeLimitExceeded":     {http.StatusForbidden, "This file is too large to be exported."},
	"cannotDownloadAbusiveFile": {http.StatusForbidden,
		"This file has been identified as malware or spam and cannot be downloaded."},
	"cannotDownloadFile": {http.StatusForbidden, "This file cannot be downloaded by the user."},
	"fileNotDownloadable": {http.StatusForbidden,
		"Only files with binary content can be directly downloaded. Use Export with Docs Editors files."},
	"storageQuotaExceeded":       {http.StatusForbidden, "The user's Drive storage quota has been exceeded."},
	"quotaExceeded":              {http.StatusForbidden, "The user's Drive storage quota has been exceeded."},
	"teamDriveFileLimitExceeded": {http.StatusForbidden, "The file limit for this shared drive has been exceeded."},
	"notFound":                   {http.StatusNotFound, "File not found."},
	"badRequest":                 {http.StatusBadRequest, "Bad Request"},
	"invalidSharingRequest": {http.StatusBadRequest,
		"Bad Request. User message: \"Sorry, the items were unshareable.\""},
	"backendError":       {http.StatusInternalServerError, "Backend Error"},
	"internalError":      {http.StatusInternalServerError, "Internal Error"},
	"serviceUnavailable": {http.StatusServiceUnavailable, "The service is currently unavailable."},
	"transientError":     {http.StatusServiceUnavailable, "Transient failure."},
}

// errReason is the error of a known reason as Drive gives it.
func errReason(reason string) *apiError {
	if u, ok := usageReasons[reason]; ok {
		return &apiError{status: u.status, reason: reason, message: u.message, domain: "usageLimits"}
	}
	g := globalReasons[reason]
	return &apiError{status: g.status, reason: reason, message: g.message}
}

// reasonStatuses tells fault plans which reasons there are.
func reasonStatuses() map[string]int {
	m := map[string]int{}
	for r, u := range usageReasons {
		m[r] = u.status
	}
	for r, g := range globalReasons {
		m[r] = g.status
	}
	return m
}

// plannedError writes an error of a fault plan the way Drive would.
func plannedError(p *fault.ErrorReply) (contentType string, body []byte) {
	why := p.Reason
	if why == "" {
		why = defaultReason(p.Status)
	}
	e := errReason(why)
	e.status = p.Status
	if p.Message != "" {
		e.message = p.Message
	}
	if e.message == "" {
		e.message = http.StatusText(p.Status)
	}
	return jsonType, e.body()
}

func defaultReason(status int) string {
	switch {
	case status == http.StatusTooManyRequests:
		return "rateLimitExceeded"
	case status == http.StatusUnauthorized:
		return "authError"
	case status == http.StatusNotFound:
		return "notFound"
	case status >= 500:
		return "backendError"
	}
	return "badRequest"
}
