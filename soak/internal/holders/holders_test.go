//go:build linux

package holders_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/holders"
)

// patience bounds what waits for another process on a busy machine.
const patience = 2 * time.Minute

// programs are those of testdata, built once each.
var programs struct {
	sync.Mutex
	dir   string
	built map[string]string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if programs.dir != "" {
		os.RemoveAll(programs.dir)
	}
	os.Exit(code)
}

// build makes the program of testdata.
func build(t *testing.T, flags ...string) string {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("processes are read on linux/amd64 and linux/arm64 only")
	}
	programs.Lock()
	defer programs.Unlock()
	key := strings.Join(flags, " ")
	if exe := programs.built[key]; exe != "" {
		return exe
	}
	if programs.dir == "" {
		dir, err := os.MkdirTemp("", "holders-test-")
		require.NoError(t, err)
		require.NoError(t, os.Chmod(dir, 0o755))
		programs.dir, programs.built = dir, map[string]string{}
	}
	exe := filepath.Join(programs.dir, fmt.Sprintf("subject-%d", len(programs.built)))
	args := append([]string{"build", "-o", exe}, flags...)
	out, err := exec.Command("go", append(args, "./testdata/subject")...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	programs.built[key] = exe
	return exe
}

// start runs a scenario of the program until the test ends and returns when it holds its memory.
func start(t *testing.T, exe, scenario string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(exe, scenario)
	cmd.Env = append(os.Environ(), "GODEBUG=memprofilerate=4096")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		_, _ = io.Copy(io.Discard, out)
		assert.NoError(t, cmd.Wait(), "the subject of %s did not go on to its end", scenario)
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	return cmd
}

// allocated are the readings of the site that all scenarios allocate at.
func allocated(t *testing.T, h *record.Holders) record.HeldSite {
	t.Helper()
	for _, s := range h.Sites {
		if s.Site.Function == "main.allocate" {
			return s
		}
	}
	require.Fail(t, "main.allocate is not among the sites", "%+v", h.Sites)
	return record.HeldSite{}
}

// trace looks at a subject by tracing it. Nothing else of the test waits for the process meanwhile.
func trace(t *testing.T, cmd *exec.Cmd) record.HeldSite {
	t.Helper()
	h, err := holders.Find(t.Context(), holders.Options{PID: cmd.Process.Pid, Budget: patience})
	require.NoError(t, err)
	return allocated(t, h)
}

func TestTheHolderIsTheRootOfThePath(t *testing.T) {
	exe := build(t)
	for scenario, want := range map[string][]string{
		"map": {"main.registry (package variable)", "map[string]*main.session", "main.session.buf",
			"[]byte of 4.0 KiB"},
		"pointer": {"main.service (package variable)", ".sessions", "map[string]*main.session", "main.session.buf",
			"[]byte of 4.0 KiB"},
		"syncmap": {"main.shared (package variable)", ".m.root", "sync.Map ...", "main.session.buf", "[]byte of 4.0 KiB"},
		"channel": {"main.queue (package variable)", "chan []byte", "[][]byte", "[]byte of 4.0 KiB"},
		"list": {"main.recent (package variable)", "", "list.Element", "list.Element.Value", "main.session.buf",
			"[]byte of 4.0 KiB"},
		"interface":  {"main.ifaces (package variable)", "[]fmt.Stringer", "main.session.buf", "[]byte of 4.0 KiB"},
		"any":        {"main.anything (package variable)", "map[int][]byte", "[]byte of 4.0 KiB"},
		"closure":    {"main.hooks (package variable)", "[]func() int", "closure main.", "[]byte of 4.0 KiB"},
		"goroutine":  {"main.keeper (goroutine)", "in main.keeper", "", ""},
		"goroutines": {"main.blocked (2,000 goroutines)", "", "of 4.0 KiB"},
		"context": {"main.background (package variable)", "context.cancelCtx.children", "map[context.canceler]struct {}",
			""},
		"timer": {"pending timers (of the runtime)", "[]runtime.timerWhen.timer", "runtime.timer.arg", "closure main.",
			"[]byte of 4.0 KiB"},
		"finalizer": {"finalizer main.dispose", "of 4.0 KiB"},
	} {
		t.Run(scenario, func(t *testing.T) {
			s := trace(t, start(t, exe, scenario))
			assert.NotEqual(t, record.HeldUnknown, s.Status, "%+v", s)
			assert.Greater(t, s.Share, 0.9)
			assert.EqualValues(t, 4096, s.ObjectSize)
			assert.InEpsilon(t, 2000*4096, s.Bytes, 0.25)
			require.GreaterOrEqual(t, len(s.Path), len(want), "%q", s.Path)
			for i, w := range want {
				assert.Contains(t, s.Path[i], w, "%q", s.Path)
			}
		})
	}
}

