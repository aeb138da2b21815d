package gate

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/record"
)

func TestCulpritsAreFoundInTheRepository(t *testing.T) {
	files := newTree([]string{"main.go", "svc/index/index.go", "a/util.go", "b/util.go"})
	for _, c := range []struct {
		what       string
		site, want record.Site
		stack      []string
	}{
		{"as it is", record.Site{File: "a/util.go", Line: 3}, record.Site{File: "a/util.go", Line: 3}, nil},
		{"a module in a folder", record.Site{File: "index/index.go", Line: 3}, record.Site{File: "svc/index/index.go",
			Line: 3}, nil},
		{"a main package built elsewhere", record.Site{Function: "main.run", File: "tmp/tree/main.go", Line: 3},
			record.Site{Function: "main.run", File: "main.go", Line: 3}, nil},
		{"two that it can be", record.Site{File: "util.go", Line: 3}, record.Site{File: "util.go", Line: 3}, nil},
		{"a library: the frame that called it", record.Site{Function: "io.ReadAll", File: "io/io.go", Line: 9},
			record.Site{Function: "x.(*T).get", File: "a/util.go", Line: 7},
			[]string{"io.ReadAll io/io.go:9", "x.(*T).get a/util.go:7"}},
	} {
		got := files.locate(record.Finding{Site: c.site, Stack: c.stack})
		assert.Equal(t, c.want, got.Site, c.what)
	}
}

func TestAKillForMemoryThatIsNewFails(t *testing.T) {
	ok := BaselineCell{Outcomes: map[record.Outcome]int{record.OK: 4}}
	for _, c := range []struct {
		outcomes map[record.Outcome]int
		want     Outcome
	}{
		{map[record.Outcome]int{record.OK: 4}, Pass},
		{map[record.Outcome]int{record.OK: 3, record.OOMKilled: 1}, Fail},
		{map[record.Outcome]int{record.OK: 3, record.Crashed: 1}, Inconclusive},
		{map[record.Outcome]int{record.OK: 1, record.Timeout: 3}, Fail},
	} {
		assert.Equal(t, c.want, compareOutcomes(&ok, &BaselineCell{Outcomes: c.outcomes}).Outcome, "%v", c.outcomes)
	}
}

func TestAGateThatMissesItsLeakIsInconclusive(t *testing.T) {
	for _, s := range []SelfCheck{{Leak: Pass, Equal: Pass}, {Leak: Fail, Equal: Fail}, {}} {
		r := Report{Outcome: Pass, SelfCheck: &s}
		r.Conclude()
		assert.Equal(t, Inconclusive, r.Outcome, "%+v", s)
	}
	r := Report{Outcome: Pass, SelfCheck: &SelfCheck{Leak: Fail, Equal: Pass}}
	r.Conclude()
	assert.Equal(t, Pass, r.Outcome)
}
