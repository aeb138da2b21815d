// Command gateway measures the costs of a gate, beside their goals: its processor time against
// httputil.ReverseProxy on small replies, its throughput on large ones, and its memory for each of many requests that
// it holds. `make bench-gateway` calls it. Gate and proxy are processes of their own; their runs alternate, so that a
// drift of the machine hits both alike, and the median of the pairs' ratios is printed with all of them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/stat"
	"github.com/memsoak/memsoak/soak/internal/gateway"
)

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(serve(role, os.Args[1]))
	}
	pairs := flag.Int("pairs", 5, "pairs of runs of gate and proxy")
	flag.Parse()
	if err := measure(*pairs, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench-gateway:", err)
		os.Exit(1)
	}
}

// The goals.
const (
	cpuGoal   = 1.15
	bytesGoal = 0.9
	heldGoal  = 64 << 10
	held      = 10_000
)

const (
	smallReply, smallRequests = 1 << 10, 20_000
	largeReply, largeRequests = 64 << 20, 16
	clients                   = 16
)

func measure(pairs int, out io.Writer) error {
	target := startTarget()
	defer target.Close()
	missed := 0
	figure := func(name string, value, goal float64, met bool, detail string) {
		word := "met"
		if !met {
			word, missed = "missed", missed+1
		}
		fmt.Fprintf(out, "%-58s %8.2f  asked %-8.2f %s  %s\n", name, value, goal, word, detail)
	}
	cpu, bytes, err := compare(target.URL, pairs)
	if err != nil {
		return err
	}
	figure("CPU of a gate over httputil.ReverseProxy, 1 KiB replies", stat.Median(cpu), cpuGoal,
		stat.Median(cpu) <= cpuGoal,
		ratios(cpu))
	figure("bytes a second over httputil.ReverseProxy, 64 MiB replies", stat.Median(bytes), bytesGoal,
		stat.Median(bytes) >= bytesGoal, ratios(bytes))
	each, err := holdMany(target.URL)
	if errors.Is(err, errDescriptors) {
		fmt.Fprintln(out, "held requests are left out:", err)
		missed++
	} else if err != nil {
		return err
	} else {
		figure(fmt.Sprintf("KiB for each of %d held requests", held), each/1024, heldGoal>>10, each <= heldGoal,
			"resident, beyond the gate at rest")
	}
	if missed > 0 {
		return fmt.Errorf("%d of 3 figures are missed", missed)
	}
	return nil
}

// compare runs the gate and the proxy in turns.
func compare(target string, pairs int) (cpu, bytes []float64, err error) {
	gate, err := start("gate", target)
	if err != nil {
		return nil, nil, err
	}
	defer gate.stop()
	proxy, err := start("proxy", target)
	if err != nil {
		return nil, nil, err
	}
	defer proxy.stop()
	for i := range pairs + 1 {
		order := []*child{gate, proxy}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		spent, rate := map[*child]float64{}, map[*child]float64{}
		for _, c := range order {
			before := c.cpu()
			if _, err := load(c.addr+"/small", smallRequests); err != nil {
				return nil, nil, err
			}
			spent[c] = c.cpu() - before
			took, err := load(c.addr+"/large", largeRequests)
			if err != nil {
				return nil, nil, err
			}
			rate[c] = largeReply * largeRequests / took.Seconds()
		}
		if i == 0 {
			continue // the first pair fills pools and grows heaps
		}
		cpu, bytes = append(cpu, spent[gate]/spent[proxy]), append(bytes, rate[gate]/rate[proxy])
	}
	return cpu, bytes, nil
}

// load makes so many requests and reads their replies.
func load(url string, n int64) (time.Duration, error) {
	tr := &http.Transport{MaxIdleConnsPerHost: clients, DisableCompression: true}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	begun := time.Now()
	for range clients {
		all.Go(func() {
			buf := make([]byte, 256<<10)
			for next.Add(1) <= n && failed.Load() == nil {
				if err := get(client, url, buf); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return time.Since(begun), nil
}

func get(client *http.Client, url string, buf []byte) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{resp.Body}, buf)
	return err
}

var errDescriptors = errors.New("too few descriptors")

// holdMany is the resident memory of a gate for each request that it holds.
func holdMany(target string) (float64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if limit.Max < held+1000 {
		return 0, fmt.Errorf("%w: %d requests need %d open files, and the hard limit is %d", errDescriptors, held, held+1000,
			limit.Max)
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	c, err := start("gate", target)
	if err != nil {
		return 0, err
	}
	defer c.stop()
	if _, err := load(c.addr+"/small", 1000); err != nil {
		return 0, err
	}
	ctl := fault.NewClient(gateway.AdminOf(c.admin, "api"))
	defer ctl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	before := c.rss()
	h, err := ctl.Hold(ctx, fault.Hold{Point: fault.GateRequest})
	if err != nil {
		return 0, err
	}
	tr := &http.Transport{}
	asking, end := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer end()
	for range held {
		all.Go(func() {
			req, err := http.NewRequestWithContext(asking, http.MethodGet, c.addr+"/small", nil)
			if err != nil {
				return
			}
			if resp, err := (&http.Client{Transport: tr}).Do(req); err == nil {
				resp.Body.Close()
			}
		})
	}
	status, err := ctl.WaitArrived(ctx, h.ID, held, time.Minute)
	if err != nil {
		return 0, err
	}
	if status.Waiting < held {
		return 0, fmt.Errorf("%d of %d requests are held", status.Waiting, held)
	}
	return (c.rss() - before) / held, nil
}

func ratios(v []float64) string {
	var out []string
	for _, x := range slices.Sorted(slices.Values(v)) {
		out = append(out, fmt.Sprintf("%.2f", x))
	}
	return "pairs " + strings.Join(out, " ")
}

// stat reads a child's account.
func (c *child) stat() procfs.ProcStat {
	p, err := procfs.NewProc(c.cmd.Process.Pid)
	if err != nil {
		return procfs.ProcStat{}
	}
	s, _ := p.Stat() // zeros for one that has died: its next request says so
	return s
}

func (c *child) cpu() float64 { s := c.stat(); return s.CPUTime() }

func (c *child) rss() float64 { s := c.stat(); return float64(s.ResidentMemory()) }
