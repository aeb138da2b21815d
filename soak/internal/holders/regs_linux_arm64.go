package holders

import "golang.org/x/sys/unix"

// stackPointer is that of a stopped thread.
func stackPointer(tid int) (uint64, error) {
	var r unix.PtraceRegsArm64
	err := unix.PtraceGetRegSetArm64(tid, noteStatus, &r)
	return r.Sp, err
}
