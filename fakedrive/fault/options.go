package fault

import (
	"log/slog"
	"time"
)

// Options say what a fake is, so that holds and plans that make no sense to it are refused.
type Options struct {
	// Points are the places where this fake can hold a transfer. A hold elsewhere is refused.
	Points []Point
	// Ops are the operations that rules may name. A plan that names another is refused.
	Ops []Op
	// Lacks are the effects of rules that this fake can't have, by their name in a plan ("empty_page").
	Lacks []string
	// Reasons maps the error reasons that the fake's service is known to give to their status, so that a plan may
	// leave the status out.
	Reasons map[string]int
	// ErrorBody writes an error as the service would: the Content-Type and the body. Default: plain text.
	ErrorBody func(e *ErrorReply) (contentType string, body []byte)
	// Log takes what the fake did not understand and plans as they change. Default: discard.
	Log *slog.Logger
	// Now is the clock of quotas. Default: time.Now.
	Now func() time.Time
}
