// Package sampler reads everything that can be known of a subject from outside: the kernel's account of its process
// and cgroup, the Go runtime's own account and profiles by net/http/pprof, and what the fakes saw. It reads; when to
// read and what to conclude are others' work.
package sampler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/profiles/record"
)

// Cgroup is what the sampler reads of a subject's cgroup.
type Cgroup interface {
	Read() (record.Cgroup, error)
}

// Counter is one fake's counters.
type Counter interface {
	Counters(ctx context.Context) (fault.Counters, error)
}

// Sampler reads one subject. Nil or empty parts are left out. It is safe for concurrent use.
type Sampler struct {
	PID     int // 0 for a subject elsewhere: then only pprof and metrics are read
	Pprof   string
	Metrics string
	// Work are names of metrics that count finished work.
	Work   []string
	Cgroup Cgroup
	Drive  Counter
	S3     Counter
	Clock  *Clock // stamps the samples

	// Fine says that the subject's heap sampling is fine. Then the page that has runtime.MemStats, /heap?debug=1, is
	// megabytes long and costs the subject a fifth of a second: it is read only for snapshots. At any sampling it is not
	// read when Metrics have the runtime's account, which costs the subject far less.
	Fine bool

	// Seen reads what stands around a service, in place of Drive and S3; nil for a copier.
	Seen func(ctx context.Context, held *fault.HoldStatus) (record.Covariates, error)

	// Held is the hold in effect, which tells where the transfers in flight stand; nil when there is none.
	Held atomic.Pointer[fault.HoldStatus]
	// Waves counts the waves begun.
	Waves atomic.Int64

	// Patience bounds one reading of pprof or metrics, its body included; 0 is DefaultPatience.
	Patience time.Duration
	// OnSilent is called once, with an ErrSilent, when MaxSilent readings of one page in a row had no whole answer within
	// Patience. Every reading fails from then on, without asking the subject. With nil the subject is asked for ever.
	OnSilent func(error)

	// Transport is the way to the subject; nil is the default.
	Transport http.RoundTripper

	lost    atomic.Int64
	silence silence
}

// Lost is how many readings of the subject failed.
func (s *Sampler) Lost() int64 { return s.lost.Load() }

// miss counts a reading that failed, but not one that was broken off because the trial no longer needs it.
func (s *Sampler) miss(ctx context.Context) {
	if ctx.Err() == nil {
		s.lost.Add(1)
	}
}

// Close drops the sampler's connections.
func (s *Sampler) Close() { (&http.Client{Transport: s.Transport}).CloseIdleConnections() }

// Read reads everything once. What can't be read is nil in the sample and counted in Lost. full asks for the
// runtime's own account at whatever cost.
func (s *Sampler) Read(ctx context.Context, full bool) record.Sample {
	v := record.Sample{Time: s.Clock.Now()}
	var g errgroup.Group
	g.Go(func() error { v.Process = s.process(); return nil })
	g.Go(func() error { v.Cgroup = s.cgroup(); return nil })
	g.Go(func() error { v.Covariates = s.Covariates(ctx); return nil })
	g.Go(func() error { v.Metrics, v.Runtime = s.metrics(ctx); return nil })
	_ = g.Wait() // none returns an error
	v.Runtime = s.complete(ctx, v.Runtime, full)
	return v
}

// ReadCollected is Read for a process whose heap is collected on purpose: the runtime's account comes from the request
// that forces one more collection, so that its HeapAlloc is the live heap alone. exact is false where that request
// failed and the account is that of Read.
func (s *Sampler) ReadCollected(ctx context.Context) (v record.Sample, exact bool) {
	v = s.Read(ctx, false)
	if own := s.runtime(ctx, "/heap?gc=1&debug=1"); own != nil {
		v.Runtime = own
		return v, true
	}
	v.Runtime = s.complete(ctx, v.Runtime, true)
	return v, false
}

// ReadHeap reads what the fakes saw and, as Read without full does, the runtime's account, and no more.
func (s *Sampler) ReadHeap(ctx context.Context) (*record.Covariates, *record.Runtime) {
	_, exposed := s.metrics(ctx)
	return s.Covariates(ctx), s.complete(ctx, exposed, false)
}

// complete asks pprof for the runtime's account where the metrics expose less of it.
func (s *Sampler) complete(ctx context.Context, exposed *record.Runtime, full bool) *record.Runtime {
	// The Go collector as it comes exposes no CPU time of the garbage collector.
	if lacks := exposed == nil || exposed.GCCPU == 0; lacks && (full || !s.Fine) {
		if own := s.runtime(ctx, "/heap?debug=1"); own != nil {
			return own
		}
	}
	return exposed
}

func (s *Sampler) process() *record.Process {
	if s.PID == 0 {
		return nil
	}
	p, err := readProcess(s.PID)
	if err != nil {
		s.lost.Add(1)
		return nil
	}
	return p
}

