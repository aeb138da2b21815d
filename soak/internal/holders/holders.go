package holders

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/prometheus/procfs"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/cgroup"
)

// Options say what to look at.
type Options struct {
	// PID is the process to stop and read; 0 with Core.
	PID int
	// Child says that the process is a child of this one, which is stopped in another way.
	Child bool
	// Core is a core file, read instead of a process.
	Core string
	// Exe is the program with its debug information. Empty with a PID: the process's own.
	Exe string
	// Module is the module path whose frames may be blamed; empty: the program's own.
	Module string
	// Budget bounds the time that a process is stopped, or that a core is read; 0 is StopFor of the process's resident
	// memory, DefaultBudget for a child, and no bound for a core.
	Budget time.Duration
	// Within bounds the analysis of the copy, which a process that runs again no longer waits for; 0 is no bound.
	Within time.Duration
	// Memory bounds the copy of a process's references and their analysis together, in bytes; 0 is DefaultMemory.
	Memory int64
	// Announce is called before a process is stopped, with its resident memory and the bounds; it may be nil.
	Announce func(resident int64, atMost time.Duration, memory int64)
	// Progress is called at each step of the analysis; it may be nil.
	Progress func(step string)
}

// DefaultBudget is how long a child may be stopped.
const DefaultBudget = 10 * time.Second

// StopPerGiB is how long a process may be stopped for each GiB begun of its resident memory.
const StopPerGiB = 2 * time.Second

// StopFor is how long a process with so much resident memory may be stopped.
func StopFor(resident int64) time.Duration {
	const gib = 1 << 30
	return StopPerGiB * time.Duration(max(1, (resident+gib-1)/gib))
}

// Find says who holds what in a process or a core. The error is ErrUnreadable, wrapped, when the program, the
// permission or the platform does not allow it, and context.DeadlineExceeded, wrapped, when the time was up. A process
// always continues afterwards.
func Find(ctx context.Context, o Options) (*record.Holders, error) {
	running := fmt.Sprintf("/proc/%d/exe", o.PID)
	if o.Exe == "" {
		o.Exe = running
	}
	img, err := openImage(o.Exe)
	if errors.Is(err, os.ErrPermission) && o.Exe == running {
		return nil, notAllowed(o.PID, err)
	}
	if err != nil {
		return nil, err
	}
	defer img.close()
	if o.PID != 0 && o.Exe != running {
		if same, err := img.sameBuild(running); err != nil {
			return nil, notAllowed(o.PID, err)
		} else if !same {
			return nil, fmt.Errorf("%w: process %d runs another build than %s", ErrUnreadable, o.PID, o.Exe)
		}
	}
	if o.Module == "" {
		if info, err := buildinfo.ReadFile(o.Exe); err == nil {
			o.Module = info.Main.Path
		}
	}
	out := &record.Holders{Schema: record.HoldersSchema, Time: time.Now(), Sites: []record.HeldSite{}}
	if err := o.judge(ctx, img, out); err != nil {
		return nil, err
	}
	return out, nil
}

// judge reads the memory, lets the process go on, and fills in who holds what.
func (o *Options) judge(ctx context.Context, img *image, out *record.Holders) (err error) {
	defer func() {
		// Debug information and heaps come in more shapes than the libraries foresee, and a caller that only asks who
		// holds what doesn't die of it.
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrUnreadable, p)
		} else if err != nil && !errors.Is(err, ErrUnreadable) {
			err = fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
	}()
	if o.Memory <= 0 {
		o.Memory = DefaultMemory()
	}
	// Collections come more often before it takes more.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(max(0, o.Memory-ownPages)))
	var h *heap
	if o.Core != "" {
		out.Source = o.Core
		core, err := openCore(o.Core, img.elf)
		if err != nil {
			return err
		}
		defer core.close()
		var cancel func()
		ctx, cancel = within(ctx, o.Budget)
		defer cancel()
		if h, err = openHeap(core, img, out.Source); err != nil {
			return err
		}
		if err := o.affords(h, 0); err != nil {
			return err
		}
	} else {
		out.Source = fmt.Sprintf("process %d", o.PID)
		if h, err = o.copied(ctx, img, out); err != nil {
			return err
		}
		var cancel func()
		ctx, cancel = within(ctx, o.Within)
		defer cancel()
	}
	return o.find(ctx, h, out)
}

// within bounds the time of work done with ctx; 0 is no bound.
func within(ctx context.Context, d time.Duration) (context.Context, func()) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("it took more than %s: %w", d, context.DeadlineExceeded))
}

