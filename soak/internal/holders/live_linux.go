//go:build amd64 || arm64

package holders

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// live is a process that is stopped.
type live struct {
	pid   int
	mem   *os.File
	pages *os.File // which pages there are; nil where the kernel doesn't say
	sps   []uint64
	thaw  func()
}

// stopPoll is the time between two looks at threads that are about to stop.
const stopPoll = 100 * time.Microsecond

// freeze stops all threads of a process until close. Cancelling ctx makes it give up; then the process continues.
func freeze(ctx context.Context, pid int) (source, error) {
	p, err := openLive(pid)
	if err != nil {
		return nil, err
	}
	stopped, release, gone := make(chan error, 1), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		// The thread ends with this goroutine, because it stays locked: whatever is still traced then, the kernel lets go.
		runtime.LockOSThread()
		t := tracer{pid: pid, stops: map[int]int{}}
		defer t.detach()
		err := t.stop(ctx)
		for tid := range t.stops {
			if sp, serr := stackPointer(tid); serr == nil {
				p.sps = append(p.sps, sp)
			}
		}
		stopped <- err
		if err == nil {
			<-release
		}
	}()
	p.thaw = sync.OnceFunc(func() {
		close(release)
		<-gone
	})
	if err := <-stopped; err != nil {
		<-gone
		p.closeFiles()
		return nil, notAllowed(pid, err)
	}
	return p, nil
}

// inAHurry is the niceness of this process's threads while a process is stopped for it, where it is allowed.
const inAHurry = -15

// hurry raises the priority of this process's threads and puts its collections off: on a busy machine a process would
// else stay stopped for as long as its reader waits for a processor. It returns what undoes it.
func hurry() (undo func()) {
	was, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return func() {}
	}
	const offset = 20 // the system call gives 20 minus the niceness, so that it is never below 0
	percent := debug.SetGCPercent(-1)
	everyThread(inAHurry)
	return func() {
		everyThread(offset - was)
		debug.SetGCPercent(percent)
	}
}

// everyThread sets the niceness of all threads of this process as far as it is allowed.
func everyThread(nice int) {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, e := range entries {
		if tid, err := strconv.Atoi(e.Name()); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, tid, nice) // a thread that has ended, or no right to it
		}
	}
}

// openLive opens the memory of a process that runs.
func openLive(pid int) (*live, error) {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, notAllowed(pid, err)
	}
	p := &live{pid: pid, mem: mem}
	if pages, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", pid)); err == nil {
		p.pages = pages
	}
	return p, nil
}

// freezeChild stops a child of this process by SIGSTOP until close. A child is not traced: the kernel shows the stop of
// a traced thread to every wait of its tracer's process, and os/exec would take it for the child's end.
func freezeChild(ctx context.Context, pid int) (source, error) {
	p, err := openLive(pid)
	if err != nil {
		return nil, err
	}
	p.thaw = sync.OnceFunc(func() { _ = unix.Kill(pid, unix.SIGCONT) })
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		p.closeFiles()
		return nil, notAllowed(pid, err)
	}
	for {
		running, err := p.readThreads()
		if err == nil && running == 0 {
			return p, nil
		}
		if err == nil {
			select {
			case <-ctx.Done():
				err = context.Cause(ctx)
			case <-time.After(stopPoll):
				continue
			}
		}
		p.close()
		return nil, notAllowed(pid, err)
	}
}

// readThreads reads the stack pointers of the threads and counts those that have not stopped yet.
func (p *live) readThreads() (running int, err error) {
	p.sps = p.sps[:0]
	dir := filepath.Join("/proc", strconv.Itoa(p.pid), "task")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		switch threadState(p.pid, tid) {
		case 'T':
		case 'Z', 'X', 0:
			continue
		default:
			running++
			continue
		}
		// The last two words are the stack pointer and the program counter.
		b, err := os.ReadFile(filepath.Join(dir, e.Name(), "syscall"))
		words := strings.Fields(string(b))
		if err != nil || len(words) < 2 {
			continue
		}
		if sp, err := strconv.ParseUint(strings.TrimPrefix(words[len(words)-2], "0x"), 16, 64); err == nil {
			p.sps = append(p.sps, sp)
		}
	}
	return running, nil
}

