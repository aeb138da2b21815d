package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/internal/waiting"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/attach"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// recordOptions are the flags of soak record.
type recordOptions struct {
	soak.Recording
	pullOptions
	pprof, pod, kubectl, out string
	pid, port                int
	json                     bool
}

func newRecordCmd() *cobra.Command {
	var o recordOptions
	cmd := &cobra.Command{
		Use:   "record {--pprof URL | --pid PID | --pod NAMESPACE/NAME | --pyroscope URL --query QUERY | -- PROGRAM ARG...}",
		Short: "Record a process that runs already, here or in a pod, and say what grew",
		Long: `Record a process into a run's directory that 'soak diagnose', 'soak view' and 'soak report' read, and say at
the end what grew. The process is read, never steered: heap and goroutine profiles together, the runtime's own account,
metrics when there are any, and of a process on this machine the kernel's account as well.

When the load stops (its rate falls, its CPU is idle) a floor is made: two collections, then the profiles. What is
still there is kept, the rest was work in progress. A SIGUSR1 to soak asks for one now. A profile is taken out of turn
when the memory is higher than ever, and near the limit of its cgroup. Between two collections a heap profile stays the
same: where the process made none for a while, one is forced, see --gc. It costs what the process's own next one would.

It records until --for is over, Ctrl-C, or the end of the process, and says how that ended where its parent, its cgroup
or the cluster tell. Disk use is bounded: of a long recording, evenly spread profiles are kept.

With --pyroscope, what a Pyroscope server has of one process is fetched instead and kept as files.`,
		Example: `  soak record --pid 4711 --for 10m
  soak record --pod shop/cart-7d9f --port 6060 --for 2h
  soak record --pprof http://localhost:6060/debug/pprof --metrics http://localhost:6060/metrics \
    --work http_requests_total
  soak record --pyroscope http://localhost:4040 --query '{service_name="cart", pod="cart-7d9f"}' --from 6h
  soak record --for 5m -- ./server --listen 127.0.0.1:8080`,
		Args: recordArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return recordProcess(cmd, args, o) },
	}
	f := cmd.Flags()
	o.flags(f)
	f.StringVar(&o.pprof, "pprof", "",
		"URL of net/http/pprof: http://host:port/debug/pprof (with --pid or a program: found by itself)")
	f.IntVar(&o.pid, "pid", 0, "process of this machine")
	f.StringVar(&o.pod, "pod", "", "pod, as namespace/name; its port is forwarded by kubectl")
	f.IntVar(&o.port, "port", attach.DefaultPodPort, "port of pprof in the pod")
	f.StringVar(&o.kubectl, "kubectl", "kubectl", "program that forwards the port")
	f.StringVar(&o.Metrics, "metrics", "", "URL of Prometheus metrics")
	f.StringSliceVar(&o.Work, "work", nil,
		"metrics that count finished work, such as http_requests_total: slopes become per request")
	f.StringVar(&o.Name, "name", "", "name of the subject (default: the program's or the pod's)")
	f.StringVar(&o.Module, "module", "",
		"module path whose code is judged; default: all but the standard library and dependencies")
	f.DurationVar(&o.Every, "every", 0, "time between snapshots (default: a thirtieth of --for, 2s to 30s)")
	f.DurationVar(&o.For, "for", 0, "how long; 0 is until Ctrl-C")
	f.StringVar((*string)(&o.GC), "gc", string(soak.CollectRarely), "force collections: rarely (where the process made "+
		"none for a while, for a hundredth of the time at most), each (two before each profile) or never")
	f.Lookup("gc").NoOptDefVal = string(soak.CollectEach)
	f.StringVar(&o.out, "out", "", "directory of the run (default soak-results/<time>-<name>)")
	f.BoolVar(&o.json, "json", false, "print the verdict as JSON")
	return cmd
}

// recordArgs checks that a program comes after a double dash.
func recordArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
		return exitcode.Usage(fmt.Errorf("%q: a program to record comes after --", args[0]))
	}
	return nil
}

// The bounds of the time between snapshots, where it isn't given.
const (
	quickest = 2 * time.Second
	slowest  = 30 * time.Second
)

// check fills in omitted flags, or names the one that is wrong.
func (o *recordOptions) check(args []string) error {
	ways := 0
	for _, given := range []bool{o.server != "", o.pid != 0, o.pod != "", len(args) > 0, o.pprof != "" && o.pid == 0 &&
		len(args) == 0} {
		if given {
			ways++
		}
	}
	u, err := url.Parse(o.pprof)
	switch {
	case ways != 1:
		return exitcode.Usage(errors.New("give one of --pprof URL, --pid PID, --pod NAMESPACE/NAME, --pyroscope URL, or -- " +
			"PROGRAM and its arguments"))
	case o.pprof != "" && (err != nil || u.Host == ""):
		return exitcode.Usage(fmt.Errorf("--pprof %q is no URL such as http://localhost:6060/debug/pprof", o.pprof))
	case !slices.Contains([]soak.Collections{soak.CollectRarely, soak.CollectEach, soak.CollectNever}, o.GC):
		return exitcode.Usage(fmt.Errorf("--gc=%s is none of rarely, each, never", o.GC))
	case len(o.Work) > 0 && o.Metrics == "":
		return exitcode.Usage(errors.New("--work names metrics: give --metrics URL"))
	}
	o.pprof = strings.TrimRight(o.pprof, "/")
	if o.Every == 0 {
		o.Every = slowest
		if o.For > 0 {
			o.Every = min(slowest, max(quickest, (o.For/30).Round(time.Second)))
		}
	}
	return nil
}

