package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// faultTree has a file for each way to the sink: empty, one request, parts, export, shortcut.
const faultTree = `
seed: 11
files: 40
folders: 4
depth: 2
size:
  classes:
    - {share: 2, fixed: 0}
    - {share: 1, fixed: 11MiB}
    - {share: 25, uniform: {min: 1KiB, max: 64KiB}}
export_size: 20KiB
kinds: {documents: 4, spreadsheets: 2, shortcuts: 2}
names: {duplicates: 4}
`

// driveFaults and sinkFaults are the effects that a fake can have on a request, each on the first tries.
var driveFaults = map[string]struct{ ops, effect string }{
	"500": {"list, get, download, export", "error: {status: 500, reason: internalError}"},
	"429-retry-after": {"list, get, download, export",
		"error: {status: 429, reason: rateLimitExceeded, retry_after: 1s}"},
	"403-user-rate":     {"list, get, download, export", "error: {reason: userRateLimitExceeded}"},
	"huge-error-body":   {"list, download", "error: {status: 503, reason: backendError, body_size: 20MiB}"},
	"reset-at-start":    {"list, get, download, export", "reset: {at: start}"},
	"reset-in-body":     {"download, export", "reset: {after: 500}"},
	"reset-at-end":      {"list, get, download, export", "reset: {at: end}"},
	"stall":             {"list, download, export", "stall: {at: start, for: 20s}"},
	"stall-in-body":     {"download, export", "stall: {after: 500, for: 20s}"},
	"truncate-length":   {"download", "truncate: {after: 500}"},
	"truncate-chunked":  {"download, export", "truncate: {after: 500, framing: chunked}"},
	"truncate-close":    {"download", "truncate: {after: 500, framing: close}"},
	"flipped-bit":       {"download", "flip: {after: 10}"},
	"empty-page":        {"list", "empty_page: true"},
	"duplicate-entries": {"list", "duplicates: 5"},
}

var sinkFaults = map[string]struct{ ops, effect string }{
	"500": {"put, upload-part, create-upload, complete-upload, head, list",
		"error: {status: 500, reason: InternalError}"},
	"slow-down":      {"put, upload-part, create-upload, complete-upload, head", "error: {status: 503, reason: SlowDown}"},
	"reset-at-start": {"put, upload-part, create-upload, complete-upload", "reset: {at: start}"},
	"reset-in-body":  {"put, upload-part", "reset: {after: 300}"},
	"reset-at-end":   {"put, upload-part, create-upload, complete-upload", "reset: {at: end}"},
	"stall":          {"put, upload-part, complete-upload", "stall: {at: start, for: 20s}"},
	"stall-at-end":   {"put, upload-part, complete-upload", "stall: {at: end, for: 20s}"},
}

// TestEveryFault strikes the first tries of each phase with each fault. The copy has to end well and complete, by a
// first run and by one that finds everything there.
func TestEveryFault(t *testing.T) {
	w := newWorld(t)
	tr := w.tree(faultTree, 1)
	plan := func(ops, effect string) string {
		when := "attempts: 2"
		switch { // attempts are counted by file and offset
		case strings.Contains(effect, "empty_page"):
			when = "limit: 10" // each empty page has a token of its own, so attempts would never end
		case strings.Contains(effect, "flip"):
			when = "limit: 3" // a file is given up after four bad bodies
		}
		return fmt.Sprintf("rules:\n  - {ops: [%s], %s, %s}\n", ops, when, effect)
	}
	for name, f := range driveFaults {
		t.Run("drive-"+name, func(t *testing.T) { w.survives(t, tr, "d-"+name, plan(f.ops, f.effect), "") })
	}
	for name, f := range sinkFaults {
		t.Run("sink-"+name, func(t *testing.T) { w.survives(t, tr, "s-"+name, "", plan(f.ops, f.effect)) })
	}
}

func (w *world) survives(t *testing.T, tr tree, prefix, drive, sink string) {
	w = &world{t: t, drive: w.drive, sink: w.sink, dir: t.TempDir()}
	before := w.fired()
	w.faults(drive, sink)
	out := w.finish("copy", tr.root, prefix, "--workers", "40")
	assert.Greater(t, w.fired(), before, "the fault never struck: %s", out)
	w.verify(tr, prefix)
	w.faults("", "")
	assert.Contains(t, w.finish("copy", tr.root, prefix), "copied       0 of", "a second run finds everything unchanged")
}

func (w *world) fired() int64 {
	d, err := w.drive.Counters(w.t.Context())
	require.NoError(w.t, err)
	s, err := w.sink.Counters(w.t.Context())
	require.NoError(w.t, err)
	return d.FaultsFired + s.FaultsFired
}

// TestRefusedFilesAreListed: what Drive doesn't give is in the summary with its reason, and the rest is copied.
func TestRefusedFilesAreListed(t *testing.T) {
	w := newWorld(t)
	tr := w.tree(faultTree, 1)
	w.faults("rules:\n  - {ops: [export], error: {reason: exportSizeLimitExceeded}}\n", "")
	out := w.finish("copy", tr.root, "refused")
	assert.Equal(t, 6, strings.Count(out, "(exportSizeLimitExceeded)"), out)
	assert.Len(t, w.objects("refused"), 34)
}

// TestVerifyFindsDifferences: verify succeeds on a complete copy and names the missing files.
func TestVerifyFindsDifferences(t *testing.T) {
	w := newWorld(t)
	tr := w.tree(faultTree, 1)
	w.finish("copy", tr.root, "whole")
	w.finish("verify", tr.root, "whole")
	w.finish("copy", tr.root, "part", "--max-size", "30KiB")
	r := w.start("verify", tr.root, "part")
	require.Error(t, r.wait())
	assert.Equal(t, 1, r.cmd.ProcessState.ExitCode())
	assert.Contains(t, r.out.String(), "(missing): nothing is stored under this key")
}

// TestGracefulStop: SIGTERM ends a run with exit code 1 and a queue that the next run finishes.
func TestGracefulStop(t *testing.T) {
	w := newWorld(t)
	tr := w.tree(crashTree, 1)
	w.faults("bandwidth: {total: 2MiB}\n", "")
	r := w.start("copy", tr.root, "term", "--stop-timeout", "3s")
	for {
		c, err := w.sink.Counters(t.Context())
		require.NoError(t, err)
		if c.Finished > 20 {
			break
		}
	}
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGTERM))
	require.Error(t, r.wait())
	assert.Equal(t, 1, r.cmd.ProcessState.ExitCode())
	assert.Contains(t, r.out.String(), "the same command goes on from here")
	w.faults("", "")
	w.finish("copy", tr.root, "term")
	w.verify(tr, "term")
}
