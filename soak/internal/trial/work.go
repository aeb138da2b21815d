package trial

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/soak/internal/protocol"
)

// job is a piece of work for the subject: a tree that fakedrive serves. The same job with the same generation is the
// same work again.
type job struct {
	request fault.RootRequest
	files   int64
	size    int64 // of each file; 0 when they differ
	bytes   int64
	folders int64
	repeat  bool
}

// files is the job of a wave: groups of equal files in one folder, as fresh work.
func (t *trial) filesJob(groups []protocol.Group) job {
	t.gen++
	var j job
	for i, g := range groups {
		n := max(1, int64(float64(g.Count)*t.scale+0.5))
		j.files += n
		j.bytes += n * int64(g.Size)
		if i == 0 {
			j.size = int64(g.Size)
		} else if j.size != int64(g.Size) {
			j.size = 0
		}
		groups[i].Count = n
	}
	j.request = fault.RootRequest{Spec: filesSpec(groups), Generation: t.gen}
	return j
}

// heldJob is the job of a hold: n files to be held and a backlog of scaled size behind them, or among them small files
// that never reach the point and are done when the others are held.
func (t *trial) heldJob(ph *protocol.Phase, n int) job {
	if len(ph.Files) > 0 {
		return t.filesJob(append(slices.Clone(ph.Files), protocol.Group{Count: max(1, int64(float64(n)/t.scale+0.5)), Size: ph.Size}))
	}
	t.gen++
	files := int64(n)
	if ph.Backlog > 0 {
		files += max(1, int64(float64(ph.Backlog)*t.scale+0.5))
	}
	return job{
		request: fault.RootRequest{Spec: filesSpec([]protocol.Group{{Count: files, Size: ph.Size}}), Generation: t.gen},
		files:   files, size: int64(ph.Size), bytes: files * int64(ph.Size),
	}
}

// foldersJob is the job of a folders phase.
func (t *trial) foldersJob(n int64) job {
	t.gen++
	n = max(1, int64(float64(n)*t.scale+0.5))
	return job{request: fault.RootRequest{Spec: foldersSpec(n), Generation: t.gen}, folders: n}
}

// corpusJob is a free run's job.
func (t *trial) corpusJob() job {
	t.gen++
	if t.Corpus.Spec != "" {
		return job{request: fault.RootRequest{Spec: t.Corpus.Spec, Generation: t.gen}}
	}
	return job{request: fault.RootRequest{Corpus: t.Corpus.Name, Generation: t.gen}}
}

// filesSpec writes the corpus spec of groups of equal files in one folder.
func filesSpec(groups []protocol.Group) string {
	var total int64
	var classes []string
	for _, g := range groups {
		total += g.Count
		classes = append(classes, fmt.Sprintf("{share: %d, fixed: %d}", g.Count, int64(g.Size)))
	}
	if len(classes) == 1 {
		return fmt.Sprintf("files: %d\nsize: %d\n", total, int64(groups[0].Size))
	}
	return fmt.Sprintf("files: %d\nsize: {classes: [%s]}\n", total, strings.Join(classes, ", "))
}

// foldersSpec writes the corpus spec of n empty folders.
func foldersSpec(n int64) string { return fmt.Sprintf("files: 0\nfolders: %d\n", n) }

// running is a wave that the subject works on.
type running struct {
	job  job
	root fault.Root
	// prefix is where the subject was told to copy to.
	prefix string
	done   chan struct{}
	err    error // set before done is closed
}

// begin gives the subject the job and returns while it works.
func (t *trial) begin(ctx context.Context, j job) (*running, error) {
	prefix := fmt.Sprintf("t%d-w%d", t.Index, t.sam.Waves.Load()+1)
	w, err := t.rig.give(ctx, j, prefix)
	if err != nil {
		return nil, err
	}
	t.sam.Waves.Add(1)
	r := &running{job: j, root: w.root, prefix: prefix, done: make(chan struct{})}
	if t.Duration == 0 { // of a run around the clock it would be too much to keep
		t.given = append(t.given, r)
	}
	go func() {
		defer close(r.done)
		ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(t.Protocol.WaveTimeout), errWaveTimeout)
		defer cancel()
		r.err = w.do(ctx)
		if r.err != nil && context.Cause(ctx) != nil {
			r.err = context.Cause(ctx)
		}
	}()
	return r, nil
}

// ended says whether the wave is over.
func (r *running) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// errWaveTimeout is the cause of a wave's end when the subject took too long.
var errWaveTimeout = fmt.Errorf("the wave took too long")

// maxFailed is how many waves in a row may fail before the trial ends.
const maxFailed = 3

// settle waits for the wave and judges its end. A failed wave is noted and only ends the trial when too many fail in a
// row; a timeout and the process's end do at once.
func (t *trial) finishWave(ctx context.Context, r *running) (failed string, err error) {
	<-r.done
	switch {
	case r.err == nil:
		t.failed = 0
		return "", nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case r.err == errWaveTimeout:
		return r.err.Error(), &ended{outcome: "timeout", reason: fmt.Sprintf("a wave of %d files was not done after %s", r.root.Files, time.Duration(t.Protocol.WaveTimeout))}
	}
	// A request that breaks off is mostly the process's end, which is noticed a little later.
	select {
	case <-t.proc.Done():
		return "", errGone
	case <-time.After(100 * time.Millisecond):
	}
	t.failed++
	t.anyFail = r.err.Error()
	if t.failed >= maxFailed {
		return t.anyFail, &ended{outcome: "wave-failed", reason: fmt.Sprintf("%d waves in a row failed: %s", t.failed, t.anyFail)}
	}
	return t.anyFail, nil
}
