package main

import (
	"fmt"
	"maps"
	"os/exec"
	"runtime"
	"slices"

	"github.com/memsoak/memsoak/internal/checkout"
	"github.com/memsoak/memsoak/internal/figure"
)

// contest is a tree that several clients copy, and the ratio asked for.
type contest struct {
	name         string
	corpus, spec string
	workers      int
	vsPipe       float64 // least speed as a ratio to the bare pipe's
	vsRclone     float64
	rss          int64              // most resident memory, bytes
	cpu          map[string]float64 // most processor time as a ratio to another client's
	fakes        float64            // most of the fakes' as a ratio to the migrator's own
}

// The clients.
const (
	bare   = "the bare pipe"
	sdks   = "a pipe by the same SDKs"
	rclone = "rclone"
	own    = "migrator"
)

func (b *bench) large() error {
	c := contest{name: "8 large files, 8 workers", corpus: "bench-large", workers: 8, vsPipe: 0.9, vsRclone: 1.1,
		rss: 40 * mib, cpu: map[string]float64{bare: 1.02}, fakes: 1.2}
	if b.quick {
		c.corpus, c.spec = "", "seed: 1\nfiles: 8\nsize: 64MiB\n"
	}
	return b.compare(c)
}

func (b *bench) small() error {
	c := contest{name: "small files, 16 workers", corpus: "bench-small", workers: 16, vsPipe: 0.75, vsRclone: 1.5,
		rss: 48 * mib, cpu: map[string]float64{bare: 1.25, sdks: 1.15}}
	if b.guard {
		c.cpu[bare] = notYet
	}
	if b.quick {
		c.corpus, c.spec = "", "seed: 1\nfiles: 4000\nfolders: 20\nsize: 4KiB\n"
	}
	return b.compare(c)
}

// client is one that takes part in a contest.
type client struct {
	name       string
	processors int // GOMAXPROCS; 0 is the machine's
	command    func(root string) (*exec.Cmd, error)
}

// cores are the numbers of processors that figures are printed for, where there are so many.
var cores = []int{1, 2, 4, 8}

func (c *contest) clients(b *bench) []client {
	mig := func(root string) (*exec.Cmd, error) { return b.migrator(root, c.workers), nil }
	pipe := func(root string) (*exec.Cmd, error) { return b.barePipe("bare", root, c.workers), nil }
	all := []client{{bare, 0, pipe}, {own, 0, mig}}
	if _, ok := c.cpu[sdks]; ok || !b.guard {
		all = append(all, client{sdks, 0, func(root string) (*exec.Cmd, error) {
			return b.barePipe("sdk", root, c.workers), nil
		}})
	}
	if b.guard {
		return all
	}
	if b.hasRclone() {
		all = append(all, client{rclone, 0, func(root string) (*exec.Cmd, error) { return b.rcloneCopy(root, c.workers) }})
	}
	for _, n := range cores {
		if n < runtime.NumCPU() {
			all = append(all, client{on(bare, n), n, pipe}, client{on(own, n), n, mig})
		}
	}
	return all
}

// on is the name of a client that has so many processors.
func on(name string, processors int) string {
	if processors >= runtime.NumCPU() {
		return name
	}
	return fmt.Sprintf("%s, GOMAXPROCS=%d", name, processors)
}

func (b *bench) hasRclone() bool {
	_, err := exec.LookPath(b.rclone)
	return err == nil
}

// compare lets all clients copy a tree round by round, each round beginning with another, and judges the ratios of
// those that ran in the same round.
func (b *bench) compare(c contest) error {
	clients, all := c.clients(b), map[string]runs{}
	files := 0.0
	for round := range b.pairs {
		root, err := b.drive.Root(b.ctx, c.corpus, c.spec, uint64(b.n)+1)
		if err != nil {
			return err
		}
		files = float64(root.Files)
		for i := range clients {
			cl := clients[(i+round)%len(clients)]
			cmd, err := cl.command(root.ID)
			if err != nil {
				return err
			}
			if cl.processors > 0 {
				cmd.Env = append(cmd.Environ(), fmt.Sprintf("GOMAXPROCS=%d", cl.processors))
			}
			r, err := b.measure(cmd)
			if err != nil {
				return err
			}
			all[cl.name] = append(all[cl.name], r)
		}
	}
	b.costs(&c, all, files)
	if !b.guard {
		b.speeds(&c, all)
		b.perCores(&c, all, files)
	}
	return nil
}

