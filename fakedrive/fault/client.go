package fault

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/ask"
)

// Client speaks the admin protocol to one fake. It is safe for concurrent use.
type Client struct{ ask ask.Client }

// NewClient returns a client for the fake whose admin listener has the base URL admin ([Addresses].Admin).
func NewClient(admin string) *Client {
	return &Client{ask.Client{
		Base: strings.TrimRight(admin, "/") + AdminPrefix,
		HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second}},
	}}
}

// Close drops the client's idle connections.
func (c *Client) Close() { c.ask.HTTP.CloseIdleConnections() }

// Counters reads the fake's counters.
func (c *Client) Counters(ctx context.Context) (Counters, error) {
	var v Counters
	err := c.Do(ctx, http.MethodGet, "counters", nil, &v)
	return v, err
}

// Hold sets a hold and returns its status, whose ID the other calls take.
func (c *Client) Hold(ctx context.Context, h Hold) (HoldStatus, error) {
	var v HoldStatus
	err := c.Do(ctx, http.MethodPost, "holds", h, &v)
	return v, err
}

// WaitArrived waits until n transfers have arrived at the hold or the timeout has passed, and returns the status then.
// Reaching the timeout is no error: look at Arrived.
func (c *Client) WaitArrived(ctx context.Context, id int64, n int, timeout time.Duration) (HoldStatus, error) {
	var v HoldStatus
	err := c.Do(ctx, http.MethodGet, fmt.Sprintf("holds/%d?arrived=%d&timeout=%s", id, n, timeout), nil, &v)
	return v, err
}

// Release lets count waiting transfers go; 0 lets all go and removes the hold.
func (c *Client) Release(ctx context.Context, id int64, count int) (HoldStatus, error) {
	var v HoldStatus
	err := c.Do(ctx, http.MethodPost, fmt.Sprintf("holds/%d/release?count=%d", id, count), nil, &v)
	return v, err
}

// ReleaseAll removes every hold and lets all transfers go.
func (c *Client) ReleaseAll(ctx context.Context) error {
	return c.Do(ctx, http.MethodDelete, "holds", nil, nil)
}

// SetFaults replaces the fake's fault plan by the YAML or JSON text.
func (c *Client) SetFaults(ctx context.Context, plan []byte) error {
	return c.Do(ctx, http.MethodPut, "faults", json.RawMessage(plan), nil)
}

// ClearFaults removes the fake's fault plan.
func (c *Client) ClearFaults(ctx context.Context) error {
	return c.Do(ctx, http.MethodDelete, "faults", nil, nil)
}

// CloseIdle closes the fake's idle connections and says how many there were.
func (c *Client) CloseIdle(ctx context.Context) (int, error) {
	var v struct {
		Closed int `json:"closed"`
	}
	err := c.Do(ctx, http.MethodPost, "connections/close-idle", nil, &v)
	return v.Closed, err
}

// Root asks fakedrive for the root of a tree.
func (c *Client) Root(ctx context.Context, r RootRequest) (Root, error) {
	var v Root
	err := c.Do(ctx, http.MethodPost, "roots", r, &v)
	return v, err
}

// Do calls path below AdminPrefix, as [ask.Client.Do] does.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	return c.ask.Do(ctx, method, path, in, out)
}
