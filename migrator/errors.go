package migrator

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Class says what can be done about an error.
type Class uint8

// The classes. The zero value is retried with backoff.
const (
	Transient   Class = iota // network faults, 5xx, truncated bodies: try again
	RateLimited              // slow down, then try again
	DailyLimit               // pause until the quota is renewed
	BadDigest                // the bytes aren't those that were listed: look at the source again
	PageGone                 // the page token is no longer known: list the folder from its start
	Missing                  // no such file, folder, object or upload
	Exists                   // there is an object under the key already
	Refused                  // this item can't be had, now or later: give it up and go on
	Fatal                    // nothing can be had: credentials, bucket, permission. Stop and say so
)

// Error is an error of a Source or a Sink.
type Error struct {
	Op         string // "list", "download", "put", ...
	Object     string // id or key
	Reason     string // short and stable, from the service where it gave one: "exportSizeLimitExceeded"
	Class      Class
	RetryAfter time.Duration // how long the service asked to wait; 0 when it didn't say
	Err        error
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Object, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ofQueue marks an error of the queue in the midst of an item: the item isn't to blame, and no other would fare better.
func ofQueue(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Object: key, Reason: "queue", Class: Fatal, Err: err}
}

func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return nil
}

// ClassOf returns the class of err: Transient when it carries none.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Transient
}

// ReasonOf returns the reason in err, or a general one.
func ReasonOf(err error) string {
	var e *Error
	switch {
	case errors.As(err, &e) && e.Reason != "":
		return e.Reason
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "error"
}