// costs records the ratios of processor time. Other than speed it depends little on what else the machine does.
func (b *bench) costs(c *contest, all map[string]runs, files float64) {
	ms := func(name string) string { return fmt.Sprintf("%.3f ms", 1e3*all[name].median(cpu)/files) }
	for _, other := range slices.Sorted(maps.Keys(c.cpu)) {
		b.ratio(fmt.Sprintf("%s: CPU / %s", c.name, other), c.cpu[other], all[own].over(all[other], cpu, cpu),
			fmt.Sprintf(", %s a file / %s", ms(own), ms(other)))
	}
	shares := all[own].over(all[own], fakes, cpu)
	what := c.name + ": CPU of the fakes / the migrator's"
	if c.fakes > 0 {
		b.ratio(what, c.fakes, shares, "")
	} else {
		b.note(what, figure.Summarize(shares).Ratio())
	}
	if r := all[rclone]; len(r) > 0 {
		b.note(c.name+": CPU of rclone / the migrator's", figure.Summarize(r.over(all[own], cpu, cpu)).Ratio())
	}
}

// slack is by how much the guard of CI lets a limit be passed: its trees are small, its machine is shared, and it is to
// fail for a regression alone.
const slack = 0.10

// notYet is the ratio to the bare pipe that the guard allows small files, with slack: the ratio asked for isn't met,
// since the pipe signs nothing, and CI is to fail when it becomes worse.
const notYet = 1.5

// ratio records a figure of pairs that has an upper limit, and keeps it for the history.
func (b *bench) ratio(what string, limit float64, values []float64, detail string) {
	v := figure.Summarize(values)
	if b.guard {
		limit *= 1 + slack
	}
	b.judge(what, fmt.Sprintf("<= %.2f", limit), v.Ratio()+detail, v.AtMost(limit))
	b.figures = append(b.figures, figure.Ratio{Name: what, Values: values})
}

func (b *bench) speeds(c *contest, all map[string]runs) {
	for _, other := range []struct {
		name  string
		limit float64
	}{{bare, c.vsPipe}, {rclone, c.vsRclone}} {
		what, asked := fmt.Sprintf("%s: speed / %s", c.name, other.name), fmt.Sprintf(">= %.2f", other.limit)
		if len(all[other.name]) == 0 {
			b.skip(what, asked, "no "+b.rclone)
			continue
		}
		v := figure.Summarize(all[other.name].over(all[own], wall, wall))
		b.judge(what, asked, fmt.Sprintf("%s, %.1f s / %.1f s", v.Ratio(), all[other.name].median(wall),
			all[own].median(wall)), v.AtLeast(other.limit))
	}
	b.add(c.name+": peak RSS", "<= "+size(c.rss), fmt.Sprintf("%s (rclone %s)", size(all[own].rss()),
		size(all[rclone].rss())), all[own].rss() <= c.rss)
}

// perCores records speed, memory and processor time by how many processors the client may use; the fakes have all.
func (b *bench) perCores(c *contest, all map[string]runs, files float64) {
	for _, n := range cores {
		what := fmt.Sprintf("%s, GOMAXPROCS %d: files/s, peak RSS, CPU a file", c.name, n)
		if n > runtime.NumCPU() {
			b.skip(what, "-", fmt.Sprintf("%d processors", runtime.NumCPU()))
			continue
		}
		mig, pipe := all[on(own, n)], all[on(bare, n)]
		one := func(r runs) string {
			return fmt.Sprintf("%.1f/s, %s, %.3f ms", files/r.median(wall), size(r.rss()), 1e3*r.median(cpu)/files)
		}
		b.note(what, fmt.Sprintf("%s (pipe %s; CPU / its %s)", one(mig), one(pipe),
			figure.Summarize(mig.over(pipe, cpu, cpu)).Ratio()))
	}
}

// runs are the results of one client, a round each.
type runs []result

func wall(r result) float64  { return r.wall.Seconds() }
func cpu(r result) float64   { return r.cpu.Seconds() }
func fakes(r result) float64 { return r.fakes.Seconds() }

func (r runs) median(of func(result) float64) float64 {
	v := make([]float64, len(r))
	for i := range r {
		v[i] = of(r[i])
	}
	return median(v)
}

// over returns the ratio of each round.
func (r runs) over(other runs, of, to func(result) float64) []float64 {
	v := make([]float64, min(len(r), len(other)))
	for i := range v {
		v[i] = of(r[i]) / to(other[i])
	}
	return v
}

func (r runs) rss() (peak int64) {
	for i := range r {
		peak = max(peak, r[i].rss)
	}
	return peak
}

// changes compares with the history, and adds to it where that is asked for.
func (b *bench) changes(path string, record bool) error {
	if len(b.figures) == 0 || path == "" {
		return nil
	}
	h, err := figure.ReadHistory(path)
	if err != nil {
		return err
	}
	e := figure.Entry{Benchmark: "migrator", Processors: runtime.NumCPU(), Figures: b.figures}
	if b.quick {
		e.Benchmark = "migrator, quick"
	}
	fmt.Println("\nSINCE THE LAST RUN IN " + path)
	for _, c := range h.Compare(e) {
		fmt.Println(c)
	}
	if !record {
		return nil
	}
	if e.Revision, err = checkout.Git(b.ctx, ".", "rev-parse", "--short", "HEAD"); err != nil {
		return fmt.Errorf("revision for %s: %w", path, err)
	}
	return h.Add(path, e)
}
