package holders

import "golang.org/x/sys/unix"

// stackPointer is that of a stopped thread.
func stackPointer(tid int) (uint64, error) {
	var r unix.PtraceRegs
	err := unix.PtraceGetRegs(tid, &r)
	return r.Rsp, err
}
