// Command fakes3 measures what the S3 sink costs: its memory under many large uploads, and its speed as a ratio to a
// bare net/http handler that reads a body and throws it away. Both run as processes of their own and take the same
// requests from the same client in alternating rounds, so the ratios hold on a busy machine too.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/internal/stat"
	"github.com/memsoak/memsoak/internal/units"
)

// maxRSS is the bound on the sink's memory while it takes 16 concurrent uploads of 1 GiB.
const maxRSS = 48 << 20

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("bench fakes3", flag.ContinueOnError)
	fs.SetOutput(stderr)
	soak := fs.String("soak", "bin/soak", "the soak `program`")
	bare := fs.Bool("bare", false, "be the bare handler instead (for the program itself)")
	uploads := fs.Int("uploads", 16, "uploads at once")
	size := fs.Int64("size", 1<<30, "`bytes` of each")
	small := fs.Int("small", 5000, "small PUTs in a round")
	rounds := fs.Int("rounds", 3, "rounds of each comparison")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	var err error
	if *bare {
		err = serveBare(stdout)
	} else {
		err = measure(stdout, *soak, *uploads, *size, *small, *rounds)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench fakes3:", err)
		return 1
	}
	return 0
}

// serveBare is the yardstick: what any server of uploads has to do.
func serveBare(stdout io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, "bare handler at http://"+l.Addr().String())
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a client that breaks off is its own affair
		w.WriteHeader(http.StatusOK)
	}))
}

// server is a process that takes uploads.
type server struct {
	cmd *exec.Cmd
	url string
}

// startServer starts a server and reads its address from its first line.
func startServer(path string, args ...string) (*server, error) {
	s := &server{cmd: exec.Command(path, args...)}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	_, url, ok := strings.Cut(strings.TrimSpace(line), " at ")
	if err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("%s: no address in %q", path, line), s.stop())
	}
	s.url = url
	return s, nil
}

func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	_ = s.cmd.Wait() // ended by the signal
	return nil
}

// status is the kernel's account of the process.
func (s *server) status() (procfs.ProcStatus, error) {
	proc, err := procfs.NewProc(s.cmd.Process.Pid)
	if err != nil {
		return procfs.ProcStatus{}, err
	}
	return proc.NewStatus()
}

func measure(out io.Writer, soak string, uploads int, size int64, small, rounds int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	soak, err = filepath.Abs(soak)
	if err != nil {
		return err
	}
	sink, err := startServer(soak, "fakes3", "serve", "--listen", "127.0.0.1:0", "--bucket", "bench")
	if err != nil {
		return err
	}
	defer sink.stop() // the program ends: nothing is left to be done about an error
	bare, err := startServer(self, "-bare")
	if err != nil {
		return err
	}
	defer bare.stop()
	servers := [2]*server{sink, bare}

	idle, err := sink.status()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "sink, idle: RSS %s\n", units.FormatBytes(int64(idle.VmRSS)))
	err = compare(out, servers, rounds, fmt.Sprintf("throughput, %d uploads of %s at once", uploads,
		units.FormatBytes(int64(size/8))),
		func(s *server) (float64, string, error) {
			t, err := put(s, uploads, uploads, size/8)
			return float64(size/8*int64(uploads)) / t.Seconds() / (1 << 20), "MiB/s", err
		})
	if err != nil {
		return err
	}
	if err := compare(out, servers, rounds, fmt.Sprintf("small PUTs, %d of 4 KiB, 16 at once", small),
		func(s *server) (float64, string, error) {
			t, err := put(s, small, 16, 4<<10)
			return float64(small) / t.Seconds(), "/s", err
		}); err != nil {
		return err
	}
	return memory(out, soak, uploads, size)
}

// compare runs rounds on both servers in turn and prints medians and the ratio of the sink to the bare handler.
func compare(out io.Writer, servers [2]*server, rounds int, what string, round func(*server) (float64, string,
	error)) error {
	var speeds [2][]float64
	var ratios []float64
	unit := ""
	for range rounds {
		for i, s := range servers {
			v, u, err := round(s)
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			speeds[i], unit = append(speeds[i], v), u
		}
		last := len(speeds[0]) - 1
		ratios = append(ratios, speeds[0][last]/speeds[1][last])
	}
	fmt.Fprintf(out, "%s: sink %.0f %s, bare handler %.0f %s, ratio %.2f (median of %d rounds, client included)\n",
		what, stat.Median(speeds[0]), unit, stat.Median(speeds[1]), unit, stat.Median(ratios), rounds)
	return nil
}

// memory takes the peak RSS of a fresh sink under the uploads, and demands the bound.
func memory(out io.Writer, soak string, uploads int, size int64) error {
	sink, err := startServer(soak, "fakes3", "serve", "--listen", "127.0.0.1:0", "--bucket", "bench")
	if err != nil {
		return err
	}
	defer sink.stop()
	if _, err := put(sink, uploads, uploads, size); err != nil {
		return err
	}
	status, err := sink.status()
	if err != nil {
		return err
	}
	peak := int64(status.VmHWM)
	fmt.Fprintf(out, "memory, %d uploads of %s at once: peak RSS %s, of it %s the program's file pages (asked: at "+
		"most %s)\n", uploads,
		units.FormatBytes(int64(size)), units.FormatBytes(peak), units.FormatBytes(int64(status.RssFile)),
		units.FormatBytes(maxRSS))
	if peak > maxRSS {
		return fmt.Errorf("peak RSS %d is above %d", peak, maxRSS)
	}
	return nil
}

// block is what bodies are made of.
var block = bytes.Repeat([]byte("memsoak "), 32<<10)

// endless repeats block.
type endless struct{ at int }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, block[e.at:])
	e.at = (e.at + n) % len(block)
	return n, nil
}

// body is a body of size bytes that costs the client next to nothing.
func body(size int64) io.Reader { return io.LimitReader(&endless{}, size) }

// put makes count uploads of size bytes, some of them concurrent, and returns how long they took.
func put(s *server, count, atOnce int, size int64) (time.Duration, error) {
	tr := &http.Transport{MaxIdleConnsPerHost: atOnce, WriteBufferSize: cmp.Or(int(min(size, 256<<10)), 1)}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	g, ctx := errgroup.WithContext(context.Background())
	g.SetLimit(atOnce)
	begun := time.Now()
	for i := range count {
		g.Go(func() error {
			req, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("%s/bench/object-%06d", s.url, i),
				body(size))
			if err != nil {
				return err
			}
			req.ContentLength = size
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				return err
			}
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("upload %d: %s", i, resp.Status)
			}
			return nil
		})
	}
	err := g.Wait()
	return time.Since(begun), err
}
