package fault_test

import (
	_ "embed"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

var options = fault.Options{Ops: []fault.Op{"get", "put", "list", "ack"}, Reasons: map[string]int{"slowDown": 503}}

func TestPlanErrorsHaveAPositionAndOneLine(t *testing.T) {
	for _, c := range [][2]string{
		{"rules:\n  - ops: [gett]\n    reset: {}\n",
			`line 2, column 11: rules[0].ops[0]: unknown operation "gett"; this fake has get, put, list, ack, accept`},
		{"seed: 1\nbogus: 2\n", `line 2, column 1: unknown field "bogus"`},
		{"rules:\n  - ops: [get]\n",
			`line 2, column 8: rules[0]: the rule has no effect; give it one of latency, error, reset, ` +
				`stall, truncate, flip, change, empty_page, duplicates`},
		{"rules:\n  - reset: {}\n    flip: {}\n",
			`line 3, column 11: rules[0].flip: a rule has one effect beside latency, and there is reset already`},
		{"rules:\n  - reset: {at: middle}\n", `line 2, column 17: rules[0].reset.at: must be start, body or end`},
		{"rules:\n  - reset: {offset: 1, after: 2}\n",
			`line 2, column 31: rules[0].reset.after: offset and after exclude each other`},
		{"rules:\n  - truncate: {framing: none}\n",
			`line 2, column 25: rules[0].truncate.framing: must be content-length, chunked or close`},
		{"rules:\n  - error: {status: 200}\n", `line 2, column 21: rules[0].error.status: must be between 400 and 599`},
		{"rules:\n  - error: {reason: odd}\n",
			`line 2, column 21: rules[0].error.reason: reason "odd" is not known here: give a status with it`},
		{"rules:\n  - {probability: 2, reset: {}}\n", `line 2, column 19: rules[0].probability: must be between 0 and 1`},
		{"rules:\n  - {probability: .nan, reset: {}}\n",
			`line 2, column 19: rules[0].probability: must be between 0 and 1`},
		{"rules:\n  - {files: \"[\", reset: {}}\n", `line 2, column 13: rules[0].files: malformed glob`},
		{"quotas:\n  - error: {status: 429}\n", `line 2, column 10: quotas[0].per_minute: must be positive`},
		{"rules:\n  - {ops: [accept], error: {status: 500}}\n",
			`line 2, column 11: rules[0].ops: accept takes latency, or a reset at its start`},
		{"rules:\n  - {ops: [get], latency: 5 parsecs}\n",
			`line 2, column 27: time: unknown unit " parsecs" in duration "5 parsecs"`},
		{"bandwidth: {stream: fast}\n", `line 1, column 21: "fast" is not a size; write for example 512MiB, 2Gi or off`},
		{"rules: [\n", `line 1, column 8: sequence end token ']' not found`},
		{"seed: 1\n---\nseed: 2\n", `line 2, column 1: one document only`},
		{"- 1\n", `line 1, column 1: `},
	} {
		text, want := c[0], c[1]
		_, err := fault.ParsePlan([]byte(text), options)
		var pe *fault.PlanError
		require.True(t, errors.As(err, &pe), "%q: %v", text, err)
		require.Contains(t, err.Error(), "fault plan: "+want, text)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestEmptyPlanDoesNothing(t *testing.T) {
	for _, text := range []string{"", "\n# nothing\n", "{}", "rules: []"} {
		p, err := fault.ParsePlan([]byte(text), options)
		require.NoError(t, err, text)
		require.Empty(t, p.Rules)
	}
}

// fullPlan has a rule of each kind. The protocol's tests, in control, read it too.
//
//go:embed testdata/full.yaml
var fullPlan string

func FuzzParsePlan(f *testing.F) {
	f.Add([]byte(fullPlan))
	f.Add([]byte(`{"rules": [{"ops": ["get"], "reset": {}}]}`))
	f.Add([]byte("rules: [&a {reset: {}}, *a]"))
	f.Add([]byte("quotas: ! 0"))
	f.Add([]byte("rules: []"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := fault.ParsePlan(text, options)
		if err != nil {
			var pe *fault.PlanError
			require.True(t, errors.As(err, &pe), "%v", err)
			require.Positive(t, pe.Line)
			require.Positive(t, pe.Column)
			return
		}
		b, err := json.Marshal(p)
		require.NoError(t, err)
		again, err := fault.ParsePlan(b, options)
		require.NoError(t, err, "%s", b)
		same, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(b), string(same), "no rules are as good as an empty list of them")
	})
}
