package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/needs"
	"github.com/memsoak/memsoak/migrator/internal/rig"
)

// server is a real broker.
type server interface {
	URL() string
	Kill()
	Start() error
}

// brokers are the servers that the tests of this file run on, each started when the first test needs it.
var brokers = map[string]func(context.Context) (server, error){
	"redis":    once(func(ctx context.Context, dir string) (server, error) { return rig.Redis(ctx, dir) }),
	"rabbitmq": once(func(ctx context.Context, dir string) (server, error) { return rig.Rabbit(ctx, dir) }),
}

// stopBrokers stops what once started.
var stopBrokers []func()

func once(start func(context.Context, string) (server, error)) func(context.Context) (server, error) {
	var s server
	var err error
	var did sync.Once
	return func(ctx context.Context) (server, error) {
		did.Do(func() {
			var dir string
			if dir, err = rig.ServerDir(); err != nil {
				return
			}
			started, failed := start(ctx, dir)
			if err = failed; err != nil {
				os.RemoveAll(dir) // and there is nothing to stop
				return
			}
			s = started
			stopBrokers = append(stopBrokers, func() {
				switch s := s.(type) {
				case *rig.RabbitServer:
					s.Stop()
				case *rig.RedisServer:
					s.Kill()
				}
				os.RemoveAll(dir)
			})
		})
		return s, err
	}
}

// TestAMissingBrokerIsNotStopped: a server that never ran can be in the interface as a typed nil.
func TestAMissingBrokerIsNotStopped(t *testing.T) {
	before := len(stopBrokers)
	s, err := once(func(context.Context, string) (server, error) {
		var none *rig.RedisServer
		return none, needs.ErrMissing
	})(t.Context())
	require.ErrorIs(t, err, needs.ErrMissing)
	assert.True(t, s == nil)
	assert.Len(t, stopBrokers, before)
}

// shared is a world whose migrations are spread over processes that share a queue on a real broker.
type shared struct {
	*world
	broker server
	relay  *rig.Relay // between the processes and the broker
	url    string     // of the broker by way of the relay
}

func newShared(t *testing.T, s server) *shared {
	u, err := url.Parse(s.URL())
	require.NoError(t, err)
	relay, err := rig.NewRelay(u.Host)
	require.NoError(t, err)
	t.Cleanup(relay.Close)
	u.Host = relay.Addr
	return &shared{newWorld(t), s, relay, u.String()}
}

// onBrokers runs a test on every broker.
func onBrokers(t *testing.T, test func(*testing.T, *shared)) {
	for name, start := range brokers {
		t.Run(name, func(t *testing.T) {
			s, err := start(context.WithoutCancel(t.Context()))
			needs.Skip(t, err)
			require.NoError(t, err)
			test(t, newShared(t, s))
		})
	}
}

// part starts a process of a migration, with the prefix as the queue's name.
func (s *shared) part(command, prefix string, extra ...string) *run {
	args := append([]string{command, "--drive-endpoint", s.drive.HTTP, "--s3-endpoint", s.sink.HTTP, "--bucket", bucket,
		"--queue", s.url, "--queue-name", prefix, "--lease", "1s", "--queue-patience", "5m", "--backoff", "5ms",
		"--backoff-max", "100ms", "--attempts",
		"30",
		"--sink-timeout", "2s"}, extra...)
	r := &run{cmd: exec.Command(bins.Migrator, args...)}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(s.t, r.cmd.Start())
	r.wait = sync.OnceValue(r.cmd.Wait)
	s.t.Cleanup(func() { _ = r.cmd.Process.Kill(); _ = r.wait() })
	return r
}

func (s *shared) discoverer(root, prefix string) *run {
	return s.part("discover", prefix, "--prefix", prefix, "--page-size", "50", root)
}

func (s *shared) uploader(prefix string) *run {
	return s.part("upload", prefix, "--workers", "4", "--spool-dir", s.dir, "--multipart-threshold", "6MiB", "--part-size",
		fmt.Sprint(partSize))
}

// ends waits for a process to end by itself, well.
func (s *shared) ends(r *run) {
	s.t.Helper()
	timer := time.AfterFunc(2*time.Minute, func() { _ = r.cmd.Process.Signal(syscall.SIGQUIT) })
	defer timer.Stop()
	require.NoError(s.t, r.wait(), "%s", &r.out)
}

