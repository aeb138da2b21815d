package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/bounded"
)

// Client speaks the admin protocol to one fake. It is safe for concurrent use.
type Client struct {
	base string
	http *http.Client
}

// NewClient returns a client for the fake whose admin listener has the base URL admin ([Addresses].Admin).
func NewClient(admin string) *Client {
	return &Client{
		base: strings.TrimRight(admin, "/") + AdminPrefix,
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second}},
	}
}

// Close drops the client's idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

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

// Do calls path below AdminPrefix with in as JSON (a json.RawMessage is sent as it is) and decodes the answer into
// out. Either may be nil. A status outside 2xx is an error with the fake's own message.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	switch v := in.(type) {
	case nil:
	case json.RawMessage:
		body = bytes.NewReader(v)
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encode %s: %w", path, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json") // of which YAML is a superset
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		msg, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		var e struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(msg, &e) == nil && e.Error != "" {
			msg = []byte(e.Error)
		}
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(msg))
	}
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(bounded.Reader(resp.Body, bounded.Answer)).Decode(out); err != nil {
		return fmt.Errorf("%s %s: decode answer: %w", method, path, err)
	}
	return nil
}
