package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// SetPlan replaces the fault plan; nil removes it. Stalls and delays of the old plan end immediately. The plan must
// come from ParsePlan and is not to be modified afterwards.
func (c *Control) SetPlan(p *Plan) {
	var next *activePlan
	if p != nil {
		next = activate(p)
	}
	if old := c.plan.Swap(next); old != nil {
		close(old.ended)
	}
}

// SetPlanText parses a plan and puts it to work. Its error is a *PlanError.
func (c *Control) SetPlanText(text []byte) (*Plan, error) {
	p, err := ParsePlan(text, c.o)
	if err != nil {
		return nil, err
	}
	c.SetPlan(p)
	return p, nil
}

func (c *Control) routes() {
	c.route("GET counters", func(r *http.Request) (any, error) { return c.Counters(), nil })
	c.route("GET holds", func(r *http.Request) (any, error) { return c.holds.statuses(), nil })
	c.route("POST holds", c.postHold)
	c.route("GET holds/{id}", c.getHold)
	c.route("POST holds/{id}/release", c.releaseHold)
	c.route("DELETE holds", func(r *http.Request) (any, error) {
		c.holds.releaseAll()
		return struct{}{}, nil
	})
	c.route("GET faults", func(r *http.Request) (any, error) {
		if p := c.plan.Load(); p != nil {
			return p.Plan, nil
		}
		return Plan{}, nil
	})
	c.route("PUT faults", c.putFaults)
	c.route("DELETE faults", func(r *http.Request) (any, error) {
		c.SetPlan(nil)
		return struct{}{}, nil
	})
	c.route("POST connections/close-idle", func(r *http.Request) (any, error) {
		return map[string]int{"closed": c.CloseIdle(r.Context())}, nil
	})
	c.mux.HandleFunc(AdminPrefix, func(w http.ResponseWriter, r *http.Request) {
		WriteJSONError(w, http.StatusNotFound, fmt.Errorf("no such admin route: %s %s", r.Method, r.URL.Path))
	})
}

// errNotFound makes a route answer with 404 instead of 400.
var errNotFound = errors.New("not found")

// route adds "METHOD path" below AdminPrefix.
func (c *Control) route(pattern string, f func(r *http.Request) (any, error)) {
	var method, path string
	fmt.Sscan(pattern, &method, &path)
	c.mux.HandleFunc(method+" "+AdminPrefix+path, func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		switch {
		case errors.Is(err, errNotFound):
			WriteJSONError(w, http.StatusNotFound, err)
		case err != nil:
			WriteJSONError(w, http.StatusBadRequest, err)
		default:
			WriteJSON(w, http.StatusOK, v)
		}
	})
}

// WriteJSON answers an admin request with v.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only when the client is gone
}

// WriteJSONError answers an admin request with an error, as the protocol has it.
func WriteJSONError(w http.ResponseWriter, status int, err error) {
	WriteJSON(w, status, map[string]string{"error": err.Error()})
}

func (c *Control) postHold(r *http.Request) (any, error) {
	var h Hold
	dec := json.NewDecoder(io.LimitReader(r.Body, 64<<10))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		return nil, fmt.Errorf("hold: %w", err)
	}
	switch {
	case !slices.Contains(c.o.Points, h.Point):
		return nil, fmt.Errorf("hold: this fake has no point %q; it has %q", h.Point, c.o.Points)
	case h.Limit < 0 || h.Skip < 0 || h.Offset < 0 && !h.Point.fromEnd() || h.Timeout < 0:
		return nil, errors.New("hold: limit, skip, offset and timeout must not be negative")
	case h.Offset > 0 && !h.Point.body():
		return nil, fmt.Errorf("hold: offset is for points in a body, and %s is none", h.Point)
	}
	return c.holds.set(h)
}

// maxAwait bounds how long one request may wait for arrivals.
const maxAwait = 10 * time.Minute

func (c *Control) getHold(r *http.Request) (any, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("hold id %q: not a number", r.PathValue("id"))
	}
	n, err := intQuery(r, "arrived")
	if err != nil {
		return nil, err
	}
	timeout := 30 * time.Second
	if s := r.URL.Query().Get("timeout"); s != "" {
		if timeout, err = time.ParseDuration(s); err != nil {
			return nil, fmt.Errorf("timeout: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(timeout, maxAwait))
	defer cancel()
	s, ok := c.holds.await(ctx, id, n)
	if !ok {
		return nil, fmt.Errorf("hold %d: %w", id, errNotFound)
	}
	return s, nil
}

func (c *Control) releaseHold(r *http.Request) (any, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("hold id %q: not a number", r.PathValue("id"))
	}
	n, err := intQuery(r, "count")
	if err != nil {
		return nil, err
	}
	s, ok := c.holds.release(id, n)
	if !ok {
		return nil, fmt.Errorf("hold %d: %w", id, errNotFound)
	}
	return s, nil
}

// intQuery reads a number that is not negative from the query; 0 when absent.
func intQuery(r *http.Request, name string) (int, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s: %q is not a count", name, s)
	}
	return n, nil
}

func (c *Control) putFaults(r *http.Request) (any, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, MaxPlanBytes+1))
	if err != nil {
		return nil, err
	}
	p, err := c.SetPlanText(text)
	if err != nil {
		return nil, err
	}
	c.o.Log.Info("fault plan set", "rules", len(p.Rules), "quotas", len(p.Quotas))
	return p, nil
}
