package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// crashTree has a bit of everything: folders of more than one page (--page-size 50), duplicates, odd names, documents,
// shortcuts, and files that go in parts.
const crashTree = `
seed: 7
files: 450
folders: 6
depth: 2
spread: even
size:
  classes:
    - {share: 10, fixed: 0}
    - {share: 2, fixed: 11MiB}
    - {share: 378, lognormal: {median: 2KiB, sigma: 1, min: 1, max: 64KiB}}
export_size: 20KiB
kinds: {documents: 12, spreadsheets: 8, presentations: 5, shortcuts: 10, dangling: 3}
flags: {trashed: 10}
names: {duplicates: 5%, slashes: 10, quotes: 10, emoji: 10, long: 5, spaces: 5}
`

// faultsOfDrive and faultsOfSink strike every phase of a transfer now and then. A file is given up after four wrong
// digests; which tries are struck follows from the seed, so that one file could be struck each time: hence the limit.
const faultsOfDrive = `
seed: %d
rules:
  - {ops: [list], probability: 0.2, error: {status: 503, reason: backendError}}
  - {ops: [list], probability: 0.1, error: {reason: userRateLimitExceeded}}
  - {ops: [list], probability: 0.1, duplicates: 3}
  - {ops: [list], probability: 0.1, empty_page: true}
  - {ops: [get], probability: 0.2, error: {status: 500, reason: internalError}}
  - {ops: [download, export], probability: 0.05, error: {status: 429, reason: rateLimitExceeded}}
  - {ops: [download, export], probability: 0.05, reset: {after: 100}}
  - {ops: [download], probability: 0.05, truncate: {after: 50, framing: close}}
  - {ops: [download], probability: 0.02, truncate: {after: 50, framing: chunked}}
  - {ops: [download], probability: 0.02, limit: 3, flip: {after: 1}}
`

const faultsOfSink = `
seed: %d
rules:
  - {ops: [put, upload-part], probability: 0.05, error: {status: 503, reason: SlowDown}}
  - {ops: [put, upload-part], probability: 0.03, reset: {after: 10}}
  - {ops: [put, upload-part, complete-upload, create-upload], probability: 0.03, reset: {at: end}}
  - {ops: [head, list, list-uploads], probability: 0.05, error: {status: 500, reason: InternalError}}
`

// kills is the number of random points of the crash test: 20, 200 in the long form (make test-long), six a round of
// make chaos, and POINTS of make kills.
func kills() int {
	points, _ := strconv.Atoi(os.Getenv("MEMSOAK_KILLS"))
	switch {
	case points > 0:
		return points
	case rounds() > 0:
		return 6 * rounds()
	case os.Getenv("MEMSOAK_LONG") != "":
		return 200
	case testing.Short():
		return 3
	}
	return 20
}