// status is what migrator status --json says of a queue.
type status struct {
	Totals struct{ Files, Copied, Skipped, Failed int64 }
	Left   int64 `json:"files_left"`
	Alive  int64 `json:"processes"`
}

func (s *shared) status(prefix string) status {
	r := s.statusCmd(prefix, "--json")
	s.ends(r)
	var st status
	require.NoError(s.t, json.Unmarshal(bytes.TrimSpace(r.out.Bytes()), &st), "%s", &r.out)
	return st
}

// forget removes a finished migration from the broker, and sees to it that nothing is left.
func (s *shared) forget(prefix string) {
	r := &run{cmd: exec.Command(bins.Migrator, "forget", "--queue", s.url, "--queue-name", prefix)}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	require.NoError(s.t, r.cmd.Start())
	r.wait = sync.OnceValue(r.cmd.Wait)
	s.ends(r)
	gone := s.statusCmd(prefix)
	require.Error(s.t, gone.wait())
	require.Contains(s.t, gone.out.String(), "no migration was begun")
}

func (s *shared) statusCmd(prefix string, extra ...string) *run {
	r := &run{cmd: exec.Command(bins.Migrator, append([]string{"status", "--queue", s.url, "--queue-name", prefix},
		extra...)...)}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	require.NoError(s.t, r.cmd.Start())
	r.wait = sync.OnceValue(r.cmd.Wait)
	return r
}

// partKills is the number of points of TestPartsKilled on each broker: 3, one of each kind, and 50 in the long form
// (make test-long).
func partKills() int {
	switch {
	case os.Getenv("MEMSOAK_LONG") != "":
		return 50
	case testing.Short():
		return 1
	}
	return 3
}

// TestPartsKilled runs two discoverers and four uploaders, kills one of them at a random point of the progress and
// puts another in its place, as an orchestrator does; at each third point the broker is killed and started again, too,
// and at each third every connection to it is cut.
// Every object is compared with the corpus, and the totals of the queue count each file once.
func TestPartsKilled(t *testing.T) { onBrokers(t, testPartsKilled) }

func testPartsKilled(t *testing.T, s *shared) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range partKills() {
		prefix := fmt.Sprintf("parts-%d", i)
		tr := s.tree(crashTree, 1)
		files := int64(len(tr.expected(prefix)))
		before, err := s.sink.Counters(t.Context())
		require.NoError(t, err)
		parts := []*run{s.discoverer(tr.root, prefix), s.discoverer(tr.root, prefix)}
		for range 4 {
			parts = append(parts, s.uploader(prefix))
		}
		s.reach(before.Finished+rnd.Int64N(files), parts)
		victim := rnd.IntN(len(parts))
		if i == 0 {
			victim = 2 // an uploader for certain
		}
		_ = parts[victim].cmd.Process.Kill()
		_ = parts[victim].wait()
		if i%3 == 1 {
			s.broker.Kill()
			require.NoError(t, s.broker.Start())
		}
		if i%3 == 2 {
			s.relay.Cut()
		}
		if victim < 2 {
			parts[victim] = s.discoverer(tr.root, prefix)
		} else {
			parts[victim] = s.uploader(prefix)
		}
		for _, p := range parts {
			s.ends(p)
		}
		s.verify(tr, prefix)
		st := s.status(prefix)
		assert.Zero(t, st.Left)
		assert.Zero(t, st.Totals.Failed)
		assert.GreaterOrEqual(t, st.Totals.Copied+st.Totals.Skipped, files)
		assert.LessOrEqual(t, st.Totals.Copied+st.Totals.Skipped, st.Totals.Files, "a file counts once")
		if t.Failed() {
			t.Fatalf("after point %d, victim %d, prefix %s", i, victim, prefix)
		}
		s.forget(prefix)
	}
}