// CPU is the CPU time that the subject has used, in seconds; 0 when it can't be read.
func (s *Sampler) CPU() float64 {
	v, err := readCPU(s.PID)
	if err != nil {
		return 0
	}
	return v
}

// Schedule is how long the subject's threads have run and have waited for a CPU, in seconds, all together. Where the
// kernel doesn't tell it is CPU, and no waiting.
func (s *Sampler) Schedule() (ran, waited float64) {
	if ran, waited, ok := schedule(s.PID); ok {
		return ran, waited
	}
	return s.CPU(), 0
}

// Done is the sum over all labels of the metrics that count finished work; false where the subject has none of them.
func (s *Sampler) Done(ctx context.Context) (float64, bool) {
	all, _ := s.metrics(ctx)
	return s.DoneIn(all)
}

// DoneIn is Done of metrics that were read already.
func (s *Sampler) DoneIn(metrics map[string]float64) (sum float64, ok bool) {
	for name, v := range metrics {
		if base, _, _ := strings.Cut(name, "{"); slices.Contains(s.Work, base) {
			sum += v
			ok = true
		}
	}
	return sum, ok
}

// Runnable says whether the subject is at work or would be, had it a CPU. Where it can't be read it is false.
func (s *Sampler) Runnable() bool { return runnable(s.PID) }

// RSS is the subject's resident size now, cheap enough for many calls a second.
func (s *Sampler) RSS() (int64, error) { return readRSS(s.PID) }

// PeakRSS is the largest resident size that the subject ever had; 0 when it can't be read, as after its end.
func (s *Sampler) PeakRSS() int64 {
	v, err := readPeakRSS(s.PID)
	if err != nil {
		return 0
	}
	return v
}

func (s *Sampler) cgroup() *record.Cgroup {
	if s.Cgroup == nil {
		return nil
	}
	c, err := s.Cgroup.Read()
	if err != nil {
		s.lost.Add(1)
		return nil
	}
	return &c
}

// runtime reads the Go runtime's own account by a page of pprof; nil when the subject doesn't answer.
func (s *Sampler) runtime(ctx context.Context, page string) *record.Runtime {
	var v *record.Runtime
	err := s.get(ctx, s.Pprof+page, func(r io.Reader) error {
		var ok bool
		if v, ok = parseMemStats(r); !ok {
			return errors.New("it has no runtime.MemStats")
		}
		return nil
	})
	if err != nil {
		s.miss(ctx)
		return nil
	}
	err = s.get(ctx, s.Pprof+"/", func(r io.Reader) error {
		page, err := io.ReadAll(r)
		v.Goroutines, _ = parseGoroutines(page)
		return err
	})
	if err != nil {
		s.miss(ctx)
	}
	return v
}

func (s *Sampler) metrics(ctx context.Context) (v map[string]float64, exposed *record.Runtime) {
	if s.Metrics == "" {
		return nil, nil
	}
	err := s.get(ctx, s.Metrics, func(r io.Reader) (err error) { v, exposed, err = parseMetrics(r, s.Work); return err })
	if err != nil {
		s.miss(ctx)
		return nil, nil
	}
	return v, exposed
}

// Metric reads one of the subject's own metrics; NaN where it has none of the name.
func (s *Sampler) Metric(ctx context.Context, name string) float64 {
	all, _ := s.metrics(ctx)
	if v, ok := all[name]; ok {
		return v
	}
	return math.NaN()
}

// Profile reads one profile ("heap", "goroutine") as the subject wrote it.
func (s *Sampler) Profile(ctx context.Context, kind string) ([]byte, error) {
	var b bytes.Buffer
	err := s.get(ctx, s.Pprof+"/"+kind, func(r io.Reader) error {
		_, err := b.ReadFrom(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(b.Bytes(), []byte{0x1f, 0x8b}) {
		return nil, fmt.Errorf("%s/%s answers with something that is no gzipped profile", s.Pprof, kind)
	}
	return b.Bytes(), nil
}

func (s *Sampler) get(ctx context.Context, url string, read func(io.Reader) error) error {
	if err := s.silence.broken(); err != nil {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, s.patience(), ErrNoAnswer)
	defer cancel()
	err := s.ask(limited, url, read)
	if ctx.Err() != nil {
		return err // the caller has no more patience: that says nothing about the subject
	}
	late := err != nil && errors.Is(context.Cause(limited), ErrNoAnswer)
	if late {
		err = fmt.Errorf("GET %s: %w within %s", url, ErrNoAnswer, s.patience())
	}
	if s.OnSilent != nil {
		if silent := s.silence.note(url, late, s.patience()); silent != nil {
			s.OnSilent(silent)
		}
	}
	return err
}

// ask makes one request and has read its body.
func (s *Sampler) ask(ctx context.Context, url string, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// To compress would cost the subject more than what travels costs anybody; profiles are compressed anyway.
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := (&http.Client{Transport: s.Transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	if err := read(io.LimitReader(resp.Body, bounded.Reading.Bytes)); err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, bounded.Reading.Bytes))
	return nil
}
