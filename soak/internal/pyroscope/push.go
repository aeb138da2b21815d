package pyroscope

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/google/pprof/profile"
	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/profiles/record"
)

// Result is what a push came to, in profiles.
type Result struct {
	Stored   int `json:"stored"`
	Already  int `json:"already"`  // stored by a push before
	Services int `json:"services"` // service names they belong to
	Retries  int `json:"retries"`
	// Problems name profiles that could not be sent, one line each.
	Problems []string `json:"problems"`
}

// atOnce is how many profiles are under way at a time: a server answers each after it has written it, half a second.
const atOnce = 32

// Pusher sends the profiles of one run, several at a time. Its methods are for one caller at a time.
type Pusher struct {
	client  *Client
	dir     string
	journal *journal
	// Waiting, when not nil, is called with the reason of a wait that has lasted ten seconds.
	Waiting func(reason string)

	// there are the run's services that the server had before this push; nil until it was asked.
	there map[string]bool

	mu       sync.Mutex
	services map[string]bool
	result   Result
	checked  int   // profiles
	last     error // that made something wait
}

// NewPusher opens a run's journal for the server of a client. Close it when done.
func NewPusher(c *Client, dir string, shown Shown) (*Pusher, error) {
	j, err := openJournal(dir, c.base.String(), shown)
	if err != nil {
		return nil, err
	}
	return &Pusher{client: c, dir: dir, journal: j, services: map[string]bool{}, result: Result{Problems: []string{}}}, nil
}

// Close releases the journal.
func (p *Pusher) Close() error { return p.journal.close() }

// Result is the progress so far.
func (p *Pusher) Result() Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.result
	r.Services = len(p.services)
	return r
}

// Run sends every trial of the run that is recorded. Profiles that cannot be sent become problems of the result; the
// error is for what ends the push: a context, a server that is away, a journal that cannot be written.
func (p *Pusher) Run(ctx context.Context) error {
	run, err := record.ReadRun(p.dir)
	if err != nil {
		return err
	}
	var all []item
	for _, c := range run.Status {
		for _, t := range c.Trials {
			its, err := p.items(run, fmt.Sprintf("%s/trial-%d", c.Dir, t.Index))
			if err != nil {
				return err
			}
			all = append(all, its...)
		}
	}
	return p.sendAll(ctx, run, all)
}

// Trial sends the profiles of one trial, whose directory is below the run's. Speed trials have none that count.
func (p *Pusher) Trial(ctx context.Context, run *record.Run, trialDir string) error {
	its, err := p.items(run, trialDir)
	if err != nil {
		return err
	}
	return p.sendAll(ctx, run, its)
}

// items are the profiles of a trial; one that can't be read is a problem of the result.
func (p *Pusher) items(run *record.Run, trialDir string) ([]item, error) {
	if !filepath.IsLocal(filepath.FromSlash(trialDir)) {
		return nil, fmt.Errorf("%s: %w", trialDir, errNotLocal)
	}
	t, err := record.ReadTrial(filepath.Join(p.dir, filepath.FromSlash(trialDir)))
	if err != nil {
		p.problem(trialDir, err)
		return nil, nil
	}
	return items(run, p.dir, trialDir, t), nil
}

// sendAll sends profiles, atOnce at a time. What ends one ends all.
func (p *Pusher) sendAll(ctx context.Context, run *record.Run, its []item) error {
	return p.patiently(ctx, func(ctx context.Context) error { return p.sendEach(ctx, run, its) })
}

func (p *Pusher) sendEach(ctx context.Context, run *record.Run, its []item) error {
	if p.there == nil {
		if err := p.awaitSight(ctx); err != nil {
			return err
		}
		names, err := p.client.servicesOf(ctx, run)
		if err != nil {
			return err
		}
		p.there = map[string]bool{}
		for _, n := range names {
			p.there[n] = true
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, it := range its {
		g.Go(func() error { return p.send(ctx, it) })
	}
	return g.Wait()
}

// errBlind is why a push waits for a server that does not find all that it has.
var errBlind = errors.New("the server does not find its oldest profiles yet (-enable-query-backend-from=" +
	"2020-01-01T00:00:00Z spares the wait)")

// awaitSight waits until the server finds what it has: until then, all that is asked of it seems to be missing.
func (p *Pusher) awaitSight(ctx context.Context) error {
	for n := 0; ; n++ {
		ok, err := p.client.finds(ctx)
		if ok || err != nil {
			return err
		}
		_ = p.failed(errBlind)
		if err := p.client.wait(ctx, pause(min(n, 4), 0)); err != nil {
			return err
		}
	}
}

func (p *Pusher) problem(what string, err error) {
	p.count(func(r *Result) { r.Problems = append(r.Problems, fmt.Sprintf("%s: %v", what, err)) })
}

func (p *Pusher) count(change func(*Result)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.result)
}

// send sends a profile unless the server has it.
func (p *Pusher) send(ctx context.Context, it item) error {
	p.mu.Lock()
	p.services[it.service] = true
	p.mu.Unlock()
	prof, err := it.read(p.dir)
	if err != nil {
		p.problem(it.key, err)
		return nil
	}
	state := p.journal.of(it.key)
	if state == Stored {
		p.count(func(r *Result) { r.Already++ })
		return nil
	}
	// A push was interrupted here, or one from elsewhere, whose journal is not here, may have sent it.
	if state == Sending || state == "" && p.there[it.service] {
		if done, err := p.settle(ctx, it, prof, func(r *Result) { r.Already++ }); done || err != nil {
			return err
		}
	}
	body, err := encode(prof)
	if err != nil {
		p.problem(it.key, err)
		return nil
	}
	return p.deliver(ctx, it, prof, body)
}

// deliver tries until the profile is stored or refused for good. Nothing is sent again while it may be stored.
func (p *Pusher) deliver(ctx context.Context, it item, prof *profile.Profile, body []byte) error {
	if err := p.journal.set(it.key, Sending); err != nil {
		return err
	}
	var err error
	for n := range attempts {
		err = p.failed(p.client.ingest(ctx, it, body))
		var no *refusal
		switch {
		case err == nil:
			return p.finish(it, func(r *Result) { r.Stored++ })
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &no) && no.status != http.StatusTooManyRequests:
			p.problem(it.key, err)
			return p.journal.set(it.key, Refused)
		case errors.As(err, &no):
			if err := p.client.wait(ctx, pause(n, no.after)); err != nil {
				return errors.Join(err, p.journal.set(it.key, Refused))
			}
		default:
			if err := p.client.wait(ctx, pause(n, 0)); err != nil {
				return err
			}
			if done, err := p.settle(ctx, it, prof, func(r *Result) { r.Stored++ }); done || err != nil {
				return err
			}
		}
		p.count(func(r *Result) { r.Retries++ })
	}
	return fmt.Errorf("%s: given up after %d attempts: %w", it.key, attempts, err)
}

