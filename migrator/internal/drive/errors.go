package drive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/httpx"
)

func status(err error) int {
	if g, ok := errors.AsType[*googleapi.Error](err); ok {
		return g.Code
	}
	return 0
}

func reason(err error) string {
	var g *googleapi.Error
	if errors.As(err, &g) && len(g.Errors) > 0 {
		return g.Errors[0].Reason
	}
	return ""
}

// wrap says what can be done about an error of the SDK.
func wrap(op, object string, err error) *migrator.Error {
	e := &migrator.Error{Op: op, Object: object, Err: err}
	if untrusted := httpx.Untrusted(err); untrusted != nil {
		e.Class, e.Reason, e.Err = migrator.Fatal, "certificate", untrusted
		return e
	}
	var token *oauth2.RetrieveError
	if errors.As(err, &token) && token.Response != nil && token.Response.StatusCode < 500 {
		e.Class, e.Reason = migrator.Fatal, "credentials"
		e.Err = fmt.Errorf("credentials refused by Google: %w", err)
		return e
	}
	var g *googleapi.Error
	if !errors.As(err, &g) {
		if errors.Is(err, context.Canceled) {
			e.Err = err
		}
		return e // the network, or a reply that breaks off: again
	}
	e.Reason = reason(err)
	if e.Reason == "" {
		e.Reason = "http" + strconv.Itoa(g.Code)
	}
	e.RetryAfter = retryAfter(g.Header, time.Now())
	e.Err = fmt.Errorf("answer of Drive %d %s: %s", g.Code, e.Reason, message(g))
	e.Class = classify(g.Code, e.Reason)
	if e.Class == migrator.Fatal {
		e.Err = fmt.Errorf("%w; check the credentials and that they may read this Drive", e.Err)
	}
	return e
}

// message is the service's own words, in one line of bounded length.
func message(g *googleapi.Error) string {
	m := g.Message
	if m == "" {
		m = g.Body
	}
	m = strings.Join(strings.Fields(m), " ")
	if len(m) > 200 {
		m = strings.ToValidUTF8(m[:200], "") + "..."
	}
	if m == "" {
		m = http.StatusText(g.Code)
	}
	return m
}

func classify(code int, reason string) migrator.Class {
	switch reason {
	case "rateLimitExceeded", "userRateLimitExceeded", "sharingRateLimitExceeded":
		return migrator.RateLimited
	case "dailyLimitExceeded", "dailyLimitExceededUnreg", "quotaExceeded":
		return migrator.DailyLimit
	case "authError", "accessNotConfigured", "insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT":
		return migrator.Fatal
	}
	switch {
	case code == http.StatusUnauthorized:
		return migrator.Fatal
	case code == http.StatusNotFound:
		return migrator.Missing
	case code == http.StatusTooManyRequests:
		return migrator.RateLimited
	case code == http.StatusRequestedRangeNotSatisfiable:
		return migrator.BadDigest // shorter than it was
	case code == http.StatusRequestTimeout || code >= 500:
		return migrator.Transient
	}
	return migrator.Refused
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.Atoi(v); err == nil {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
