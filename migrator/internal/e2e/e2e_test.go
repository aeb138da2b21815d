package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/rig"
)

const bucket = "e2e-bucket"

// partSize is the migrator's in these tests, so that files of a few megabytes go in parts.
const partSize = 5 << 20

var bins rig.Binaries

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "migrator-e2e-")
	if err == nil {
		bins, err = rig.Build(context.Background(), dir)
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the programs:", err)
	} else {
		code = m.Run()
	}
	for _, stop := range stopBrokers {
		stop()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// world is a pair of fakes and a folder for the migrator's state.
type world struct {
	t     *testing.T
	drive *rig.Fake
	sink  *rig.Fake
	dir   string
}

func newWorld(t *testing.T, driveArgs ...string) *world {
	w := &world{t: t, dir: t.TempDir()}
	var err error
	w.drive, err = rig.Drive(w.dir, bins.Fakedrive, driveArgs...)
	require.NoError(t, err)
	t.Cleanup(w.drive.Stop)
	w.sink, err = rig.Sink(w.dir, bins.Soak, bucket)
	require.NoError(t, err)
	t.Cleanup(w.sink.Stop)
	return w
}

// tree is a synthetic tree as both the fake and the test know it.
type tree struct {
	*corpus.Tree
	root string
}

func (w *world) tree(spec string, generation uint64) tree {
	parsed, err := corpus.ParseSpec([]byte(spec))
	require.NoError(w.t, err)
	tr, err := corpus.New(parsed, generation)
	require.NoError(w.t, err)
	r, err := w.drive.Root(w.t.Context(), "", spec, generation)
	require.NoError(w.t, err)
	require.Equal(w.t, tr.ID(0), r.ID, "the fake serves the tree that the test computes")
	return tree{tr, r.ID}
}

// faults sets both plans; empty texts clear them.
func (w *world) faults(drive, sink string) {
	for _, p := range []struct {
		f    *rig.Fake
		plan string
	}{{w.drive, drive}, {w.sink, sink}} {
		if p.plan == "" {
			require.NoError(w.t, p.f.Call(w.t.Context(), http.MethodDelete, "faults", nil, nil))
		} else {
			require.NoError(w.t, p.f.Call(w.t.Context(), http.MethodPut, "faults", json.RawMessage(p.plan), nil))
		}
	}
}

// run is a migrator process.
type run struct {
	cmd  *exec.Cmd
	out  bytes.Buffer
	wait func() error
}

func (w *world) start(command, root, prefix string, extra ...string) *run {
	args := append([]string{command, "--drive-endpoint", w.drive.HTTP, "--s3-endpoint", w.sink.HTTP, "--bucket", bucket,
		"--prefix", prefix, "--state-dir", filepath.Join(w.dir, "state"), "--spool-dir", w.dir,
		"--backoff", "5ms", "--backoff-max", "100ms", "--attempts", "30", "--idle-timeout", "1s", "--sink-timeout", "2s",
		"--page-size", "50", "--multipart-threshold", "6MiB", "--part-size", fmt.Sprint(partSize)}, extra...)
	if command != "copy" {
		args = append(args[:9], args[11:]...)
	}
	r := &run{cmd: exec.Command(bins.Migrator, append(args, root)...)}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(w.t, r.cmd.Start())
	r.wait = sync.OnceValue(r.cmd.Wait)
	w.t.Cleanup(func() { _ = r.cmd.Process.Kill(); _ = r.wait() })
	return r
}

// finish runs a command to its end within a minute and wants it to succeed.
func (w *world) finish(command, root, prefix string, extra ...string) string {
	w.t.Helper()
	r := w.start(command, root, prefix, extra...)
	timer := time.AfterFunc(time.Minute, func() { _ = r.cmd.Process.Signal(syscall.SIGQUIT) })
	defer timer.Stop()
	require.NoError(w.t, r.wait(), "%s", &r.out)
	return r.out.String()
}

type stored struct {
	Key      string            `json:"key"`
	Size     int64             `json:"size"`
	MD5      string            `json:"md5"`
	ETag     string            `json:"etag"`
	Metadata map[string]string `json:"metadata"`
}

// objects returns what the sink holds below a prefix, by key.
func (w *world) objects(prefix string) map[string]stored {
	var b bytes.Buffer
	require.NoError(w.t, w.sink.Call(w.t.Context(), http.MethodGet, "objects?bucket="+bucket+"&prefix="+prefix+"/", nil,
		&b))
	m := map[string]stored{}
	s := bufio.NewScanner(&b)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var o stored
		require.NoError(w.t, json.Unmarshal(s.Bytes(), &o))
		m[o.Key] = o
	}
	require.NoError(w.t, s.Err())
	return m
}

