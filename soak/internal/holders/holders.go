package holders

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
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
	// memory, and DefaultBudget for a child and a core.
	Budget time.Duration
	// Announce is called before a process is stopped, with its resident memory and the bound; it may be nil.
	Announce func(resident int64, atMost time.Duration)
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
	budget, err := o.bound()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, budget, fmt.Errorf("it took more than %s: %w", budget,
		context.DeadlineExceeded))
	defer cancel()
	var mem memory
	begun := time.Now()
	out.Source = fmt.Sprintf("process %d", o.PID)
	switch {
	case o.Core != "":
		out.Source = o.Core
		mem, err = openCore(o.Core, img.elf)
	case o.Child:
		mem, err = freezeChild(ctx, o.PID)
	default:
		mem, err = freeze(ctx, o.PID)
	}
	if err != nil {
		return nil, err
	}
	// Some steps over a large heap don't look at the time. The process resumes when it is up, whatever step that is.
	inTime := context.AfterFunc(ctx, mem.release)
	err = find(ctx, mem, img, o.Module, out)
	if !inTime() {
		err = fmt.Errorf("%w: %w", ErrUnreadable, context.Cause(ctx)) // words read since then don't fit together
	}
	closeErr := mem.close()
	if o.Core == "" {
		out.Stopped = time.Since(begun).Seconds()
	}
	if err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// bound is the time that there is, announced for a process.
func (o *Options) bound() (time.Duration, error) {
	budget := o.Budget
	if o.Core != "" {
		return cmp.Or(max(budget, 0), DefaultBudget), nil
	}
	size, err := resident(o.PID)
	if err != nil {
		return 0, notAllowed(o.PID, err)
	}
	if budget <= 0 {
		budget = StopFor(size)
		if o.Child {
			budget = DefaultBudget
		}
	}
	if o.Announce != nil {
		o.Announce(size, budget)
	}
	return budget, nil
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
		return fmt.Errorf("%w: process %d may not be traced (%w): it takes the same user and either the process's parent, CAP_SYS_PTRACE or kernel.yama.ptrace_scope=0", ErrUnreadable, pid, err)
	}
	return fmt.Errorf("%w: process %d: %w", ErrUnreadable, pid, err)
}

// find does the work on a stopped process.
func find(ctx context.Context, mem memory, img *image, module string, out *record.Holders) (err error) {
	defer func() {
		// Debug information and heaps come in more shapes than the libraries foresee, and the caller has a process to
		// let go: say what happened instead of dying with it.
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrUnreadable, p)
		} else if err != nil && ctx.Err() == nil && !errors.Is(err, ErrUnreadable) {
			err = fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
	}()
	entry, err := mem.entry()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if img.elf.Type == elf.ET_DYN {
		img.bias = entry - img.elf.Entry
	} else if entry != img.elf.Entry {
		return fmt.Errorf("%w: %s does not run the program given", ErrUnreadable, out.Source)
	}
	lay, err := newLayout(img)
	if err != nil {
		return err
	}
	h, err := readHeap(ctx, mem, img, lay)
	if err != nil {
		return err
	}
	if len(h.samples) == 0 {
		return fmt.Errorf("%w: its heap profiler has sampled nothing that is live (the linker leaves it out of a program that never asks for a heap profile)", ErrUnreadable)
	}
	roots, own := h.readRoots(mem.stackPointers())
	h.samples = slices.DeleteFunc(h.samples, func(s sample) bool { return own[s.obj] })
	g, err := newGraph(ctx, h, roots, own, module)
	if err != nil {
		return err
	}
	d := g.dominators()
	out.Objects = len(d.nodes) - 1 - len(roots)
	for _, s := range h.sites(module) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		out.Sites = append(out.Sites, g.judge(d, s))
	}
	return h.err
}
