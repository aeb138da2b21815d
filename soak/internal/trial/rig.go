package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/fakes"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/sampler"
	"github.com/memsoak/memsoak/soak/internal/subject"
	"github.com/memsoak/memsoak/soak/internal/verify"
)

// rig is what stands around a subject: it gives the work, counts it and holds it. A copier has the fakes of Drive and
// S3; a service has a load and gates.
type rig interface {
	// values fill the subject's placeholders.
	values() map[string]string
	// caFile has the certificates that the subject has to trust; "" without TLS.
	caFile() string
	// attach connects the rig with the subject, which answers.
	attach(ctx context.Context, proc *subject.Process) error
	// watch tells the sampler whose counters to read.
	watch(sam *sampler.Sampler)
	// controls are all that count and hold.
	controls() []*fault.Client
	// holder is the one that can hold work where the phase asks for it, nil if none can.
	holder(ph *protocol.Phase) *fault.Client
	// weather changes how the controls answer until restore is called, which doesn't need ctx any more.
	weather(ctx context.Context, w weather) (restore func() error, err error)
	// give prepares a job. Its work ends when the subject has done the job.
	give(ctx context.Context, j job, prefix string) (work, error)
	// keep records, at the end of a trial, the data needed to check the work later.
	keep(given []*running)
	// ended is the error of a process of the rig that ended by itself, or does so within some time.
	ended(within time.Duration) error
	stop()
}

// work is a job that the subject can be given: items in all, root where they are, do gives it and ends with it.
type work struct {
	items   int64
	root    string
	request fault.RootRequest // asks for the same work again
	do      func(ctx context.Context) error
}

// weather is how the controls answer: how many bytes a second the sink takes in all (0: as many as it can), and which
// share of the requests at a point fail at their first attempt. At one point only: a client that tries twice gets its
// work done.
type weather struct {
	sinkRate int64
	fail     float64
	at       fault.Point
}

// adminTimeout bounds a request to a control that has to be answered although the trial may be over.
const adminTimeout = 10 * time.Second

// bucket is where all subjects upload to.
const bucket = "soak"

// newRig starts what the trial's subject needs around it.
func newRig(ctx context.Context, t *trial) (rig, error) {
	if t.Subject.Load != nil {
		return newServiceRig(ctx, t)
	}
	c, err := newCopierRig(ctx, t)
	if err != nil {
		return nil, err // and not a rig without a value, which would look like one
	}
	return c, nil
}

// copierRig is the rig of a subject that copies from Drive to S3.
type copierRig struct {
	t     *trial
	proc  *subject.Process
	fakes *fakes.Fakes
}

func newCopierRig(ctx context.Context, t *trial) (*copierRig, error) {
	fo := t.Fakes
	fo.Dir, fo.Env, fo.Bucket, fo.CPUs = t.temp, append(fo.Env, t.Env...), bucket, t.CPUs
	if v := t.Settings["transport"]; v != "" {
		fo.Transport = v
	}
	fo.DriveFaults, fo.S3Faults = planFile(t.Settings["drive_faults"], fo.DriveFaults), planFile(t.Settings["s3_faults"],
		fo.S3Faults)
	fo.S3MinPart = t.Settings["s3_min_part"]
	for _, p := range t.Subject.Placeholders() {
		fo.Proxy = fo.Proxy || p == "proxy_url"
	}
	f, err := fakes.Start(ctx, fo)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	return &copierRig{t: t, fakes: f}, nil
}

// planFile is the file of a fault plan that a setting names, or else the default.
func planFile(setting, otherwise string) string {
	if setting == "" || setting == "none" {
		return otherwise
	}
	return setting
}

func (c *copierRig) values() map[string]string {
	return map[string]string{
		"drive_url": c.fakes.DriveURL(), "s3_url": c.fakes.S3URL(), "bucket": bucket,
		"ca_file": c.fakes.CAFile, "proxy_url": c.fakes.DriveAddr.Proxy,
	}
}

func (c *copierRig) ended(within time.Duration) error { return c.fakes.Ended(within) }

func (c *copierRig) caFile() string { return c.fakes.CAFile }

func (c *copierRig) attach(_ context.Context, proc *subject.Process) error {
	c.proc = proc
	return nil
}

func (c *copierRig) watch(sam *sampler.Sampler) { sam.Drive, sam.S3 = c.fakes.Drive, c.fakes.S3 }

func (c *copierRig) controls() []*fault.Client { return []*fault.Client{c.fakes.Drive, c.fakes.S3} }

func (c *copierRig) holder(ph *protocol.Phase) *fault.Client {
	if ph.Point == fault.DownloadHeader || ph.Point == fault.DownloadBody {
		return c.fakes.Drive
	}
	return c.fakes.S3
}

