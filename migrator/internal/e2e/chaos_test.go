package e2e

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rounds is the number of rounds of `make chaos`.
func rounds() int {
	n, _ := strconv.Atoi(os.Getenv("MEMSOAK_CHAOS"))
	return n
}

// row prints a row of the table of `make chaos` at the test's end.
func row(t *testing.T, name, asked string, seen func() string) {
	t.Cleanup(func() {
		note := "ok"
		switch {
		case t.Skipped():
			note = "NOT TESTED"
		case t.Failed():
			note = "MISSED"
		}
		t.Logf("| %-22s | asked %s | seen %s | %s", name, asked, seen(), note)
	})
}

// complete is what a migration must end in.
const complete = "complete and verified"

// stormOfDrive and stormOfSink strike each second request.
const stormOfDrive = `
rules:
  - ops: [list, get, download, export]
    probability: 0.5
    error: {status: 503, reason: backendError}
`
const stormOfSink = `
rules:
  - ops: [put, upload-part, create-upload, complete-upload]
    probability: 0.5
    error: {status: 503, reason: SlowDown}
`

// TestStormUntilDone: half of all requests on both sides are answered with 503, from the first to the last.
func TestStormUntilDone(t *testing.T) {
	w := newWorld(t)
	var struck int64
	row(t, "503 until done", complete, func() string { return fmt.Sprintf("%d answers of 503", struck) })
	tr := w.tree(faultTree, 1)
	w.faults(stormOfDrive, stormOfSink)
	before := w.fired()
	w.finish("copy", tr.root, "storm")
	struck = w.fired() - before
	require.Positive(t, struck, "the storm never struck")
	w.faults("", "")
	w.finish("verify", tr.root, "storm")
	w.verify(tr, "storm")
}

// TestStoppedAndContinued stops a run with SIGSTOP for longer than its connections wait, and lets it go on.
func TestStoppedAndContinued(t *testing.T) {
	w := newWorld(t)
	stops := 0
	row(t, "SIGSTOP and SIGCONT", complete, func() string { return fmt.Sprintf("%d stops of 2.5 s", stops) })
	tr := w.tree(faultTree, 1)
	w.faults("bandwidth: {total: 1MiB}\n", "")
	r := w.start("copy", tr.root, "stopped")
	ended := make(chan struct{})
	go func() { _ = r.wait(); close(ended) }()
	for range min(1+rounds(), 5) {
		if !w.moves(ended) {
			break
		}
		require.NoError(t, r.cmd.Process.Signal(syscall.SIGSTOP))
		stops++
		time.Sleep(2500 * time.Millisecond) // longer than --idle-timeout and --sink-timeout
		require.NoError(t, r.cmd.Process.Signal(syscall.SIGCONT))
	}
	require.Positive(t, stops, "the run was over before it was stopped")
	w.faults("", "")
	require.NoError(t, r.wait(), "%s", &r.out)
	w.finish("verify", tr.root, "stopped")
	w.verify(tr, "stopped")
}

// moves waits until the sink has finished one more upload, and says whether the run hasn't ended.
func (w *world) moves(ended <-chan struct{}) bool {
	before, err := w.sink.Counters(w.t.Context())
	require.NoError(w.t, err)
	for {
		select {
		case <-ended:
			return false
		case <-time.After(2 * time.Millisecond):
		}
		c, err := w.sink.Counters(w.t.Context())
		require.NoError(w.t, err)
		if c.Finished > before.Finished {
			return true
		}
	}
}
