//go:build linux

package holders_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// runAsNobody runs the test of the refusal again without root's rights.
func runAsNobody(t *testing.T) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "holders-nobody-")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	require.NoError(t, os.Chmod(dir, 0o755))
	exe := filepath.Join(dir, "holders.test")
	require.NoError(t, os.WriteFile(exe, self, 0o755))
	cmd := exec.Command(exe, "-test.run=^TestRefusedHelper$", "-test.v")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), fmt.Sprintf("HOLDERS_PID=%d", os.Getpid()), "HOLDERS_EXE="+build(t))
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "may not be traced")
}

// writeCore writes a core of a process that is asleep, as the kernel would: pages mapped from files and not written
// to are left out.
func writeCore(t *testing.T, pid int, path string) {
	t.Helper()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	require.NoError(t, err)
	defer mem.Close()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	require.NoError(t, err)
	auxv, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", pid))
	require.NoError(t, err)
	var note bytes.Buffer
	for _, v := range []uint32{5, uint32(len(auxv)), 6} { // the name's length, the length, NT_AUXV
		require.NoError(t, binary.Write(&note, binary.LittleEndian, v))
	}
	note.WriteString("CORE\x00\x00\x00\x00")
	note.Write(auxv)
	type part struct {
		at   uint64
		data []byte
	}
	var parts []part
	for line := range strings.Lines(string(maps)) {
		var lo, hi uint64
		var perm string
		_, err := fmt.Sscanf(line, "%x-%x %s", &lo, &hi, &perm)
		require.NoError(t, err)
		if perm[:2] != "rw" {
			continue
		}
		data := make([]byte, hi-lo)
		if n, _ := mem.ReadAt(data, int64(lo)); n == len(data) {
			parts = append(parts, part{lo, data})
		}
	}
	machine := elf.EM_X86_64
	if exe, err := elf.Open(fmt.Sprintf("/proc/%d/exe", pid)); err == nil {
		machine = exe.Machine
		exe.Close()
	}
	const headSize, progSize = 64, 56
	head := elf.Header64{Type: uint16(elf.ET_CORE), Machine: uint16(machine), Version: 1, Phoff: headSize,
		Ehsize: headSize, Phentsize: progSize, Phnum: uint16(len(parts) + 1)}
	copy(head.Ident[:], []byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)})
	var out bytes.Buffer
	put := func(v any) { require.NoError(t, binary.Write(&out, binary.LittleEndian, v)) }
	put(head)
	off := uint64(headSize + progSize*(len(parts)+1))
	put(elf.Prog64{Type: uint32(elf.PT_NOTE), Off: off, Filesz: uint64(note.Len())})
	off += uint64(note.Len())
	for _, p := range parts {
		put(elf.Prog64{Type: uint32(elf.PT_LOAD), Off: off, Vaddr: p.at, Filesz: uint64(len(p.data)),
			Memsz: uint64(len(p.data))})
		off += uint64(len(p.data))
	}
	out.Write(note.Bytes())
	for _, p := range parts {
		out.Write(p.data)
	}
	require.NoError(t, os.WriteFile(path, out.Bytes(), 0o600))
}