// settle asks the server whether it has a profile of which the answer was lost. done is true when it has.
// counted is how the result counts it then.
func (p *Pusher) settle(ctx context.Context, it item, prof *profile.Profile, counted func(*Result)) (done bool,
	err error) {
	want := total(prof, mainType(it.kind))
	if want == 0 {
		// Nothing to be found by: it is counted as stored, since a missing empty profile does no harm and two do.
		return true, p.finish(it, counted)
	}
	missing := 0
	for n := range attempts {
		var got int64
		got, err = p.client.stored(ctx, it, mainType(it.kind))
		if p.failed(err) == nil {
			if got > 0 {
				return true, p.finish(it, counted)
			}
			if err = p.failed(p.awaitSight(ctx)); err == nil {
				if missing++; missing == absences {
					return false, nil
				}
			}
		}
		if werr := p.client.wait(ctx, pause(n, 0)); werr != nil {
			return false, werr
		}
	}
	return false, fmt.Errorf("%s: the server does not say whether it has it: %w", it.key, err)
}

// absences is how often a server must say that it has not got a profile before that is believed: it shows what it
// stored after a moment. With the waits between, that is some five seconds.
const absences = 5

func (p *Pusher) finish(it item, counted func(*Result)) error {
	p.count(counted)
	return p.journal.set(it.key, Stored)
}

// Mismatch is a total that a server has otherwise than the run.
type Mismatch struct {
	Profile string `json:"profile"`
	Type    string `json:"type"`
	Want    int64  `json:"want"`
	Got     int64  `json:"got"`
}

// Check reads the totals of every stored profile back through the server's query API. A server shows what it stored
// after a moment, so a total that is not there is asked for again until patience is over.
func (p *Pusher) Check(ctx context.Context, patience time.Duration) (checked int, bad []Mismatch, err error) {
	run, err := record.ReadRun(p.dir)
	if err != nil {
		return 0, nil, err
	}
	err = p.patiently(ctx, func(ctx context.Context) (err error) {
		bad, err = p.checkEach(ctx, run, time.Now().Add(patience))
		return err
	})
	return p.checked, bad, err
}

func (p *Pusher) checkEach(ctx context.Context, run *record.Run, deadline time.Time) (bad []Mismatch, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, c := range run.Status {
		for _, ts := range c.Trials {
			dir := fmt.Sprintf("%s/trial-%d", c.Dir, ts.Index)
			t, err := record.ReadTrial(filepath.Join(p.dir, filepath.FromSlash(dir)))
			if err != nil {
				continue // the push has named it
			}
			for _, it := range items(run, p.dir, dir, t) {
				if p.journal.of(it.key) != Stored {
					continue
				}
				g.Go(func() error {
					wrong, err := p.check(ctx, it, deadline)
					p.mu.Lock()
					defer p.mu.Unlock()
					if err == nil {
						p.checked++
						bad = append(bad, wrong...)
					}
					return err
				})
			}
		}
	}
	err = g.Wait()
	return bad, err
}

func (p *Pusher) check(ctx context.Context, it item, deadline time.Time) ([]Mismatch, error) {
	prof, err := it.read(p.dir)
	if err != nil {
		return nil, err
	}
	var bad []Mismatch
	for _, typ := range checkedTypes(it.kind) {
		want := total(prof, typ)
		for n := 0; ; n++ {
			got, err := p.client.stored(ctx, it, typ)
			if p.failed(err) == nil && got == want {
				break
			}
			if time.Now().After(deadline) || got > want {
				if err != nil {
					return nil, err
				}
				bad = append(bad, Mismatch{Profile: it.key, Type: typ, Want: want, Got: got})
				break
			}
			if err := p.client.wait(ctx, pause(min(n, 3), 0)); err != nil {
				return nil, err
			}
		}
	}
	return bad, nil
}

func checkedTypes(kind string) []string {
	if kind == record.HeapDir {
		return []string{"inuse_space", "alloc_space"}
	}
	return []string{mainType(kind)}
}

// Targets are the servers that a run was pushed to, from its journal: the latest entry of each.
func Targets(dir string) ([]Entry, error) {
	all, err := ReadJournal(dir)
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, e := range all {
		if e.State != Target {
			continue
		}
		out = slices.DeleteFunc(out, func(o Entry) bool { return o.URL == e.URL })
		out = append(out, e)
	}
	return out, nil
}
