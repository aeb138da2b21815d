package soak

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/fakes"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/subject"
	"github.com/memsoak/memsoak/soak/internal/trial"
)

// checkProtocol is a trial that is no more than a look: a wave, and a hold at each upstream.
const checkProtocol = `
name: check
trials: [attribution]
memprofilerate: 4096
looks: 1
budget: 1m
wave_timeout: 20s
settle: 250ms
phases:
  - {name: idle, kind: idle, for: 20ms}
  - {name: requests, kind: warm-up, files: [{count: 20, size: 4KiB}]}
  - {name: held, kind: hold, gate: each, point: request, transfers: M, size: 4KiB}
  - {name: stopped, kind: hold, gate: each, point: bytes, transfers: M, size: 4KiB}
`

// PprofLines are what a service without profiles has to add.
const PprofLines = `import _ "net/http/pprof"` + " and, in main, " + `go http.ListenAndServe("127.0.0.1:6060", nil)`

// withoutPprof is what can be said of a service that serves no profiles.
const withoutPprof = "Without it only the process's memory can be seen (cgroup, /proc): no site, no line, no verdict " +
	"on the heap"

// checkService gives a service a few requests through its gates and reports all that it saw.
func checkService(ctx context.Context, p *Plan, fo fakes.Options) ([]CheckLine, error) {
	dir, err := os.MkdirTemp("", "memsoak-check-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	settings, err := p.settings(p.Cells[0])
	if err != nil {
		return nil, err
	}
	text := checkProtocol
	if p.Subject.Load.Consume != nil { // held before its queue it has no work
		text = strings.ReplaceAll(text, "point: request", "point: reply")
	}
	proto, err := protocol.Parse([]byte(text))
	if err == nil {
		proto, err = proto.For(p.Subject.Service())
	}
	if err != nil {
		return nil, err
	}
	at := filepath.Join(dir, "trial")
	t, err := trial.Run(ctx, trial.Options{
		Dir: at, Kind: record.Attribution, Cell: record.Cell(p.Cells[0]), Settings: settings, Index: 1, Seed: 1,
		Subject:  p.Subject,
		Protocol: proto, Fakes: fo, NoCgroup: "a check", Temp: dir, Every: -1, Remote: p.Remote, Patience: profileTime,
	})
	if err != nil && t.Outcome == "" {
		return nil, err
	}
	c := &serviceChecker{checker: checker{p: p, dir: at}, t: t}
	c.seen, _ = trial.ReadGates(at) // absent where the subject never started
	c.look()
	return c.lines, ctx.Err()
}

// serviceChecker says what a check's trial has shown.
type serviceChecker struct {
	checker
	t    *record.Trial
	seen map[string]trial.GateRecord
}

func (c *serviceChecker) look() {
	started := c.t.Subject.Module != "" || len(c.t.Snapshots) > 0 || len(c.seen) > 0 && c.seen[subject.Front].Requests > 0
	c.note(started, true, "starts and answers", c.t.Reason)
	if !started {
		c.evidence(c.logTail()...)
		return
	}
	c.profiled()
	c.answered()
	for _, name := range slices.Sorted(maps.Keys(c.p.Subject.Upstreams)) {
		c.upstream(name)
	}
	c.note(c.t.Subject.Module != "", true, "module whose code is judged: "+c.t.Subject.Module,
		"the binary does not say; set `module` in the subject file")
}

// profiled looks for the two profiles of a snapshot.
func (c *serviceChecker) profiled() {
	var heap, routines bool
	for _, s := range c.t.Snapshots {
		heap, routines = heap || s.Heap != "", routines || s.Goroutine != ""
	}
	why := fmt.Sprintf("no answer at %s. Two lines serve it: %s; then set `pprof` in the subject file. %s",
		c.p.Subject.Pprof, PprofLines, withoutPprof)
	c.note(heap, true, "heap profile", why)
	c.note(routines, true, "goroutine profile", why)
}

// answered looks at the requests that passed the gate before the subject.
func (c *serviceChecker) answered() {
	front := c.seen[subject.Front]
	what := fmt.Sprintf("requests are answered: %d, by status: %s", front.Finished, statuses(front.Statuses))
	if c.p.Subject.Load.Consume != nil {
		what = fmt.Sprintf("work is fetched: %s", units.Count(c.t.Work.Files, "item"))
	}
	c.note(c.t.Outcome == record.OK, true, what, c.t.Reason)
	if c.t.Outcome != record.OK {
		c.evidence(c.traffic()...)
		c.evidence(c.logTail()...)
	}
}

// upstream looks at what passed the gate before an upstream, and whether it was held there.
func (c *serviceChecker) upstream(name string) {
	g := c.seen[name]
	c.note(g.Requests > 0, false, fmt.Sprintf("calls upstream %s: %d requests", name, g.Requests),
		fmt.Sprintf("no request came to %s: does the subject use {{.upstream.%s}}, and do these requests need it?", g.Address,
			name))
	if g.Requests == 0 {
		c.evidence(c.logTail()...)
		return
	}
	held := 0
	for _, ph := range c.t.Phases {
		if h := ph.Hold; h != nil && (len(c.p.Subject.Upstreams) == 1 || strings.HasSuffix(ph.Name, "-"+name)) {
			held = max(held, h.Held)
		}
	}
	c.note(held > 0, false, fmt.Sprintf("requests can be held at %s: %d", name, held),
		"none was: in flight is what comes by itself, and the limits of what is held per request are open")
	c.note(g.Unreached == 0, true, fmt.Sprintf("upstream %s answers", name), fmt.Sprintf("%d requests had no answer",
		g.Unreached))
	if g.Unreached > 0 {
		c.evidence(c.traffic()...)
	}
}

// evidence adds lines to the last line of the check.
func (c *checker) evidence(lines ...string) {
	last := &c.lines[len(c.lines)-1]
	last.Evidence = append(last.Evidence, lines...)
}

// traffic is what the gates saw, in words.
func (c *serviceChecker) traffic() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(c.seen)) {
		g := c.seen[name]
		out = append(out, fmt.Sprintf("gate %s: %d requests, %d bytes in, %d bytes out, by status: %s, without an answer: %d",
			name, g.Requests, g.BytesIn, g.Bytes, statuses(g.Statuses), g.Unreached))
		for _, e := range g.Errors {
			what := e.Why
			if what == "" {
				what = fmt.Sprint(e.Status)
			}
			out = append(out, fmt.Sprintf("gate %s: %s %s: %s", name, e.Method, e.Path, what))
		}
	}
	return out
}

// logLines is how many of the last lines of a subject's output are shown.
const logLines = 5

// logTail is the end of the subject's output.
func (c *checker) logTail() []string { return tailOf(filepath.Join(c.dir, record.LogFile)) }

func tailOf(file string) []string {
	b, err := os.ReadFile(file)
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return []string{"its log: it said nothing"}
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	var out []string
	for _, l := range lines[max(0, len(lines)-logLines):] {
		out = append(out, "its log: "+l)
	}
	return out
}

func statuses(m map[int]int64) string {
	var out []string
	for _, code := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%d x %d", m[code], code))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}