// copied stops the process for as long as it takes to copy what its objects refer with.
func (o *Options) copied(ctx context.Context, img *image, out *record.Holders) (*heap, error) {
	budget, err := o.bound()
	if err != nil {
		return nil, err
	}
	ctx, cancel := within(ctx, budget)
	defer cancel()
	defer hurry()()
	stop := freeze
	if o.Child {
		stop = freezeChild
	}
	begun := time.Now()
	src, err := stop(ctx, o.PID)
	if err != nil {
		return nil, err
	}
	// The process resumes when the time is up, whatever step that is.
	defer src.release()
	inTime := context.AfterFunc(ctx, src.release)
	var copied *snapshot
	h, err := openHeap(src, img, out.Source)
	if err == nil {
		copied, err = o.snapshot(ctx, src, h)
	}
	if !inTime() {
		err = context.Cause(ctx) // words read since then don't fit together
	}
	err = errors.Join(err, src.close())
	out.Stopped = time.Since(begun).Seconds()
	if err != nil {
		return nil, err
	}
	out.Copied = copied.size()
	h.view = view{mem: copied}
	h.from = copied
	return h, nil
}

// openHeap reads where the objects are.
func openHeap(mem memory, img *image, source string) (*heap, error) {
	entry, err := mem.entry()
	if err != nil {
		return nil, err
	}
	if img.elf.Type == elf.ET_DYN {
		img.bias = entry - img.elf.Entry
	} else if entry != img.elf.Entry {
		return nil, fmt.Errorf("%w: %s does not run the program given", ErrUnreadable, source)
	}
	lay, err := newLayout(img)
	if err != nil {
		return nil, err
	}
	return readSpans(mem, img, lay)
}

// bound is the time that a process is stopped at most, announced.
func (o *Options) bound() (time.Duration, error) {
	size, err := resident(o.PID)
	if err != nil {
		return 0, notAllowed(o.PID, err)
	}
	budget := o.Budget
	if budget <= 0 {
		budget = StopFor(size)
		if o.Child {
			budget = DefaultBudget
		}
	}
	if o.Announce != nil {
		o.Announce(size, budget, o.Memory)
	}
	return budget, nil
}

// ownPages are this program's own and those of the other's debug information.
const ownPages = 64 << 20

// affords refuses a heap that the analysis, with a copy of so many bytes, has no memory for.
func (o *Options) affords(h *heap, copied uint64) error {
	need := ownPages + copied + uint64(h.slots)*analysisPerObject
	if need <= uint64(o.Memory) {
		return nil
	}
	return fmt.Errorf("%w: to follow the references of %s objects takes %s of memory here, and %s are allowed: "+
		"--memory allows more", ErrUnreadable, units.Comma(int64(h.slots)), units.FormatBytes(int64(need)),
		units.FormatBytes(o.Memory))
}

// unknownMemory is allowed where the kernel doesn't say how much there is.
const unknownMemory = 1 << 30

// DefaultMemory is half of what can be had without swapping, and within this process's cgroup.
func DefaultMemory() int64 {
	have := int64(0)
	if fs, err := procfs.NewDefaultFS(); err == nil {
		if m, err := fs.Meminfo(); err == nil && m.MemAvailableBytes != nil {
			have = int64(*m.MemAvailableBytes)
		}
	}
	if limit := cgroup.Limit(os.Getpid()); limit > 0 && (have == 0 || limit < have) {
		have = limit
	}
	return cmp.Or(have/2, unknownMemory)
}

// resident is the resident memory of a process.
func resident(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	var all, pages int64
	if _, err := fmt.Sscan(string(b), &all, &pages); err != nil {
		return 0, fmt.Errorf("read its memory: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}

// notAllowed adds to a refusal what would lift it.
func notAllowed(pid int, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w: process %d may not be traced (%w): it takes the same user and either the process's parent, "+
			"CAP_SYS_PTRACE or kernel.yama.ptrace_scope=0", ErrUnreadable, pid, err)
	}
	return fmt.Errorf("%w: process %d: %w", ErrUnreadable, pid, err)
}

// find judges a heap.
func (o *Options) find(ctx context.Context, h *heap, out *record.Holders) error {
	say := func(format string, args ...any) {
		if o.Progress != nil {
			o.Progress(fmt.Sprintf(format, args...))
		}
	}
	say("reading the records of %s objects, used and free", units.Comma(int64(h.slots)))
	if err := h.readRecords(ctx); err != nil {
		return err
	}
	if len(h.samples) == 0 {
		return fmt.Errorf("%w: its heap profiler has sampled nothing that is live (the linker leaves it out of a program "+
			"that never asks for a heap profile)", ErrUnreadable)
	}
	roots, own := h.readRoots(h.from.stackPointers())
	h.samples = slices.DeleteFunc(h.samples, func(s sample) bool { return own[s.obj] })
	say("following references from %s", units.Count(len(roots), "root"))
	g, err := newGraph(ctx, h, roots, own, o.Module)
	if err != nil {
		return err
	}
	say("judging %s references", units.Comma(int64(len(g.to))))
	d := g.dominators()
	out.Objects = len(d.nodes) - 1 - len(roots)
	sites := h.sites(o.Module)
	for i, s := range sites {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		say("site %d of %d: %s", i+1, len(sites), s.site.Function)
		out.Sites = append(out.Sites, g.judge(d, s))
	}
	return h.err
}
