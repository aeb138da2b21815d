package trial

import (
	"context"
	"fmt"
	"maps"
	"os"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
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
	// sink is the one whose speed a free run may bound, nil if there is none.
	sink() *fault.Client
	// give prepares a job. Its work ends when the subject has done the job.
	give(ctx context.Context, j job, prefix string) (work, error)
	// keep records, at the end of a trial, what is needed to check the work later.
	keep(given []*running)
	stop()
}

// work is a job that the subject can be given.
type work struct {
	root fault.Root
	do   func(ctx context.Context) error
}

// newRig starts what the trial's subject needs around it.
func newRig(ctx context.Context, t *trial) (rig, error) {
	return newCopierRig(ctx, t)
}

// copierRig is the rig of a subject that copies from Drive to S3.
type copierRig struct {
	t     *trial
	proc  *subject.Process
	fakes *fakes.Fakes
}

func newCopierRig(ctx context.Context, t *trial) (*copierRig, error) {
	fo := t.Fakes
	fo.Dir, fo.Env, fo.Bucket = t.temp, append(fo.Env, t.Env...), bucket
	if v := t.Settings["transport"]; v != "" {
		fo.Transport = v
	}
	if v := t.Settings["drive_faults"]; v != "" && v != "none" {
		fo.DriveFaults = v
	}
	if v := t.Settings["s3_faults"]; v != "" && v != "none" {
		fo.S3Faults = v
	}
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

func (c *copierRig) values() map[string]string {
	return map[string]string{
		"drive_url": c.fakes.DriveURL(), "s3_url": c.fakes.S3URL(), "bucket": bucket,
		"ca_file": c.fakes.CAFile, "proxy_url": c.fakes.DriveAddr.Proxy,
	}
}

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

func (c *copierRig) sink() *fault.Client { return c.fakes.S3 }

// give makes the tree that the subject is to copy.
func (c *copierRig) give(ctx context.Context, j job, prefix string) (work, error) {
	root, err := c.fakes.Drive.Root(ctx, j.request)
	if err != nil {
		return work{}, fmt.Errorf("%w: make a tree: %w", ErrSetup, err)
	}
	return work{root, func(ctx context.Context) error { return c.proc.Wave(ctx, root.ID, prefix) }}, nil
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
		w := verify.Wave{Request: r.job.request, Bucket: bucket, Prefix: r.prefix}
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

// placeholders are the values of the subject's placeholders at its start.
func (t *trial) placeholders() map[string]string {
	values := maps.Clone(t.Settings)
	if values == nil {
		values = map[string]string{}
	}
	maps.Copy(values, t.rig.values())
	return values
}

// ownFaults is the plan of faults that the trial's settings name for the sink; nil for none.
func (t *trial) ownFaults() ([]byte, error) {
	v := t.Settings["s3_faults"]
	if v == "" || v == "none" {
		return nil, nil
	}
	b, err := os.ReadFile(v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	return b, nil
}
