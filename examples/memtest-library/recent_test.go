package recent_test

import (
	"fmt"
	"strings"
	"testing"

	recent "github.com/memsoak/memsoak/examples/memtest-library"
	"github.com/memsoak/memsoak/profiles/memtest"
)

// The whole package: what its tests leave behind per run.
func TestMain(m *testing.M) { memtest.VerifyTestMain(m) }

// One operation. The list fills meanwhile: memtest waits until it is full.
func TestSawRetainsNothing(t *testing.T) {
	var l recent.List
	n := 0
	memtest.Check(t, func() {
		n++
		l.Saw(fmt.Sprint("name ", n)) // a string of its own for each
	})
}

// The same without a bound is found: memtest fails a stand-in for the test here.
func TestListWithoutBoundIsFound(t *testing.T) {
	l := recent.List{Bound: 1 << 30}
	n := 0
	r := &recorder{TB: t}
	memtest.Check(r, func() {
		n++
		l.Saw(fmt.Sprint("name ", n)) // a string of its own for each
	})
	if len(r.failures) != 1 || !strings.Contains(r.failures[0],
		"held by what grows at github.com/memsoak/memsoak/examples/memtest-library.(*List).Saw") {
		t.Errorf("want one finding at (*List).Saw, got %q", r.failures)
	}
}

type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Errorf(f string, a ...any) { r.failures = append(r.failures, fmt.Sprintf(f, a...)) }
