package decode

import (
	"bytes"
	"compress/gzip"
	"io"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// profiles are this process's own, one with everything that a profile of Go's may have, and others, which are named so.
func profiles(t testing.TB) map[string][]byte {
	out := map[string][]byte{}
	for _, name := range []string{"heap", "goroutine", "allocs"} {
		var b bytes.Buffer
		require.NoError(t, pprof.Lookup(name).WriteTo(&b, 0))
		zip, err := gzip.NewReader(&b)
		require.NoError(t, err)
		out[name], err = io.ReadAll(zip)
		require.NoError(t, err)
	}
	f := &profile.Function{ID: 1, Name: "a", SystemName: "b", Filename: "c", StartLine: 3}
	m := &profile.Mapping{ID: 1, Start: 1, Limit: 1 << 60, Offset: 3, File: "f", BuildID: "id", HasFunctions: true,
		HasInlineFrames: true}
	bare := &profile.Mapping{ID: 2}
	inlined := &profile.Location{ID: 1, Mapping: m, Address: 1 << 40, IsFolded: true, Line: []profile.Line{
		{Function: f, Line: 1 << 20, Column: 5}, {Function: f, Line: 2}}}
	named := &profile.Location{ID: 2, Address: 9}
	all := &profile.Profile{SampleType: []*profile.ValueType{{Type: "inuse_space", Unit: "bytes"}}, DropFrames: "drop",
		KeepFrames: "keep", TimeNanos: 5, DurationNanos: 6, PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"},
		Period: 7, DefaultSampleType: "inuse_space", DocURL: "https://example.org", Mapping: []*profile.Mapping{m, bare},
		Function: []*profile.Function{f}, Location: []*profile.Location{inlined, named}, Sample: []*profile.Sample{
			{Value: []int64{-1}, Location: []*profile.Location{inlined, named, inlined},
				Label: map[string][]string{"k": {"v"}}, NumLabel: map[string][]int64{"bytes": {3}}},
			{Value: []int64{1 << 62}, Location: []*profile.Location{}}}}
	out["all"] = encoded(t, all)
	m.File = "[kernel.kallsyms]_text"
	out["other: kernel"] = encoded(t, all)
	m.File, all.Comments = "", []string{"said"}
	out["other: comments"] = encoded(t, all)
	all.Comments, bare.ID = nil, 7
	out["other: ids"] = encoded(t, all)
	return out
}

func encoded(t testing.TB, p *profile.Profile) []byte {
	var b bytes.Buffer
	require.NoError(t, p.WriteUncompressed(&b))
	return b.Bytes()
}

// agrees compares what d makes of b with what the pprof package does.
func agrees(t *testing.T, d *Decoder, b []byte) {
	got := d.Decode(b)
	if got == nil {
		return
	}
	want, err := profile.ParseUncompressed(b)
	require.NoError(t, err)
	require.NoError(t, want.CheckValid())
	for _, s := range want.Sample {
		s.Label, s.NumLabel, s.NumUnit = nil, nil, nil
	}
	require.Equal(t, encoded(t, want), encoded(t, got))
}

func TestProfilesOfGoAreDecodedAndOthersAreNot(t *testing.T) {
	d := &Decoder{}
	for name, b := range profiles(t) {
		assert.Equal(t, !strings.HasPrefix(name, "other"), d.Decode(b) != nil, name)
	}
}

func TestProfilesAreWhatThePprofPackageReads(t *testing.T) {
	d := &Decoder{}
	all := profiles(t)
	for range 2 { // each after each other
		for _, b := range all {
			agrees(t, d, b)
		}
	}
	for name, b := range all { // each message of which is damaged
		step := max(1, len(b)/2000)
		for i := 0; i < len(b); i += step {
			wrong := bytes.Clone(b)
			wrong[i] ^= byte(1 + i%255)
			agrees(t, d, wrong)
			agrees(t, d, b[:i])
			require.False(t, t.Failed(), "%s with byte %d damaged", name, i)
		}
	}
}

func TestWhatIsOutOfBoundsIsLeft(t *testing.T) {
	field := func(tag byte, n int) []byte { // a message of n bytes
		head := []byte{tag, byte(n) | 0x80, byte(n>>7) | 0x80, byte(n>>14) | 0x80, byte(n >> 21)}
		return append(head, make([]byte, n)...)
	}
	d := &Decoder{}
	assert.True(t, d.outermost(field(FieldSample<<3|2, MaxField)))
	assert.False(t, d.outermost(field(FieldSample<<3|2, MaxField+1)))
	assert.False(t, d.outermost(bytes.Repeat(field(FieldSample<<3|2, MaxField), MaxReferences/MaxField+1)))
	assert.False(t, d.outermost(bytes.Repeat([]byte{fieldTime << 3, 0}, MaxEntries+1)))
}

func TestAProfileIsDecodedIntoTheMemoryOfTheOneBefore(t *testing.T) {
	b := profiles(t)["heap"]
	d := &Decoder{}
	require.NotNil(t, d.Decode(b))
	assert.Less(t, testing.AllocsPerRun(5, func() { d.Decode(b) }), 20.0)
}

func FuzzDecode(f *testing.F) {
	for _, b := range profiles(f) {
		f.Add(b)
	}
	d := &Decoder{}
	f.Fuzz(func(t *testing.T, b []byte) { agrees(t, d, b) })
}
