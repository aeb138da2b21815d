package control

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// ErrCut is the error of a transfer that a planned fault has cut. The handler must write nothing more; Wrap ends the
// connection.
var ErrCut = errors.New("cut by a planned fault")

// cutKey is the context key of the *atomic.Bool that makes Wrap abort the connection.
type cutKey struct{}

// Admit asks the plan what happens to a request, before anything else is done with it, and does what can be done
// then: it waits, answers with an error, stalls or cuts. If it returns false the handler must return immediately.
func (c *Control) Admit(w http.ResponseWriter, r *http.Request, req fault.Request) (fault.Action, bool) {
	p := c.plan.Load()
	if p == nil {
		return fault.Action{}, true
	}
	if e := p.OverQuota(req.Op, c.o.Now()); e != nil {
		c.harmed()
		c.reply(w, r, e)
		return fault.Action{}, false
	}
	act := p.Decide(&req)
	if act.Delay > 0 {
		c.fired.Add(1)
		if act.Wait(r.Context(), act.Delay) != nil {
			return act, false
		}
	}
	switch {
	case act.Reply != nil:
		c.harmed()
		c.reply(w, r, act.Reply)
		return act, false
	case act.Strike != nil && act.Strike.At == fault.AtStart:
		return act, c.carryOut(r, &act) == nil
	case act.Change || act.EmptyPage || act.Duplicates > 0:
		c.fired.Add(1)
	}
	return act, true
}

// harmed counts a fault that fails what it strikes. One that only waits, or that changes a listing, fails nothing.
func (c *Control) harmed() {
	c.fired.Add(1)
	c.harm.Add(1)
}

// Settle carries out what an action left for the end of a request that is no transfer (there, Transfer.End does it):
// the work is done, the reply is not sent. If it returns false the handler must return immediately.
func (c *Control) Settle(r *http.Request, act fault.Action) bool {
	return act.Strike == nil || act.Strike.At != fault.AtEnd || c.carryOut(r, &act) == nil
}

// carryOut does a stall (and returns nil to go on after it), a reset or a truncation (and returns ErrCut).
func (c *Control) carryOut(r *http.Request, act *fault.Action) error {
	if act.Strike.Kind == fault.StrikeStall {
		c.fired.Add(1)
		return act.Wait(r.Context(), act.Strike.Stall)
	}
	c.harmed()
	switch act.Strike.Kind {
	case fault.StrikeReset:
		reset(r.Context())
	case fault.StrikeTruncate:
		if act.Strike.Framing == fault.FramingClose {
			return ErrCut // the end of the handler ends the body
		}
	}
	if cut, ok := r.Context().Value(cutKey{}).(*atomic.Bool); ok {
		cut.Store(true)
	}
	return ErrCut
}

// reply answers with an error as the fake's service would, padded to the size that the plan wants.
func (c *Control) reply(w http.ResponseWriter, r *http.Request, e *fault.ErrorReply) {
	contentType, body := c.o.ErrorBody(e)
	size := max(int64(len(body)), int64(e.BodySize))
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	if e.RetryAfter > 0 {
		seconds := (time.Duration(e.RetryAfter) + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	w.WriteHeader(e.Status)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(body); err != nil {
		return // the client is gone
	}
	_, _ = io.CopyN(w, spaces{}, size-int64(len(body))) // fails only when the client is gone
}

// spaces is an endless row of spaces: padding that JSON and XML ignore.
type spaces struct{}

var spaceBlock = bytes.Repeat([]byte{' '}, 32<<10)

func (spaces) Read(p []byte) (int, error) { return copy(p, spaceBlock), nil }
