package memtest_test

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/memsoak/memsoak/profiles/memtest"
)

// printer stands for the *testing.T of a real test.
type printer struct{}

func (printer) Helper()               {}
func (printer) Setenv(string, string) {}
func (printer) Errorf(f string, a ...any) {
	fmt.Println(strings.Join(strings.Fields(fmt.Sprintf(f, a...))[:9], " "))
}

func ExampleCheck() {
	r := memtest.Check(printer{}, func() {
		var b bytes.Buffer
		b.WriteString("copied, then dropped")
	})
	fmt.Println(len(r.Findings), "findings after", r.Ops, "operations")
	// Output: 0 findings after 400 operations
}

func ExampleCheck_leak() {
	registry := make([][]byte, 0, 1<<20)
	r := memtest.Check(printer{}, func() {
		registry = append(registry, make([]byte, 1024))
	})
	fmt.Printf("%s: %.0f bytes an operation\n", r.Findings[0].Kind, r.Findings[0].PerOp)
	// Output:
	// memtest: 1024 B in 1 objects retained per operation
	// heap: 1024 bytes an operation
}

func ExamplePeak() {
	r := memtest.Check(printer{}, func() {
		_ = make([]byte, 1<<10)
	}, memtest.Peak(64<<20))
	fmt.Println(r.PeakHeap < 64<<20)
	// Output: true
}