// attach finds the process.
func (o *recordOptions) attach(ctx context.Context, args []string, log io.Writer) (*attach.Target, error) {
	switch {
	case o.pid != 0:
		return attach.Process(ctx, o.pid, o.pprof)
	case o.pod != "":
		return attach.Pod(ctx, o.kubectl, o.pod, o.port)
	case len(args) > 0:
		return attach.Command(ctx, args, o.pprof, log)
	}
	return &attach.Target{Pprof: o.pprof, Name: "process"}, nil
}

// recordProcess records and prints what grew.
func recordProcess(cmd *cobra.Command, args []string, o recordOptions) error {
	if err := o.check(args); err != nil {
		return err
	}
	if o.out != "" { // before a program is started for it
		if err := soak.CheckOut(o.out, false); err != nil {
			return exitcode.Usage(err)
		}
	}
	if o.server != "" {
		return recordPulled(cmd, o)
	}
	ctx := cmd.Context()
	const attached = "for pprof of the process (--pprof, --pid, --pod or the program): it has 30s to answer"
	here := waiting.Say(cmd.ErrOrStderr(), attached) // until the first snapshot
	defer here()
	target, err := o.attach(ctx, args, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer target.Close()
	o.Target, o.Name = target, cmp.Or(o.Name, target.Name)
	dir := cmp.Or(o.out, filepath.Join("soak-results", time.Now().Format("20060102-150405")+"-"+o.Name))
	if !o.json {
		fmt.Fprintf(cmd.OutOrStdout(), "recording %s every %s into %s; Ctrl-C ends it\n", target.Pprof, o.Every, dir)
	}
	table := &liveTable{out: cmd.OutOrStdout()}
	o.OnSnapshot = func(s record.Snapshot) {
		here()
		if !o.json {
			table.row(s)
		}
	}
	floor, stop := floorSignal()
	defer stop()
	o.Floor = floor
	run, err := soak.Record(ctx, dir, o.Recording)
	if errors.Is(err, soak.ErrConfig) {
		return exitcode.Usage(err)
	}
	if err != nil {
		return err
	}
	if o.out == "" {
		link(dir)
	}
	if err := judgeTrials(dir, run); err != nil {
		return err
	}
	if err := conclude(context.WithoutCancel(ctx), dir, new(profiles.Judge)); err != nil {
		return err
	}
	return showRecording(cmd.OutOrStdout(), dir, run, o.json)
}

// showRecording prints the diagnosis of a recording, and where the rest is.
func showRecording(out io.Writer, dir string, run *record.Run, asJSON bool) error {
	c := run.Status[0]
	v, err := record.ReadVerdict(filepath.Join(dir, filepath.FromSlash(c.Dir), "trial-1"))
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(out).Encode(map[string]any{"dir": dir, "seconds": c.Trials[0].Seconds, "verdict": v})
	}
	fmt.Fprintln(out)
	if v.Outcome != record.OK {
		fmt.Fprintf(out, "THE PROCESS DIED (%s)\n", v.Outcome)
	}
	writeFirstScreen(out, v)
	fmt.Fprintf(out, "recorded in %s; 'soak diagnose %s' says this again, and %s has the pictures\n", dir, dir,
		filepath.Join(dir, report.HTMLFile))
	return nil
}

// floorSignal makes a floor asked for by SIGUSR1.
func floorSignal() (<-chan struct{}, func()) {
	signals, floor, done := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		for {
			select {
			case <-signals:
			case <-done:
				return
			}
			select {
			case floor <- struct{}{}:
			case <-done:
				return
			}
		}
	}()
	return floor, func() { signal.Stop(signals); close(done) }
}

// liveTable prints a line for each snapshot: what there is, and by how much it changed since the first.
type liveTable struct {
	out   io.Writer
	first *record.Snapshot
}

// stateNotes says why a snapshot was taken, where that isn't the time.
var stateNotes = map[record.State]string{record.StateFloor: "  floor: the load has stopped",
	record.StateHigh:  "  more memory than ever",
	record.StatePress: "  near the limit"}

func (l *liveTable) row(s record.Snapshot) {
	if l.first == nil {
		l.first = &s
		fmt.Fprintf(l.out, "%-8s  %10s %10s %10s %10s\n", "time", "heap", "since", "resident", "goroutines")
	}
	heap, since, rss, routines := "-", "-", "-", "-"
	if s.Runtime != nil {
		heap, routines = units.FormatBytes(s.Runtime.HeapAlloc), fmt.Sprint(s.Runtime.Goroutines)
		if f := l.first.Runtime; f != nil {
			since = bytesText(float64(s.Runtime.HeapAlloc - f.HeapAlloc))
		}
	}
	if s.Process != nil {
		rss = units.FormatBytes(s.Process.RSS)
	}
	fmt.Fprintf(l.out, "%s  %10s %10s %10s %10s%s\n", s.Time.Format(time.TimeOnly), heap, since, rss, routines,
		stateNotes[s.State])
}

// judgeTrials writes the verdict of each finished trial of a run.
func judgeTrials(dir string, run *record.Run) error {
	for _, c := range run.Status {
		for _, t := range c.Trials {
			if t.Outcome == "" {
				continue
			}
			at := filepath.Join(dir, filepath.FromSlash(c.Dir), fmt.Sprintf("trial-%d", t.Index))
			v, err := profiles.DiagnoseTrial(at, profiles.Options{})
			if err != nil {
				return err
			}
			if err := record.Write(filepath.Join(at, record.VerdictFile), v); err != nil {
				return err
			}
		}
	}
	return nil
}
