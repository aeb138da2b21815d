package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/stat"
)

func TestBadCommandLinesAreRefused(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-only", "pages,speed"}, 2, `bench: -only: there is no measurement "speed"`},
		{[]string{"-rounds", "0"}, 2, "bench: -rounds: want 1 or more, have 0"},
		{[]string{"-nothing"}, 2, "flag provided but not defined"},
		{[]string{"-only", "start", "-fakedrive", "no/such/binary"}, 1, "bench: start: "},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, c.code, run(c.args, &out, &errs), c.args)
		require.Contains(t, errs.String(), c.want)
		require.Empty(t, out.String())
	}
}

func TestAMissedFigureFails(t *testing.T) {
	figures := []figure{atLeast("speed", 0.8, 0.9, "fast"), atLeast("thrift", 0.8, 0.79, "slow")}
	var out bytes.Buffer
	require.EqualError(t, show(&out, figures, false), "1 of 2 figures are missed")
	require.Regexp(t, `(?m)^speed +>= 0\.80x +0\.90x \(fast\) +ok$`, out.String())
	require.Regexp(t, `(?m)^thrift +>= 0\.80x +0\.79x \(slow\) +MISSED$`, out.String())
	out.Reset()
	require.NoError(t, show(&out, figures[:1], true))
	var back []figure
	require.NoError(t, json.Unmarshal(out.Bytes(), &back))
	require.Equal(t, figures[:1], back)
}

func TestPagesAreMeasured(t *testing.T) {
	figures, err := pages(t.Context(), options{rounds: 1})
	require.NoError(t, err)
	require.Len(t, figures, 2)
	for _, f := range figures {
		require.Positive(t, f.Value)
	}
}

func TestMedian(t *testing.T) {
	values := []float64{9, 1, 5}
	require.Equal(t, 5.0, stat.Median(values))
	require.Equal(t, []float64{9, 1, 5}, values, "the caller's data")
	require.Equal(t, 3.0, stat.Median([]float64{5, 1}))
}