func TestTheHolderIsWhatAPersonKnows(t *testing.T) {
	exe := build(t)
	for scenario, want := range map[string]string{
		"map":       "main.registry",
		"pointer":   "main.service.sessions",
		"list":      "main.recent",
		"server":    "main.server.store.sessions",
		"goroutine": "kept in main.keeper",
	} {
		t.Run(scenario, func(t *testing.T) {
			s := trace(t, start(t, exe, scenario))
			assert.Equal(t, want, s.Holder, "%q", s.Path)
			assert.NotContains(t, strings.Join(s.Path[:len(s.Path)-1], " "), "object of", "a step says nothing")
		})
	}
}

func TestOneEachIsAnAnswer(t *testing.T) {
	exe := build(t)
	h, err := holders.Find(t.Context(), holders.Options{PID: start(t, exe, "workers").Process.Pid, Budget: patience})
	require.NoError(t, err)
	i := slices.IndexFunc(h.Sites, func(s record.HeldSite) bool { return s.Site.Function == "main.large" })
	require.GreaterOrEqual(t, i, 0, "%+v", h.Sites)
	s := h.Sites[i]
	assert.Equal(t, []int{1, 8}, []int{s.Each, s.Goroutines}, "%+v", s)
	assert.Contains(t, []record.HeldStatus{record.HeldByRoot, record.HeldByEach}, s.Status)
	assert.Equal(t, "main.(*worker).run (8 goroutines)", s.Path[0])
	assert.Equal(t, "main.worker.buf", s.Holder, "%q", s.Path)

	estimated := trace(t, start(t, exe, "goroutines"))
	assert.Equal(t, []int{1, 2000}, []int{estimated.Each, estimated.Goroutines}, "%+v", estimated)
	one := trace(t, start(t, exe, "goroutine"))
	assert.Zero(t, one.Each, "2,000 objects of one goroutine")
}

func TestWhatNoRootReachesIsGarbage(t *testing.T) {
	s := trace(t, start(t, build(t), "garbage"))
	assert.Equal(t, record.HeldUnknown, s.Status)
	assert.InDelta(t, 0.75, s.Garbage, 0.1, "three of four were dropped, and nothing has collected them")
}

func TestAStopIsAnnouncedWithItsBound(t *testing.T) {
	cmd := start(t, build(t), "map")
	state := ""
	_, err := holders.Find(t.Context(), holders.Options{PID: cmd.Process.Pid, Budget: patience,
		Announce: func(resident int64, atMost time.Duration, memory int64) {
			assert.Positive(t, memory)
			assert.Greater(t, resident, int64(1<<20))
			assert.Equal(t, patience, atMost)
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			assert.NoError(t, err)
			state = string(b)
		}})
	require.NoError(t, err)
	assert.Contains(t, state, "TracerPid:\t0\n", "it runs as yet")
	assert.Equal(t, 2*time.Second, holders.StopFor(1))
	assert.Equal(t, 2*time.Second, holders.StopFor(1<<30))
	assert.Equal(t, 4*time.Second, holders.StopFor(1<<30+1))
}

func TestAProcessRunsAgainWhileItsCopyIsJudged(t *testing.T) {
	cmd := start(t, build(t), "map")
	steps := 0
	h, err := holders.Find(t.Context(), holders.Options{PID: cmd.Process.Pid, Budget: patience, Progress: func(string) {
		steps++
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		assert.NoError(t, err)
		assert.Contains(t, string(b), "TracerPid:\t0\n")
	}})
	require.NoError(t, err)
	assert.GreaterOrEqual(t, steps, 4)
	assert.Equal(t, "main.registry (package variable)", allocated(t, h).Path[0])
	assert.Greater(t, h.Copied, int64(1<<20))
	assert.Less(t, h.Copied, int64(8<<20), "8 MB of buffers without pointers are not copied")
}

func TestAnalysisStaysWithinItsMemoryOrSaysWhatItTakes(t *testing.T) {
	cmd := start(t, build(t), "map") // its cleanup checks that it ends as it should
	_, err := holders.Find(t.Context(), holders.Options{PID: cmd.Process.Pid, Budget: patience, Memory: 1 << 20})
	require.ErrorIs(t, err, holders.ErrUnreadable)
	assert.Regexp(t, `takes \d.* of memory here, and 1.0 MiB are allowed: --memory allows more$`, err)
}

func TestTwoRootsThatShareAreNotOne(t *testing.T) {
	exe := build(t)
	halves := trace(t, start(t, exe, "two"))
	assert.Equal(t, record.HeldUnknown, halves.Status, "each map has half of the objects")
	assert.Empty(t, halves.Path)
	require.GreaterOrEqual(t, len(halves.Roots), 2)
	assert.ElementsMatch(t, []string{"main.left (package variable)", "main.right (package variable)"},
		[]string{halves.Roots[0].Root, halves.Roots[1].Root})

	both := trace(t, start(t, exe, "both"))
	assert.Equal(t, record.HeldByShared, both.Status, "one map, two variables")
	require.Len(t, both.Roots, 2)
	assert.ElementsMatch(t, []string{"main.left (package variable)", "main.right (package variable)"},
		[]string{both.Roots[0].Root, both.Roots[1].Root})
}

