package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// SetPlan replaces the fault plan; nil removes it. Stalls and delays of the old plan end immediately. The plan must
// come from ParsePlan and is not to be modified afterwards.
func (c *Control) SetPlan(p *fault.Plan) {
	var next *fault.ActivePlan
	if p != nil {
		next = fault.Activate(p)
	}
	if old := c.plan.Swap(next); old != nil {
		old.End()
	}
}

// SetPlanText parses a plan and puts it to work. Its error is a *PlanError.
func (c *Control) SetPlanText(text []byte) (*fault.Plan, error) {
	p, err := fault.ParsePlan(text, c.o)
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
		return fault.Plan{}, nil
	})
	c.route("PUT faults", c.putFaults)
	c.route("DELETE faults", func(r *http.Request) (any, error) {
		c.SetPlan(nil)
		return struct{}{}, nil
	})
	c.route("POST connections/close-idle", func(r *http.Request) (any, error) {
		return map[string]int{"closed": c.CloseIdle(r.Context())}, nil
	})
	c.mux.HandleFunc(fault.AdminPrefix, func(w http.ResponseWriter, r *http.Request) {
		fault.WriteJSONError(w, http.StatusNotFound, fmt.Errorf("no such admin route: %s %s", r.Method, r.URL.Path))
	})
}

// errNotFound makes a route answer with 404 instead of 400.
var errNotFound = errors.New("not found")

// route adds "METHOD path" below AdminPrefix.
func (c *Control) route(pattern string, f func(r *http.Request) (any, error)) {
	var method, path string
	fmt.Sscan(pattern, &method, &path)
	c.mux.HandleFunc(method+" "+fault.AdminPrefix+path, func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		switch {
		case errors.Is(err, errNotFound):
			fault.WriteJSONError(w, http.StatusNotFound, err)
		case err != nil:
			fault.WriteJSONError(w, http.StatusBadRequest, err)
		default:
			fault.WriteJSON(w, http.StatusOK, v)
		}
	})
}

func (c *Control) postHold(r *http.Request) (any, error) {
	var h fault.Hold
	dec := json.NewDecoder(io.LimitReader(r.Body, 64<<10))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		return nil, fmt.Errorf("hold: %w", err)
	}
	if err := h.Check(c.o.Points); err != nil {
		return nil, err
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
	text, err := io.ReadAll(io.LimitReader(r.Body, fault.MaxPlanBytes+1))
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

// SetGuard replaces the guard. Call it before serving.
func (c *Control) SetGuard(g fault.Guard) { c.guard = g }
