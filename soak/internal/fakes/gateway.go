package fakes

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/launch"
	"github.com/memsoak/memsoak/soak/internal/gateway"
)

// Gates are the running gates of a service, one process.
type Gates struct {
	*gateway.Client
	Addr fault.Addresses
	proc *launch.Process
}

// StartGates starts the process of the gates and waits until they listen. ctx bounds the start only.
func StartGates(ctx context.Context, o Options, c gateway.Config) (*Gates, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c.CAFile = filepath.Join(o.Dir, "gates-ca.pem")
	b, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(o.Dir, "gates.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return nil, err
	}
	p, err := start("gateway", o.Soak, []string{"gateway", "serve", "--config", file}, o)
	if err != nil {
		return nil, err
	}
	g := &Gates{proc: p}
	if err := p.Await(ctx, &g.Addr); err != nil {
		g.Stop()
		return nil, err
	}
	g.Client = gateway.NewClient(g.Addr)
	return g, nil
}

// Ended is the error of gates that ended by themselves, or do so within some time.
func (g *Gates) Ended(within time.Duration) error {
	if g.proc == nil {
		return nil
	}
	return g.proc.Ended(within)
}

// Stop kills the gates, which have nothing to save, and waits for them. It may be called twice.
func (g *Gates) Stop() {
	if g.proc == nil {
		return
	}
	g.proc.Stop()
	g.proc = nil
	if g.Client != nil {
		g.Close()
	}
}