// give makes the tree that the subject is to copy.
func (c *copierRig) give(ctx context.Context, j job, prefix string) (work, error) {
	request := c.request(j)
	root, err := c.fakes.Drive.Root(ctx, request)
	if err != nil {
		return work{}, fmt.Errorf("%w: make a tree: %w", ErrSetup, err)
	}
	do := func(ctx context.Context) error { return c.proc.Wave(ctx, root.ID, prefix) }
	return work{items: root.Files, root: root.ID, request: request, do: do}, nil
}

// request asks fakedrive for the job's tree.
func (c *copierRig) request(j job) fault.RootRequest {
	switch {
	case !j.corpus:
		return fault.RootRequest{Spec: treeSpec(j), Generation: j.gen}
	case c.t.Corpus.Spec != "":
		return fault.RootRequest{Spec: c.t.Corpus.Spec, Generation: j.gen}
	}
	return fault.RootRequest{Corpus: c.t.Corpus.Name, Generation: j.gen}
}

// treeSpec writes the corpus spec of groups of equal files in one folder, or of empty folders.
func treeSpec(j job) string {
	if len(j.groups) == 0 {
		return fmt.Sprintf("files: 0\nfolders: %d\n", j.folders)
	}
	var classes []string
	for _, g := range j.groups {
		classes = append(classes, fmt.Sprintf("{share: %d, fixed: %d}", g.Count, int64(g.Size)))
	}
	if len(classes) == 1 {
		return fmt.Sprintf("files: %d\nsize: %d\n", j.items(), int64(j.groups[0].Size))
	}
	return fmt.Sprintf("files: %d\nsize: {classes: [%s]}\n", j.items(), strings.Join(classes, ", "))
}

// weather sets plans of faults in the place of the trial's own, which restore puts back.
func (c *copierRig) weather(ctx context.Context, w weather) (restore func() error, err error) {
	var own [2][]byte
	for i, setting := range []string{"drive_faults", "s3_faults"} {
		if path := planFile(c.t.Settings[setting], ""); path != "" {
			if own[i], err = os.ReadFile(path); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrSetup, err)
			}
		}
	}
	set := func(ctx context.Context, plans [2][]byte) error {
		for i, party := range c.controls() {
			var err error
			if plans[i] == nil {
				err = party.ClearFaults(ctx)
			} else {
				err = party.SetFaults(ctx, plans[i])
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := set(ctx, w.plans(own)); err != nil {
		return nil, c.t.cause(ctx, err)
	}
	return func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminTimeout)
		defer cancel()
		return set(ctx, own)
	}, nil
}

// plans are the fault plans of the weather, for Drive and for the sink; a party that the weather leaves alone keeps its
// own.
func (w weather) plans(own [2][]byte) [2][]byte {
	if w.sinkRate > 0 {
		return [2][]byte{own[0], fmt.Appendf(nil, "bandwidth: {total: %d}", w.sinkRate)}
	}
	rule := func(ops string) []byte {
		return fmt.Appendf(nil, "rules: [{ops: [%s], attempts: 1, probability: %g, error: {status: 503}}]", ops, w.fail)
	}
	if w.at == fault.DownloadHeader {
		return [2][]byte{rule("download"), own[1]}
	}
	return [2][]byte{own[0], rule("put, upload-part")}
}

// keep records what the sink has beside what it should have, so that soak verify can compare them later. A trial whose
// sink can't be read is as good as any other for its memory.
func (c *copierRig) keep(given []*running) {
	if len(given) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), sinkTimeout)
	defer cancel()
	var waves []verify.Wave
	for _, r := range given {
		w := verify.Wave{Request: r.work.request, Bucket: bucket, Prefix: r.prefix}
		if !r.ended() {
			w.Failed = "the trial ended before the wave did"
		} else if r.err != nil {
			w.Failed = r.err.Error()
		}
		waves = append(waves, w)
	}
	if err := verify.Record(ctx, c.t.Dir, c.fakes.S3Addr.Admin, waves); err != nil {
		c.t.rec.warn("soak verify can't check this trial: %v", err)
	}
}

// sinkTimeout bounds the reading of the sink's listing at the end of a trial.
const sinkTimeout = 20 * time.Second

func (c *copierRig) stop() { c.fakes.Stop() }

// rigGrace is how long after a failure an end of the fakes may become known.
const rigGrace = 200 * time.Millisecond

// withoutRig replaces the error of a trial whose fakes ended by themselves: what the subject did without them says
// nothing about it. That it was killed for its memory stands.
func (t *trial) withoutRig(err error) error {
	var e *ended
	if t.rig == nil || errors.As(err, &e) && e.outcome == record.OOMKilled {
		return err
	}
	var within time.Duration
	if err != nil {
		within = rigGrace
	}
	if gone := t.rig.ended(within); gone != nil {
		return fmt.Errorf("%w: %w", ErrSetup, gone)
	}
	return err
}

// placeholders are the values of the subject's placeholders at its start.
func (t *trial) placeholders() map[string]string {
	values := maps.Clone(t.Settings)
	if values == nil {
		values = map[string]string{}
	}
	maps.Copy(values, t.rig.values())
	return values
}
