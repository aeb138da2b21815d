package gateway

import (
	"context"
	"net/http"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// Client speaks to a process of gates.
type Client struct {
	all   *fault.Client
	gates map[string]*fault.Client
}

// NewClient returns a client for gates that listen at the addresses.
func NewClient(a fault.Addresses) *Client {
	c := &Client{all: fault.NewClient(a.Admin), gates: map[string]*fault.Client{}}
	for name := range a.Gates {
		c.gates[name] = fault.NewClient(AdminOf(a.Admin, name))
	}
	return c
}

// Gate is the control of one gate; nil if there is none of the name.
func (c *Client) Gate(name string) *fault.Client { return c.gates[name] }

// Seen reads what all gates saw.
func (c *Client) Seen(ctx context.Context) (map[string]Seen, error) {
	var v map[string]Seen
	err := c.all.Do(ctx, http.MethodGet, "gates", nil, &v)
	return v, err
}

// SetTarget says where a gate leads.
func (c *Client) SetTarget(ctx context.Context, gate, target string) error {
	return c.gates[gate].Do(ctx, http.MethodPut, "target", map[string]string{"target": target}, nil)
}

// SetReply says what a gate makes.
func (c *Client) SetReply(ctx context.Context, gate string, r Reply) error {
	return c.gates[gate].Do(ctx, http.MethodPut, "make", r, nil)
}

// Close drops the client's connections.
func (c *Client) Close() {
	c.all.Close()
	for _, g := range c.gates {
		g.Close()
	}
}
