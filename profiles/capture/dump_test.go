package capture

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dumpOf is what ?debug=2 of a service with n goroutines says, a kilobyte each: their arguments and ids differ, their
// stacks don't.
func dumpOf(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "goroutine %d gp=0x%x m=nil [chan receive, %d minutes]:\n", i, 0xc000000000+i*512, i%60)
		for f := range 8 {
			fmt.Fprintf(&b, "example.com/service/internal/worker.(*Pool[...]).step%d(0x%x, {0x%x, 0x%x})\n", f, i,
				0xc000000000+i, f)
			fmt.Fprintf(&b, "\t/src/service/internal/worker/pool.go:%d +0x%x\n", 100+f, 16*f)
		}
		fmt.Fprintf(&b, "created by example.com/service/internal/worker.(*Pool[...]).Start in goroutine %d\n", i/2)
		b.WriteString("\t/src/service/internal/worker/start.go:31 +0x5c\n\n")
	}
	return b.Bytes()
}

// BenchmarkGoroutineDump reads ?debug=2 of 20,000 goroutines.
func BenchmarkGoroutineDump(b *testing.B) {
	dump := dumpOf(20_000)
	b.SetBytes(int64(len(dump)))
	for b.Loop() {
		p, err := parseGoroutineDump(dump)
		require.NoError(b, err)
		require.Len(b, p.Sample, 1)
	}
}

func TestStacksOfADumpAreCounted(t *testing.T) {
	p, err := parseGoroutineDump(dumpOf(300))
	require.NoError(t, err)
	require.Len(t, p.Sample, 1)
	assert.EqualValues(t, 300, p.Sample[0].Value[0])
	assert.EqualValues(t, 59, p.Sample[0].NumLabel[LabelMinutes][0])
	assert.Equal(t, "example.com/service/internal/worker.(*Pool[...]).Start", p.Sample[0].Label[LabelCreator][0])
}

func TestPlacesInDumps(t *testing.T) {
	for text, want := range map[string]string{
		"/src/pool.go:31 +0x5c":                    "/src/pool.go 31",
		"/src/pool.go:31":                          "/src/pool.go 31",
		"C:/my src/pool.go:31 +0x5c fp=0x1 sp=0x2": "C:/my src/pool.go 31",
		"/src/a:7 b/pool.go:x":                     "/src/a 7",
		"/src/pool.go":                             " 0",
		":31":                                      " 0",
		":::::":                                    " 0",
		"":                                         " 0",
		"/src/pool.go:-1":                          " 0",
		"/src/pool.go:99999999999999999999":        " 0",
	} {
		file, line := dumpPlace(text)
		assert.Equal(t, want, fmt.Sprint(file, " ", line), text)
	}
}

// TestTextOfTooManyStacksIsRefused: each entry of a few bytes would become some hundred.
func TestTextOfTooManyStacksIsRefused(t *testing.T) {
	text := func(head, record string, n int) []byte {
		var b bytes.Buffer
		b.WriteString(head)
		for i := range n {
			fmt.Fprintf(&b, record, i)
		}
		return b.Bytes()
	}
	for name, b := range map[string][]byte{
		"stacks of a dump": text("", "goroutine 1 [a]:\nf%d(\n\n", maxTextEntries),
		"deep stacks":      text("goroutine 1 [a]:\n", "f%d(\n", maxTextDepth+1),
		"groups":           text("goroutine profile: total 1\n", "1 @ 0x%x\n", maxTextEntries),
		"heap":             text("heap profile: 1: 1 [1: 1] @ heap/1048576\n", "1: 1 [1: 1] @ 0x%x\n", maxTextEntries),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse("x", b)
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, ErrNotProfile, name)
		assert.NotContains(t, err.Error(), "\n")
		assert.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(400<<20), "bytes for %s", name)
	}
	require.ErrorIs(t, (&builder{stacked: maxTextStacked + 1}).affordable(1), ErrNotProfile)
}