func (p *live) ReadAt(b []byte, addr int64) (int, error) { return p.mem.ReadAt(b, addr) }
func (p *live) stackPointers() []uint64                  { return p.sps }

func (p *live) entry() (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", p.pid))
	if err != nil {
		return 0, err
	}
	if at := entryOf(b); at != 0 {
		return at, nil
	}
	return 0, fmt.Errorf("process %d does not say where its program was loaded", p.pid)
}

func (p *live) release() { p.thaw() }

func (p *live) close() error {
	p.thaw()
	return p.closeFiles()
}

func (p *live) closeFiles() error {
	if p.pages != nil {
		p.pages.Close()
	}
	return p.mem.Close()
}

// tracer stops the threads of a process. All of its methods are called on one OS thread, as the kernel demands.
type tracer struct {
	pid int
	// stops has, by thread, the signal that it stopped for and has to be given again; 0 for none; below 0 not yet stopped.
	stops map[int]int
}

// stop seizes thread after thread until all are stopped and no new one has come.
func (t *tracer) stop(ctx context.Context) error {
	for {
		fresh, err := t.seize()
		if err != nil {
			return err
		}
		if fresh == 0 {
			if len(t.stops) == 0 {
				return unix.ESRCH
			}
			return nil
		}
		if err := t.await(ctx); err != nil {
			return err
		}
	}
}

// seize begins to trace the threads that are not traced yet and returns their number.
func (t *tracer) seize() (int, error) {
	entries, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(t.pid), "task"))
	if err != nil {
		return 0, err
	}
	fresh := 0
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if _, known := t.stops[tid]; known || err != nil {
			continue
		}
		if err := unix.PtraceSeize(tid); errors.Is(err, unix.ESRCH) {
			continue // it has ended meanwhile
		} else if err != nil {
			return 0, fmt.Errorf("ptrace: %w", err)
		}
		t.stops[tid] = -1
		if err := unix.PtraceInterrupt(tid); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, fmt.Errorf("ptrace: %w", err)
		}
		fresh++
	}
	return fresh, nil
}

// await waits until the seized threads have stopped. It asks for stops alone, so that the exit of a child of this
// process is left to the code that waits for it.
func (t *tracer) await(ctx context.Context) error {
	for {
		left := 0
		for tid, sig := range t.stops {
			if sig >= 0 {
				continue
			}
			var info unix.Siginfo
			err := unix.Waitid(unix.P_PID, tid, &info, unix.WSTOPPED|unix.WNOHANG|unix.WALL, nil)
			switch {
			case errors.Is(err, unix.ECHILD), errors.Is(err, unix.ESRCH):
				delete(t.stops, tid)
			case err != nil && !errors.Is(err, unix.EINTR):
				return fmt.Errorf("waitid: %w", err)
			case err == nil && info.Signo != 0:
				t.stops[tid] = pendingSignal(&info)
			case exiting(t.pid, tid):
				delete(t.stops, tid)
			default:
				left++
			}
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(stopPoll):
		}
	}
}

// statusAt is where siginfo_t has si_status on 64-bit Linux.
const statusAt = 24

// pendingSignal is the signal that a thread was about to take when it stopped; 0 when it stopped because it was asked
// to.
func pendingSignal(info *unix.Siginfo) int {
	status := *(*int32)(unsafe.Add(unsafe.Pointer(info), statusAt))
	if status>>8 != 0 { // a ptrace event
		return 0
	}
	return int(status)
}

// threadState is the letter of a thread's state in /proc; 0 when it is gone.
func threadState(pid, tid int) byte {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", pid, tid))
	if err != nil {
		return 0
	}
	if i := bytes.LastIndexByte(b, ')'); i >= 0 && i+2 < len(b) {
		return b[i+2]
	}
	return 0
}

// exiting says whether a thread is gone or a zombie: it never stops.
func exiting(pid, tid int) bool {
	s := threadState(pid, tid)
	return s == 0 || s == 'Z' || s == 'X'
}

// detach lets all stopped threads go on, with the signal that each was about to take.
func (t *tracer) detach() {
	for tid, sig := range t.stops {
		if sig >= 0 {
			_, _, _ = unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(tid), 0, uintptr(sig), 0, 0)
		}
	}
}
