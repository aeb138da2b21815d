package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/profiles/capture"
)

// The columns of a heap profile's samples.
const (
	allocObjects = iota
	allocSpace
	inuseObjects
	inuseSpace
)

// handmade is a heap profile of 10 MiB at app/cache.Put and 90 MiB at lib/codec.Decode, which app/api.Get calls.
func handmade(change func(p *profile.Profile)) []byte {
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "alloc_objects", Unit: "count"}, {Type: "alloc_space", Unit: "bytes"},
			{Type: "inuse_objects", Unit: "count"}, {Type: "inuse_space", Unit: "bytes"}},
		PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"}, Period: 512 << 10, TimeNanos: 1.7e18,
		Mapping: []*profile.Mapping{{ID: 1, Start: 0x1000, Limit: 0x9000, File: "/srv/app", BuildID: "one"}},
	}
	var locations []*profile.Location
	for i, name := range []string{"app/cache.Put", "lib/codec.Decode", "app/api.Get"} {
		f := &profile.Function{ID: uint64(i + 1), Name: name, SystemName: name, Filename: "/src/" + name + ".go"}
		l := &profile.Location{ID: f.ID, Address: 0x1000 + 16*f.ID, Mapping: p.Mapping[0], Line: []profile.Line{{Function: f,
			Line: int64(10 + i)}}}
		p.Function, p.Location = append(p.Function, f), append(p.Location, l)
		locations = append(locations, l)
	}
	p.Sample = []*profile.Sample{
		{Location: locations[:1], Value: []int64{20, 20 << 20, 10, 10 << 20}},
		{Location: locations[1:], Value: []int64{180, 180 << 20, 90, 90 << 20}},
	}
	if change != nil {
		change(p)
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// column keeps one value of each sample.
func column(i int) func(*profile.Profile) {
	return func(p *profile.Profile) {
		p.SampleType = p.SampleType[i : i+1]
		for _, s := range p.Sample {
			s.Value = s.Value[i : i+1]
		}
	}
}

func noAddresses(p *profile.Profile) {
	for _, l := range p.Location {
		l.Address, l.Mapping = 0, nil
	}
	p.Mapping = nil
}

func noFunctions(p *profile.Profile) {
	for _, l := range p.Location {
		l.Line = nil
	}
	p.Function = nil
}

func packed(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

const (
	heapText = "heap profile: 2: 1048576 [4: 2097152] @ heap/1048576\n" +
		"2: 1048576 [4: 2097152] @ 0x1001 0x1002\n#\t0x1001\tapp/cache.Put+0x20\t/src/app/cache.go:10\n" +
		"#\t0x1002\tmain.main+0x9\t/src/main.go:5\n\n" +
		"# runtime.MemStats\n# HeapAlloc = 3000000\n"
	heapTextBare = "heap profile: 2: 1048576 [4: 2097152] @ heap/1048576\n2: 1048576 [4: 2097152] @ 0x1001 0x1002\n"
	routineText  = "goroutine profile: total 61\n60 @ 0x1001 0x1002\n" +
		"#\t0x1001\tapp/queue.(*Pool).run+0x20\t/src/app/queue.go:10\n\n" +
		"1 @ 0x1003\n#\t0x1003\tmain.main+0x9\t/src/main.go:5\n"
	routineDump = "goroutine 1 [running]:\nmain.main()\n\t/src/main.go:9 +0x20\n\ngoroutine 7 [chan send, 5 minutes]:\n" +
		"app/queue.(*Pool).run(0x1)\n" +
		"\t/src/app/queue.go:40 +0x1d\ncreated by app/queue.New in goroutine 1\n\t/src/app/queue.go:38 +0x99\n"
	flameJSON = `{"version":1,"flamebearer":{"names":["total","app/api.Get","lib/codec.Decode"],` +
		`"levels":[[0,3145728,0,0],[0,3145728,0,1],` +
		`[0,3145728,3145728,2]],"numTicks":3145728},"metadata":{"format":"single","units":"bytes","name":"inuse_space"}}`
)

// TestEachFormIsDescribedOnTheFirstScreen has one file per form and oddity of what people have.
func TestEachFormIsDescribedOnTheFirstScreen(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		says []string
	}{
		"a heap profile": {handmade(nil), []string{"ONE PROFILE: 100 MiB live", "90 MiB (90 %)  lib/codec.Decode",
			"soak record"}},
		"without addresses": {handmade(noAddresses), []string{"ONE PROFILE: 100 MiB live", "90 MiB (90 %)  lib/codec.Decode",
			"10 MiB (10 %)  app/cache.Put", "no addresses"}},
		"one sample type": {handmade(column(inuseSpace)), []string{"100 MiB live", "inuse_space alone"}},
		"what was allocated": {handmade(column(allocSpace)), []string{"ALLOCATED, freed or not: 200 MiB",
			"nothing of what is live"}},
		"unsymbolised": {handmade(noFunctions), []string{"100 MiB live", "90 MiB (90 %)  0x1020",
			"go tool pprof -proto -symbolize=local"}},
		"a difference": {handmade(func(p *profile.Profile) { p.Sample[0].Value[inuseSpace] *= -1 }),
			[]string{"A DIFFERENCE of two profiles: 80 MiB in all", "90.0 MiB more and 10.0 MiB less, not what is live"}},
		"of go test": {handmade(func(p *profile.Profile) { p.Mapping[0].File = "/tmp/go-build1/app.test" }),
			[]string{"100 MiB live", "go test -memprofile"}},
		"compressed twice": {packed(handmade(nil)), []string{"100 MiB live", "gzip inside gzip"}},
		"without a time":   {handmade(func(p *profile.Profile) { p.TimeNanos = 0 }), []string{"100 MiB live"}},
		"of a delta's interval": {handmade(func(p *profile.Profile) {
			p.PeriodType, p.Period = &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, 15e9
		}), []string{"100 MiB live"}},
		"text":                   {[]byte(heapText), []string{"MiB live", "app/cache.Put", "?debug=1"}},
		"text, unsymbolised":     {[]byte(heapTextBare), []string{"MiB live", "0x1001", "symbolize"}},
		"a flame graph's export": {[]byte(flameJSON), []string{"3.0 MiB live", "lib/codec.Decode"}},
		"goroutines as text": {[]byte(routineText), []string{"NO HEAP PROFILE: goroutines only",
			"60  app/queue.(*Pool).run"}},
		"goroutines, compressed": {packed([]byte(routineText)), []string{"60  app/queue.(*Pool).run"}},
		"a dump of goroutines": {[]byte(routineDump), []string{"goroutines only", "app/queue.(*Pool).run [chan send]",
			"started by app/queue.New"}},
		"a sample without stacks": {handmade(func(p *profile.Profile) { p.Sample[0].Location = nil }),
			[]string{"100 MiB live", "10.0 MiB have no stack"}},
	} {
		path := filepath.Join(t.TempDir(), "any name at all")
		require.NoError(t, os.WriteFile(path, c.data, 0o644))
		code, out, errs := soakCommand("diagnose", path)
		require.Equal(t, exitcode.OK, code, "%s: %s", name, errs)
		for _, s := range c.says {
			assert.Contains(t, out, s, name)
		}
		assert.NotContains(t, strings.SplitN(out, "\n", 2)[0], " 0 B", name)
	}
}

// TestProfilesOfSeveralBinariesAreNotOneSeries mixes build ids, and files without one.
func TestProfilesOfSeveralBinariesAreNotOneSeries(t *testing.T) {
	write := func(dir string, i int, id string) {
		data := handmade(func(p *profile.Profile) {
			p.TimeNanos += int64(i) * 60e9
			p.Mapping[0].BuildID = id
			if id == "" {
				p.Mapping[0].File = ""
			}
		})
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("heap.%d", i)), data, 0o644))
	}
	for name, c := range map[string]struct {
		ids  []string
		says string
	}{
		"two builds":               {[]string{"one", "two", "one", "two"}, "2 processes are in these 4 profiles"},
		"one build":                {[]string{"one", "one", "one"}, ""},
		"one that has no build id": {[]string{"one", "", "one"}, ""},
	} {
		dir := t.TempDir()
		for i, id := range c.ids {
			write(dir, i, id)
		}
		code, out, errs := soakCommand("diagnose", dir)
		require.Equal(t, exitcode.OK, code, "%s: %s", name, errs)
		if c.says == "" {
			assert.NotContains(t, out, "processes are in", name)
		} else {
			assert.Contains(t, out, c.says, name)
		}
	}
}