// want is an object that a complete migration leaves.
type want struct {
	content int64 // ordinal of the item whose bytes it has
	id      string
}

var exportExt = map[corpus.Kind]string{corpus.Document: ".docx", corpus.Spreadsheet: ".xlsx",
	corpus.Presentation: ".pptx"}

// expected computes every key from the tree alone, by the documented rule.
func (tr tree) expected(prefix string) map[string]want {
	prefixes := map[int64]string{0: prefix + "/"}
	byPlain := map[string][]want{}
	for n := int64(1); n < tr.Len(); n++ {
		it := tr.Item(n)
		if it.Trashed {
			continue
		}
		parent := prefixes[it.Parent]
		if it.Kind == corpus.Folder {
			prefixes[n] = migrator.FolderPrefix(parent, migrator.Segment(it.Name))
			continue
		}
		content := n
		if it.Kind == corpus.Shortcut {
			if it.Dangling(tr.Len()) || tr.Item(it.Target).Trashed {
				continue
			}
			content = it.Target
		}
		plain := migrator.FileKey(parent, migrator.Segment(it.Name+exportExt[tr.Item(content).Kind]))
		byPlain[plain] = append(byPlain[plain], want{content, tr.ID(n)})
	}
	out := map[string]want{}
	for plain, files := range byPlain {
		first := 0
		for i := range files {
			if files[i].id < files[first].id {
				first = i
			}
		}
		for i, f := range files {
			key := plain
			if i != first {
				key = migrator.WithID(plain, f.id)
			}
			out[key] = f
		}
	}
	return out
}

// verify compares every object below the prefix with the tree: keys, sizes, checksums and metadata.
func (w *world) verify(tr tree, prefix string) {
	w.t.Helper()
	have, expect := w.objects(prefix), tr.expected(prefix)
	for key, x := range expect {
		o, ok := have[key]
		if !assert.True(w.t, ok, "missing: %s", key) {
			continue
		}
		it := tr.Item(x.content)
		assert.Equal(w.t, it.ContentLength(), o.Size, key)
		assert.Equal(w.t, tr.ID(x.content), o.Metadata[migrator.MetaID], key)
		assert.Equal(w.t, it.MimeType, o.Metadata[migrator.MetaMIME], key)
		assert.Equal(w.t, it.Modified.UTC().Format("2006-01-02T15:04:05.000Z"), o.Metadata[migrator.MetaMTime], key)
		if strings.Contains(o.ETag, "-") {
			assert.Equal(w.t, multipartTag(tr.Open(x.content, 0)), strings.Trim(o.ETag, `"`), key)
		} else {
			assert.Equal(w.t, tr.Sums(x.content, corpus.MD5).MD5Hex(), o.MD5, key)
		}
	}
	for key := range have {
		assert.Contains(w.t, expect, key, "an object that nobody asked for")
	}
}

// multipartTag is the ETag of content stored in parts of partSize.
func multipartTag(r io.Reader) string {
	var sums []byte
	n := 0
	for ; ; n++ {
		h := md5.New()
		if k, _ := io.CopyN(h, r, partSize); k == 0 {
			break
		}
		sums = h.Sum(sums)
	}
	whole := md5.Sum(sums)
	return fmt.Sprintf("%s-%d", hex.EncodeToString(whole[:]), n)
}