// reach waits until the sink has finished so many uploads, or all parts have ended.
func (s *shared) reach(finished int64, parts []*run) {
	ended := make(chan struct{})
	go func() {
		for _, p := range parts {
			_ = p.wait()
		}
		close(ended)
	}()
	for {
		c, err := s.sink.Counters(s.t.Context())
		require.NoError(s.t, err)
		if c.Finished >= finished {
			return
		}
		select {
		case <-ended:
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// TestPartsStop: an uploader that is asked to stop gives back what it has, and another finishes immediately.
func TestPartsStop(t *testing.T) { onBrokers(t, testPartsStop) }

func testPartsStop(t *testing.T, s *shared) {
	tr, stop := s.tree("seed: 5\nfiles: 300\nfolders: 3\nsize: 2KiB\n", 1), name("stop")
	s.ends(s.discoverer(tr.root, stop))
	s.faults("", "bandwidth: {total: 100KiB}\n")
	u := s.part("upload", stop, "--workers", "4", "--lease", "1h")
	before, err := s.sink.Counters(t.Context())
	require.NoError(t, err)
	s.reach(before.Finished+20, []*run{u})
	require.NoError(t, u.cmd.Process.Signal(syscall.SIGTERM))
	err = u.wait()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%s", &u.out)
	assert.Equal(t, 1, exit.ExitCode(), "%s", &u.out)
	assert.Contains(t, u.out.String(), "stopped before the end")
	s.faults("", "")
	st := s.status(stop)
	assert.Positive(t, st.Left)
	assert.Zero(t, st.Alive)
	s.ends(s.part("upload", stop, "--lease", "1h"))
	s.verify(tr, stop)
}

// name is a queue's of one run of a test: brokers outlive it.
func name(of string) string { return fmt.Sprintf("%s-%08x", of, rand.Uint32()) }

// TestPartsRefuse: one clear line and exit code 1, and the queued items stay.
func TestPartsRefuse(t *testing.T) { onBrokers(t, testPartsRefuse) }

func testPartsRefuse(t *testing.T, s *shared) {
	tr, refuse := s.tree("seed: 6\nfiles: 3\nsize: 10\n", 1), name("refuse")
	s.ends(s.discoverer(tr.root, refuse))
	fails := func(r *run, code int, say string) {
		t.Helper()
		err := r.wait()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%s", &r.out)
		assert.Equal(t, code, exit.ExitCode(), "%s", &r.out)
		assert.Contains(t, r.out.String(), say)
	}
	fails(s.part("discover", refuse, "--prefix", "elsewhere", tr.root), 1, "holds another migration")
	fails(s.part("upload", refuse, "--bucket", "another-bucket"), 1, "give the same --bucket")
	fails(s.part("upload", refuse, "--queue", "redis://127.0.0.1:1"), 1, "can't be reached")
	fails(s.part("upload", refuse, "--queue", "amqp://127.0.0.1:1"), 1, "can't be reached")
	fails(s.part("upload", refuse, "--queue", "ftp://x"), 2, "want the URL of a broker")
	fails(s.part("upload", "re fuse"), 2, "queue name")
	fails(s.statusCmd("nothing"), 1, "no migration was begun")
	waits := s.part("discover", refuse, "--prefix", refuse, "--wait", tr.root)
	s.ends(s.uploader(refuse))
	s.ends(waits)
	assert.Contains(t, waits.out.String(), "done: ", "it ends when all is copied")
	s.verify(tr, refuse)
}

// TestExample runs what the README shows.
func TestExample(t *testing.T) {
	for _, queue := range []string{"redis", "rabbitmq"} {
		t.Run(queue, func(t *testing.T) {
			if queue == "rabbitmq" && os.Getenv("MEMSOAK_LONG") == "" {
				t.Skip("SKIPPED, the example starts another RabbitMQ, and is part of the long form: " +
					"MEMSOAK_LONG=1, or make test-long")
			}
			start := brokers[queue]
			_, err := start(context.WithoutCancel(t.Context()))
			needs.Skip(t, err)
			require.NoError(t, err)
			needs.Get(t, "curl") // of the script
			cmd := exec.CommandContext(t.Context(), "../../examples/processes.sh", filepath.Dir(bins.Migrator))
			cmd.Env = append(os.Environ(), "QUEUE="+queue)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			assert.Contains(t, string(out), "of 3000", "status")
			assert.Contains(t, string(out), "verified     3000 of 3000", "verify")
		})
	}
}