// TestWhatIsNoProfileIsOneLine gives files that people take for profiles.
func TestWhatIsNoProfileIsOneLine(t *testing.T) {
	var zeros bytes.Buffer
	w := gzip.NewWriter(&zeros)
	for range capture.MaxUnpacked>>20 + 1 {
		_, err := w.Write(make([]byte, 1<<20))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	cpu := &profile.Profile{SampleType: []*profile.ValueType{{Type: "cpu", Unit: "nanoseconds"}}}
	var cpuFile bytes.Buffer
	require.NoError(t, cpu.Write(&cpuFile))
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"empty":          {nil, "empty"},
		"cut off":        {handmade(nil)[:100], "cut off in the middle: fetch it again"},
		"a bomb":         {zeros.Bytes(), "not a profile"},
		"a web page":     {[]byte("<html>"), "a web page"},
		"a CPU profile":  {cpuFile.Bytes(), "a profile of cpu, which says nothing of memory"},
		"words":          {[]byte("connection refused\n"), "connection refused"},
		"a packed bomb":  {packed(zeros.Bytes()), "not a profile"},
		"packed 4 times": {packed(packed(packed(packed(handmade(nil))))), "gzip inside gzip 3 times over"},
		"random bytes":   {[]byte("\x8f\x11\x93\x7c\xe1\xb2\x05\xdf\x4a\xc9\x00\x77"), "not a profile"},
		"a trace":        {[]byte("go 1.26 trace\x00\x00\x00"), "an execution trace"},
		"contentions": {handmade(func(p *profile.Profile) {
			p.SampleType = []*profile.ValueType{{Type: "contentions", Unit: "count"},
				{Type: "delay", Unit: "nanoseconds"}}
			for _, s := range p.Sample {
				s.Value = s.Value[:2]
			}
		}), "a profile of contentions, delay, which says nothing of memory"},
		"other protobuf": {packed([]byte("\x0a\x03abc\x12\x03def")), "not a profile"},
	} {
		path := filepath.Join(t.TempDir(), "heap.pb.gz")
		require.NoError(t, os.WriteFile(path, c.data, 0o644))
		code, out, errs := soakCommand("diagnose", path)
		assert.Equal(t, exitcode.UsageError, code, name)
		assert.Empty(t, out, name)
		assert.Contains(t, errs, c.says, name)
		assert.Equal(t, 1, strings.Count(errs, "\n"), "%s: %s", name, errs)
	}
}

// TestFoldersOfOthers reads each file below the folder PROFILES: it is described, or refused in one line.
func TestFoldersOfOthers(t *testing.T) {
	dir := os.Getenv("PROFILES")
	if dir == "" {
		t.Skip("PROFILES=dir is a folder of other people's profiles")
	}
	read, refused := 0, 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		code, out, errs := soakCommand("diagnose", path)
		first, _, _ := strings.Cut(out, "\n")
		if code == exitcode.OK {
			read++
			assert.NotEmpty(t, first, path)
			t.Logf("read     %s: %s", path, first)
			return nil
		}
		refused++
		assert.Empty(t, out, path)
		assert.Equal(t, 1, strings.Count(errs, "\n"), "%s: %s", path, errs)
		t.Logf("refused  %s", strings.TrimSpace(errs))
		return nil
	})
	require.NoError(t, err)
	t.Logf("%d files read, %d refused in one line", read, refused)
	assert.Positive(t, read+refused, "%s has no file", dir)
}