// TestKilledAnywhere kills runs at random points of their progress, three of four with faults on both sides, lets the
// same command go on, and compares every object with the corpus.
func TestKilledAnywhere(t *testing.T) {
	w := newWorld(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	done := ledgerOfKills(t)
	row(t, "kill -9, then restarts", complete, func() string { return fmt.Sprintf("%v, seed %d", done, seed) })
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := done.Copies; i < kills(); i++ {
		prefix := fmt.Sprintf("kill-%d", i)
		tr := w.tree(crashTree, 1)
		files := int64(len(tr.expected(prefix)))
		faulty, struck := i%4 > 0, w.fired()
		before, err := w.sink.Counters(t.Context())
		require.NoError(t, err)
		if faulty {
			w.faults(fmt.Sprintf(faultsOfDrive, i), fmt.Sprintf(faultsOfSink, i))
		}
		for range 1 + rnd.IntN(3) {
			if w.killAt(tr.root, prefix, before.Finished+rnd.Int64N(files), rnd.Int64N(20)) {
				done.Kills++
			}
		}
		w.finish("copy", tr.root, prefix)
		w.faults("", "")
		w.verify(tr, prefix)
		if after, err := w.sink.Counters(t.Context()); assert.NoError(t, err) && !faulty {
			// Three kills leave at most three times eight files in the air; parts count as uploads.
			assert.LessOrEqual(t, after.Finished-before.Finished, files+3*8+3*3, "finished files were copied again")
		}
		if t.Failed() {
			t.Fatalf("after point %d, prefix %s", i, prefix)
		}
		done.Copies++
		if faulty {
			done.Faulted += files
			done.Struck += w.fired() - struck
		}
		done.keep(t)
	}
}

// killLedger is what TestKilledAnywhere has done, every object of it compared. With MEMSOAK_KILLS_DIR it is kept there,
// so that a run of hours that was broken off can continue, and each ten copies are a line.
type killLedger struct {
	Copies, Kills int
	Faulted       int64 // files copied under faults
	Struck        int64 // faults that struck them
	Earlier       int   // copies of the runs before this one
	file          string
}

func ledgerOfKills(t *testing.T) *killLedger {
	l := &killLedger{}
	dir := os.Getenv("MEMSOAK_KILLS_DIR")
	if dir == "" {
		return l
	}
	require.NoError(t, os.MkdirAll(dir, 0o750))
	file := filepath.Join(dir, "kills.json")
	if b, err := os.ReadFile(file); err == nil {
		require.NoError(t, json.Unmarshal(b, l), file)
	}
	l.file, l.Earlier = file, l.Copies
	return l
}

func (l *killLedger) String() string {
	s := fmt.Sprintf("%d copies, %d kills, %d files under faults, %d faults", l.Copies, l.Kills, l.Faulted, l.Struck)
	if l.Earlier > 0 {
		s += fmt.Sprintf(", %d of the copies in earlier runs", l.Earlier)
	}
	return s
}

func (l *killLedger) keep(t *testing.T) {
	if l.file == "" {
		return
	}
	b, err := json.Marshal(l)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(l.file, b, 0o600))
	if l.Copies%10 == 0 {
		t.Logf("%v", l)
	}
}

// killAt runs a copy and kills it once the sink has finished so many uploads, and a random while later. It says whether
// the copy still ran.
func (w *world) killAt(root, prefix string, finished, ms int64) bool {
	r := w.start("copy", root, prefix)
	ended := make(chan struct{})
	go func() { _ = r.wait(); close(ended) }()
	for {
		c, err := w.sink.Counters(w.t.Context())
		require.NoError(w.t, err)
		if c.Finished >= finished {
			break
		}
		select {
		case <-ended:
			return false
		case <-time.After(2 * time.Millisecond):
		}
	}
	select {
	case <-ended:
		return false
	case <-time.After(time.Duration(ms) * time.Millisecond):
	}
	_ = r.cmd.Process.Kill()
	<-ended
	return r.cmd.ProcessState.ExitCode() == -1
}

// TestMultipartGoesOn kills a run in the middle of a file that goes in parts: the parts stored aren't sent again, but
// for one that was stored when the kill came before its checkpoint.
func TestMultipartGoesOn(t *testing.T) {
	w := newWorld(t)
	tr := w.tree("seed: 3\nfiles: 1\nsize: 60MiB\n", 1)
	w.faults("bandwidth: {total: 40MiB}\n", "")
	w.killAt(tr.root, "parts", 5, 0)
	w.faults("", "")
	before, err := w.sink.Counters(t.Context())
	require.NoError(t, err)
	w.finish("copy", tr.root, "parts")
	after, err := w.sink.Counters(t.Context())
	require.NoError(t, err)
	assert.LessOrEqual(t, after.Finished-before.Finished, int64(12-5+1), "parts with a checkpoint went again")
	w.verify(tr, "parts")
}

// TestLargeFilesOfOneName copies files of one name in parallel, each in parts, from pages of one file each: every
// one looks under the same key and finds nothing there. The store's condition decides who made it.
func TestLargeFilesOfOneName(t *testing.T) {
	w := newWorld(t)
	tr := w.tree("seed: 5\nfiles: 8\nsize: 8MiB\nnames: {duplicates: 5}\n", 1)
	w.faults("bandwidth: {stream: 8MiB}\n", "")
	w.finish("copy", tr.root, "same", "--workers", "8", "--page-size", "1")
	w.verify(tr, "same")
}
