package cgroup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

func TestReadVersion2FromRecordedFiles(t *testing.T) {
	c, err := readV2("testdata/v2")
	require.NoError(t, err)
	assert.Equal(t, record.Cgroup{
		Usage: 50 << 20, Peak: 70 << 20, Limit: 128 << 20, Anon: 40 << 20, File: 4 << 20, Shmem: 2 << 20, Kernel: 1576960,
		OOMs: 2,
	}, c)
	assert.Equal(t, []int{4242, 4250}, procs("testdata/v2"))
}

func TestReadVersion2WithoutPeakAndLimit(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/v2")))
	require.NoError(t, os.Remove(filepath.Join(dir, "memory.peak"))) // before Linux 5.19
	require.NoError(t, os.WriteFile(filepath.Join(dir, "memory.max"), []byte("max\n"), 0o644))
	c, err := readV2(dir)
	require.NoError(t, err)
	assert.Zero(t, c.Peak)
	assert.Zero(t, c.Limit, "max is no limit")
}

func TestReadVersion1FromRecordedFiles(t *testing.T) {
	c, err := readV1("testdata/v1")
	require.NoError(t, err)
	assert.Equal(t, record.Cgroup{
		Usage: 14807040, Peak: 15069184, Limit: 0, Anon: 13996032, File: 1048576, Shmem: 4096, Kernel: 544768, OOMs: 1,
	}, c, "a number near the largest is no limit; cache includes shmem")
}

func TestReadSaysWhatIsMissing(t *testing.T) {
	_, err := readV1(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = readV2(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestReapTouchesOnlyItsOwn(t *testing.T) {
	dir := t.TempDir()
	require.ErrorContains(t, Reap(dir), "not one of ours")
	assert.DirExists(t, dir)
	require.NoError(t, Reap(filepath.Join(dir, prefix+"gone")), "what is gone needs no reaping")
}

func parent(t *testing.T, node int64) *Parent {
	t.Helper()
	noted := ""
	p, err := Open("test-"+strconv.Itoa(os.Getpid())+"-"+strconv.FormatInt(time.Now().UnixNano(), 10), node,
		func(dir string) {
			noted = dir
			assert.NoDirExists(t, dir, "the directory is noted before it is made")
		})
	if err != nil {
		t.Skipf("SKIPPED, this machine lets us make no cgroup: %v", err)
	}
	assert.Equal(t, p.dir, noted)
	t.Cleanup(func() {
		assert.NoError(t, p.Close())
		assert.NoDirExists(t, p.dir)
	})
	return p
}

// eat is a process that takes as many bytes of memory.
func eat(bytes int) *exec.Cmd {
	return exec.Command("sh", "-c", `head -c "$0" /dev/zero | tail -c "$0" >/dev/null`, strconv.Itoa(bytes))
}

func TestAProcessAboveItsLimitIsKilledAndCounted(t *testing.T) {
	p := parent(t, 0)
	g, err := p.New("oom", 32<<20)
	require.NoError(t, err)
	cmd := eat(200 << 20)
	done, err := g.Enter(cmd)
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	done()
	assert.Error(t, cmd.Wait())
	c, err := g.Read()
	require.NoError(t, err)
	assert.Positive(t, c.OOMs)
	assert.EqualValues(t, 32<<20, c.Limit)
	assert.Greater(t, c.Peak, int64(30<<20))
	require.NoError(t, g.Close())
	assert.NoDirExists(t, g.dir)
}

func TestCloseKillsWhatIsInTheGroup(t *testing.T) {
	p := parent(t, 0)
	g, err := p.New("sleepers", 0)
	require.NoError(t, err)
	cmd := exec.Command("sh", "-c", "sleep 3600 & sleep 3600")
	done, err := g.Enter(cmd)
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	done()
	require.Eventually(t, func() bool { return len(procs(g.dir)) >= 2 }, 10*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool { // the kernel counts in batches
		usage, err := g.Usage()
		require.NoError(t, err)
		c, err := g.Read()
		require.NoError(t, err)
		return usage > 0 && usage == c.Usage
	}, 10*time.Second, 5*time.Millisecond, "both read the same account")
	waited := make(chan error, 1)
	go func() { waited <- cmd.Wait() }()
	require.NoError(t, g.Close())
	assert.Error(t, <-waited, "killed")
	assert.NoDirExists(t, g.dir)
	_, err = g.Usage()
	assert.Error(t, err)
}
