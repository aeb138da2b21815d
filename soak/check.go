package soak

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/soak/internal/fakes"
	"github.com/memsoak/memsoak/soak/internal/sampler"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// CheckLine is one thing that was looked at in a subject.
type CheckLine struct {
	OK bool `json:"ok"`
	// Needed says that without it the subject can't be measured; else only something is lost.
	Needed bool   `json:"needed"`
	What   string `json:"what"`
	Why    string `json:"why,omitempty"` // the loss and what to do, when it is not OK
	// Evidence is all that was seen: the subject's last words, what the gates or the fakes counted.
	Evidence []string `json:"evidence,omitempty"`
}

// checkFiles is the size of the tiny wave.
const checkFiles = 20

// CheckSubject starts the subject of the plan's first cell with its fakes, gives it a tiny wave and says what works
// and which parts are missing. The error is for what kept it from looking; a subject that breaks the contract is no
// error.
func CheckSubject(ctx context.Context, p *Plan, fo fakes.Options) ([]CheckLine, error) {
	if err := fo.Find(p.Subject.Load != nil); err != nil {
		return nil, err
	}
	if p.Subject.Load != nil {
		return checkService(ctx, p, fo)
	}
	dir, err := os.MkdirTemp("", "memsoak-check-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	settings, err := p.settings(p.Cells[0])
	if err != nil {
		return nil, err
	}
	fo.Dir, fo.Bucket, fo.Transport = dir, "soak", settings["transport"]
	for _, ph := range p.Subject.Placeholders() {
		fo.Proxy = fo.Proxy || ph == "proxy_url"
	}
	f, err := fakes.Start(ctx, fo)
	if err != nil {
		return nil, err
	}
	defer f.Stop()
	c := &checker{p: p, fakes: f, dir: dir, values: settings}
	c.values["drive_url"], c.values["s3_url"], c.values["bucket"] = f.DriveURL(), f.S3URL(), "soak"
	c.values["ca_file"], c.values["proxy_url"] = f.CAFile, f.DriveAddr.Proxy
	err = c.run(ctx)
	return c.lines, err
}

type checker struct {
	p      *Plan
	fakes  *fakes.Fakes
	dir    string
	values map[string]string
	lines  []CheckLine
}

func (c *checker) note(ok, needed bool, what, why string) {
	l := CheckLine{OK: ok, Needed: needed, What: what}
	if !ok {
		l.Why = why
	}
	c.lines = append(c.lines, l)
}

func (c *checker) run(ctx context.Context) error {
	root, err := c.fakes.Drive.Root(ctx, fault.RootRequest{Spec: fmt.Sprintf("files: %d\nsize: 4096\n", checkFiles),
		Generation: 1})
	if err != nil {
		return err
	}
	env := []string{"GODEBUG=memprofilerate=4096"}
	if c.fakes.CAFile != "" {
		env = append(env, "SSL_CERT_FILE="+c.fakes.CAFile)
	}
	begun := time.Now()
	proc, err := subject.Start(ctx, c.p.Subject, subject.Options{Values: c.values, Env: env, Temp: c.dir,
		Log: filepath.Join(c.dir, "subject.log")},
		map[string]string{"root": root.ID, "prefix": "check"})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.note(false, true, "starts and answers", err.Error())
		c.evidence(c.logTail()...)
		return nil
	}
	defer proc.Stop(time.Second)
	c.note(true, true, fmt.Sprintf("starts and answers after %.2fs", time.Since(begun).Seconds()), "")
	c.profiles(ctx, proc)
	c.wave(ctx, proc, root.ID)
	c.module(proc)
	return ctx.Err()
}

func (c *checker) profiles(ctx context.Context, proc *subject.Process) {
	s := &sampler.Sampler{PID: proc.PID(), Pprof: proc.Pprof, Metrics: proc.Metric, Drive: c.fakes.Drive, S3: c.fakes.S3,
		Patience: profileTime}
	defer s.Close()
	for _, kind := range []string{"heap?gc=1", "goroutine"} {
		_, err := s.Profile(ctx, kind)
		name, _, _ := strings.Cut(kind, "?")
		if errors.Is(err, sampler.ErrNoAnswer) {
			c.note(false, true, name+" profile", fmt.Sprintf("%v; is something of its own in the way of net/http/pprof?", err))
			return // each further page would take as long
		}
		c.note(err == nil, true, name+" profile", fmt.Sprintf("%v; import net/http/pprof and serve it at %s", err,
			proc.Pprof))
	}
	v := s.Read(ctx, true)
	c.note(v.Runtime != nil, false, "runtime.MemStats", proc.Pprof+
		"/heap?debug=1 does not have them: the waterfall will lack the runtime's own account")
	c.note(v.Process != nil, false, "process memory", "/proc can't be read here: only the heap will be judged")
	if proc.Metric == "" {
		c.note(false, false, "metrics", "the subject file names none; they are optional and make samples cheaper")
	} else {
		c.note(v.Metrics != nil, false, "metrics", proc.Metric+" is no Prometheus text")
	}
}

// The patience with a profile of a subject that has done nothing yet, and with a tiny wave.
const (
	profileTime = 10 * time.Second
	waveTime    = time.Minute
)

func (c *checker) wave(ctx context.Context, proc *subject.Process, root string) {
	limited, cancel := context.WithTimeoutCause(ctx, waveTime, fmt.Errorf("no answer within %s", waveTime))
	defer cancel()
	err := proc.Wave(limited, root, "check")
	if err != nil && context.Cause(limited) != nil {
		err = context.Cause(limited)
	}
	c.note(err == nil, true, "a wave ends with 2xx", fmt.Sprint(err))
	d, derr := c.fakes.Drive.Counters(ctx)
	u, uerr := c.fakes.S3.Counters(ctx)
	if errors.Join(derr, uerr) != nil {
		return
	}
	c.note(d.FilesListed >= checkFiles, true, fmt.Sprintf("lists the wave's files at {{.drive_url}}: %d of %d",
		d.FilesListed, checkFiles),
		"does it use {{.drive_url}} (or {{.proxy_url}} with {{.ca_file}}) and {{.root}}?")
	if d.FilesListed < checkFiles || err != nil {
		c.evidence(fmt.Sprintf("Drive: %d requests, %d list pages, %d not understood; S3: %d requests, %d uploads begun, "+
			"%d failed",
			d.Requests, d.ListPages, d.NotUnderstood, u.Requests, u.Started, u.Failed))
		c.evidence(c.logTail()...)
	}
	c.note(u.Finished >= checkFiles, true, fmt.Sprintf("uploads them to {{.s3_url}} before the wave ends: %d of %d",
		u.Finished, checkFiles),
		"the wave's answer must come after the last upload, or floors are taken while work goes on")
	if d.NotUnderstood+u.NotUnderstood > 0 {
		c.note(false, false, "requests that the fakes understand", fmt.Sprintf("%d were not; see the fakes' documentation",
			d.NotUnderstood+u.NotUnderstood))
	}
	if _, ok := c.values[c.p.Subject.Concurrency]; !ok {
		c.note(false, false, "a setting for transfers at once",
			fmt.Sprintf("none is named %q; set `concurrency` in the subject file, or the number is guessed from holds",
				c.p.Subject.Concurrency))
	}
}

func (c *checker) module(proc *subject.Process) {
	d := proc.Describe()
	c.note(d.Module != "", true, "module whose code is judged: "+d.Module,
		"the binary does not say; set `module` in the subject file")
}
