package holders

import (
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
	// Budget bounds the time that a process is stopped; 0 is DefaultBudget.
	Budget time.Duration
}

// DefaultBudget is how long a process may be stopped.
const DefaultBudget = 10 * time.Second

// Find says who holds what in a process or a core. The error is ErrUnreadable, wrapped, when the program, the
// permission or the platform does not allow it, and context.DeadlineExceeded, wrapped, when the time was up. A process
// always goes on afterwards.
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
	budget := o.Budget
	if budget <= 0 {
		budget = DefaultBudget
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
	err = find(ctx, mem, img, o.Module, out)
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
	g, err := newGraph(ctx, h, roots, own)
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
