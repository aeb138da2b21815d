package s3

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/httpx"
)

// wrap says what can be done about an error of the SDK.
func wrap(op, key string, err error) *migrator.Error {
	e := &migrator.Error{Op: op, Object: key, Err: err}
	if untrusted := httpx.Untrusted(err); untrusted != nil {
		e.Class, e.Reason, e.Err = migrator.Fatal, "certificate", untrusted
		return e
	}
	code := 0
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) && resp.Response != nil {
		code = resp.HTTPStatusCode()
		if s, err := strconv.Atoi(resp.Response.Header.Get("Retry-After")); err == nil {
			e.RetryAfter = time.Duration(s) * time.Second
		}
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		e.Reason = api.ErrorCode()
	}
	var signing *smithy.OperationError
	if code == 0 && e.Reason == "" && !errors.As(err, &signing) {
		return e
	}
	e.Class = classify(code, e.Reason)
	if e.Reason == "" && code > 0 {
		e.Reason = "http" + strconv.Itoa(code)
	}
	switch {
	case e.Class == migrator.Fatal:
		e.Err = fmt.Errorf("%w; check the bucket's name, the credentials and their permission to list, read and write",
			short(code, api, err))
	case api != nil:
		e.Err = short(code, api, err)
	}
	return e
}

// short leaves out the SDK's chain of operations and request ids.
func short(code int, api smithy.APIError, err error) error {
	if api == nil {
		return err
	}
	return fmt.Errorf("the store answered %d %s: %s", code, api.ErrorCode(), api.ErrorMessage())
}

func classify(code int, reason string) migrator.Class {
	switch reason {
	case "NoSuchBucket", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
		"AccountProblem", "AllAccessDisabled", "InvalidBucketName", "PermanentRedirect", "AuthorizationHeaderMalformed",
		"Forbidden":
		return migrator.Fatal
	case "SlowDown", "TooManyRequests", "RequestLimitExceeded", "Throttling", "ThrottlingException":
		return migrator.RateLimited
	case "BadDigest", "InvalidDigest":
		return migrator.BadDigest
	case "RequestTimeout", "IncompleteBody", "OperationAborted", "ConditionalRequestConflict", "InternalError",
		"RequestTimeTooSkewed":
		return migrator.Transient
	case "PreconditionFailed":
		return migrator.Exists
	}
	switch {
	case code == http.StatusNotFound:
		return migrator.Missing
	case code == http.StatusPreconditionFailed:
		return migrator.Exists
	case code == http.StatusForbidden || code == http.StatusUnauthorized || code == http.StatusMovedPermanently:
		return migrator.Fatal
	case code == http.StatusTooManyRequests:
		return migrator.RateLimited
	case code >= 400 && code < 500, code == http.StatusNotImplemented:
		return migrator.Refused
	}
	return migrator.Transient
}