// TestWhatRunsFinalizersHoldsOnlyWhileItRunsOne: at other times its stack has words left over, which led to a whole
// list once in a hundred times.
func TestWhatRunsFinalizersHoldsOnlyWhileItRunsOne(t *testing.T) {
	const runner = "runtime.runFinalizers"
	exe := build(t)
	idle, err := holders.RootNames(t.Context(), start(t, exe, "finalizer").Process.Pid, exe)
	require.NoError(t, err)
	assert.Contains(t, idle, "main.main")
	assert.NotContains(t, idle, runner)

	busy := start(t, exe, "finalizing")
	names, err := holders.RootNames(t.Context(), busy.Process.Pid, exe)
	require.NoError(t, err)
	assert.Contains(t, names, runner)
	assert.Equal(t, runner+" (goroutine)", trace(t, busy).Path[0])
}

func TestAChildThatIsWaitedForIsStoppedAndGoesOn(t *testing.T) {
	cmd := exec.Command(build(t), "map")
	cmd.Env = append(os.Environ(), "GODEBUG=memprofilerate=4096")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	cmd.Stdout = w
	require.NoError(t, cmd.Start())
	w.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	_, err = bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	h, err := holders.Find(t.Context(), holders.Options{PID: cmd.Process.Pid, Child: true, Budget: patience})
	require.NoError(t, err)
	assert.Equal(t, "main.registry (package variable)", allocated(t, h).Path[0])
	select {
	case err := <-ended:
		require.Fail(t, "the wait for the child took its stop for its end", "%v", err)
	default:
	}
	in.Close()
	require.NoError(t, <-ended, "it goes on and ends as it should")
}

func TestWithoutWhatItTakesItSaysWhyNot(t *testing.T) {
	find := func(o holders.Options) error {
		_, err := holders.Find(t.Context(), o)
		require.ErrorIs(t, err, holders.ErrUnreadable)
		return err
	}
	stripped := start(t, build(t, "-ldflags=-s -w"), "map")
	assert.ErrorContains(t, find(holders.Options{PID: stripped.Process.Pid}), "stripped")
	assert.ErrorContains(t, find(holders.Options{PID: stripped.Process.Pid, Exe: "/bin/sh"}), "no Go program")
	assert.ErrorContains(t, find(holders.Options{PID: stripped.Process.Pid, Exe: build(t)}), "runs another build")
}

func TestTimeIsUpAndTheProcessGoesOn(t *testing.T) {
	cmd := start(t, build(t), "map") // its cleanup checks that it ends as it should
	_, err := holders.Find(t.Context(), holders.Options{PID: cmd.Process.Pid, Budget: time.Nanosecond})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, "main.registry (package variable)", trace(t, cmd).Path[0])
}

func TestAProcessOfAnotherUserIsRefused(t *testing.T) {
	if os.Getuid() == 0 {
		runAsNobody(t)
		return
	}
	_, err := holders.Find(t.Context(), holders.Options{PID: 1, Exe: build(t)})
	require.ErrorIs(t, err, os.ErrPermission)
	assert.ErrorContains(t, err, "may not be traced")
}

func TestACoreIsAsGoodAsItsProcess(t *testing.T) {
	exe := build(t)
	cmd := start(t, exe, "map")
	core := filepath.Join(t.TempDir(), "core")
	writeCore(t, cmd.Process.Pid, core)
	h, err := holders.Find(t.Context(), holders.Options{Core: core, Exe: exe})
	require.NoError(t, err)
	s := allocated(t, h)
	assert.Equal(t, "main.registry (package variable)", s.Path[0])
	assert.Equal(t, "main.registry", s.Holder)
	assert.Zero(t, h.Stopped)

	torn := filepath.Join(t.TempDir(), "torn")
	b, err := os.ReadFile(core)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(torn, b[:len(b)/2], 0o600))
	_, err = holders.Find(t.Context(), holders.Options{Core: torn, Exe: exe})
	require.Error(t, err)
	assert.NotContains(t, strings.ToLower(err.Error()), "panic")
}

// TestRefusedHelper is what runAsNobody runs.
func TestRefusedHelper(t *testing.T) {
	exe := os.Getenv("HOLDERS_EXE")
	if exe == "" {
		t.Skip("run by TestAProcessOfAnotherUserIsRefused")
	}
	pid, err := strconv.Atoi(os.Getenv("HOLDERS_PID"))
	require.NoError(t, err)
	_, err = holders.Find(t.Context(), holders.Options{PID: pid, Exe: exe})
	require.ErrorIs(t, err, os.ErrPermission)
	t.Log(err)
}

func TestTheDebuggersLibrariesStayOutOfTheSubjectAndTheFake(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "github.com/memsoak/memsoak/migrator/cmd/migrator",
		"github.com/memsoak/memsoak/fakedrive/cmd/fakedrive", "github.com/memsoak/memsoak/profiles").Output()
	require.NoError(t, err)
	assert.NotContains(t, string(out), "go-delve")
	assert.Contains(t, string(out), "github.com/memsoak/memsoak/migrator")
}
