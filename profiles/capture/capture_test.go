package capture

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func zipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// lookup is a profile of this process.
func lookup(t testing.TB, name string, debug int) []byte {
	t.Helper()
	runtime.GC()
	var b bytes.Buffer
	require.NoError(t, pprof.Lookup(name).WriteTo(&b, debug))
	return b.Bytes()
}

// heap is a handmade profile: 10 MiB at cache.Put, 900 MiB at render.Page.
func heap(change func(*profile.Profile)) []byte {
	fn := func(id uint64, name, file string) *profile.Function {
		return &profile.Function{ID: id, Name: name, Filename: file}
	}
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "alloc_objects", Unit: "count"}, {Type: "alloc_space", Unit: "bytes"},
			{Type: "inuse_objects", Unit: "count"}, {Type: "inuse_space", Unit: "bytes"}},
		PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"}, Period: 512 << 10, TimeNanos: 1e18,
		Function: []*profile.Function{fn(1, "app/cache.Put", "/src/app/cache/c.go"), fn(2, "app/render.Page",
			"/src/app/render/r.go")},
	}
	for i, f := range p.Function {
		l := &profile.Location{ID: f.ID, Address: 0x1000 + 16*f.ID, Line: []profile.Line{{Function: f, Line: int64(10 + i)}}}
		p.Location = append(p.Location, l)
		mib := int64(10 + 890*i)
		p.Sample = append(p.Sample, &profile.Sample{Location: []*profile.Location{l}, Value: []int64{mib, mib << 20, mib,
			mib << 20}})
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

// only keeps the sample types listed.
func only(types ...int) func(*profile.Profile) {
	return func(p *profile.Profile) {
		var st []*profile.ValueType
		for _, i := range types {
			st = append(st, p.SampleType[i])
		}
		for _, s := range p.Sample {
			var v []int64
			for _, i := range types {
				v = append(v, s.Value[i])
			}
			s.Value = v
		}
		p.SampleType = st
	}
}

// TestEveryFormIsReadAndDescribed has one file per form and oddity.
func TestEveryFormIsReadAndDescribed(t *testing.T) {
	for name, c := range map[string]struct {
		data   []byte
		kind   Kind
		oddity Oddity
		live   int64 // MiB; 0: not checked
	}{
		"a heap profile":          {heap(nil), Heap, "", 910},
		"not compressed":          {unzip(t, heap(nil)), Heap, "", 910},
		"compressed twice":        {zipped(t, heap(nil)), Heap, Layered, 910},
		"inuse_space alone":       {heap(only(3)), Heap, OneType, 910},
		"types in another order":  {heap(only(3, 2)), Heap, "", 910},
		"alloc_space alone":       {heap(only(1)), Heap, AllocOnly, 0},
		"without a time":          {heap(func(p *profile.Profile) { p.TimeNanos = 0 }), Heap, NoTime, 910},
		"without a sampling rate": {heap(func(p *profile.Profile) { p.Period = 0 }), Heap, NoPeriod, 910},
		"without addresses": {heap(func(p *profile.Profile) {
			for _, l := range p.Location {
				l.Address = 0
			}
		}), Heap, NoAddresses, 910},
		"without functions": {heap(func(p *profile.Profile) {
			for _, l := range p.Location {
				l.Line = nil
			}
			p.Function = nil
		}), Heap, Unsymbolized, 910},
		"a difference": {heap(func(p *profile.Profile) { p.Sample[0].Value[3] = -p.Sample[0].Value[3] }), Heap,
			Difference, 890},
		"a difference by ?seconds=2": {heap(func(p *profile.Profile) { p.DurationNanos = 2e9 }), Heap, Difference, 910},
		"a sample without a stack":   {heap(func(p *profile.Profile) { p.Sample[0].Location = nil }), Heap, Stackless, 910},
		"of go test": {heap(func(p *profile.Profile) {
			p.Mapping = []*profile.Mapping{{ID: 1,
				File: "/tmp/go-build/app.test"}}
		}), Heap, TestBinary, 910},
		"heap as text":         {lookup(t, "heap", 1), Heap, LegacyText, 0},
		"goroutines":           {lookup(t, "goroutine", 0), Goroutine, "", 0},
		"goroutines as text":   {lookup(t, "goroutine", 1), Goroutine, NoTime, 0},
		"a goroutine dump":     {lookup(t, "goroutine", 2), Goroutine, NoTime, 0},
		"a flame graph's JSON": {[]byte(flame), Heap, OneType, 3},
	} {
		got, err := Parse("x", c.data)
		require.NoError(t, err, name)
		assert.Equal(t, c.kind, got.Kind, name)
		if c.oddity != "" {
			assert.True(t, got.Has(c.oddity), "%s: %v", name, got.Notes)
		}
		var live int64
		for _, s := range got.Profile.Sample {
			live += got.Value(s, got.InuseBytes)
			for _, l := range s.Location {
				assert.NotEmpty(t, l.Line, "%s: a location without a line is lost", name)
			}
		}
		if c.live != 0 {
			assert.Equal(t, c.live, live>>20, name)
		}
	}
}

const flame = `{"version":1,"flamebearer":{"names":["total","main.main","lib.Grow","lib.Keep"],
"levels":[[0,3145728,0,0],[0,3145728,0,1],
[0,1048576,1048576,2,0,2097152,2097152,3]],"numTicks":3145728},
"metadata":{"format":"single","units":"bytes","name":"inuse_space"}}`

func TestAFlameGraphKeepsItsStacks(t *testing.T) {
	c, err := Parse("x", []byte(flame))
	require.NoError(t, err)
	require.Len(t, c.Profile.Sample, 2)
	s := c.Profile.Sample[1]
	assert.Equal(t, int64(2<<20), s.Value[0])
	require.Len(t, s.Location, 2)
	assert.Equal(t, "lib.Keep", s.Location[0].Line[0].Function.Name)
	assert.Equal(t, "main.main", s.Location[1].Line[0].Function.Name)
}

func unzip(t testing.TB, b []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(b))
	require.NoError(t, err)
	plain, err := io.ReadAll(r)
	require.NoError(t, err)
	return plain
}

//go:noinline
func keptForTheTest() [][]byte {
	kept := make([][]byte, 64)
	for i := range kept {
		kept[i] = make([]byte, 128<<10)
	}
	return kept
}

// TestTheTextOfAHeapIsScaledLikeTheBinaryForm compares the two forms of a profile of this process.
func TestTheTextOfAHeapIsScaledLikeTheBinaryForm(t *testing.T) {
	kept := keptForTheTest() // by a function of its own: a profile that is written allocates as well, below this one
	a, err := Parse("binary", lookup(t, "heap", 0))
	require.NoError(t, err)
	b, err := Parse("text", lookup(t, "heap", 1))
	require.NoError(t, err)
	assert.InEpsilon(t, of(a, "keptForTheTest"), of(b, "keptForTheTest"), 0.02)
	assert.Greater(t, of(b, "keptForTheTest"), 4.0*(1<<20))
	runtime.KeepAlive(kept)
}

// of is what a function holds.
func of(c *Capture, fn string) float64 {
	sum := 0.0
	for _, s := range c.Profile.Sample {
		for _, l := range s.Location {
			if strings.HasSuffix(l.Line[len(l.Line)-1].Function.Name, fn) {
				sum += float64(c.Value(s, c.InuseBytes))
				break
			}
		}
	}
	return sum
}

func TestADumpSaysWhyGoroutinesWaitAndWhoStartedThem(t *testing.T) {
	const dump = `SIGQUIT: quit

goroutine 1 [running]:
main.main()
	/src/main.go:9 +0x20

goroutine 7 [chan send, 5 minutes]:
main.(*server).refresh(0xc000010000, {0x1, 0x2})
	/src/main.go:40 +0x1d
created by main.(*server).getQuote in goroutine 3
	/src/main.go:38 +0x99

goroutine 8 [chan send, 7 minutes]:
main.(*server).refresh(0xc000020000, {0x1, 0x2})
	/src/main.go:40 +0x1d
created by main.(*server).getQuote in goroutine 4
	/src/main.go:38 +0x99
`
	c, err := Parse("dump", []byte(dump))
	require.NoError(t, err)
	require.Len(t, c.Profile.Sample, 2)
	s := c.Profile.Sample[1]
	assert.Equal(t, int64(2), s.Value[0], "equal stacks are one group")
	assert.Equal(t, []string{"chan send"}, s.Label[LabelWait])
	assert.Equal(t, []string{"main.(*server).getQuote"}, s.Label[LabelCreator])
	assert.Equal(t, []int64{7}, s.NumLabel[LabelMinutes])
	assert.Equal(t, "main.(*server).refresh", s.Location[0].Line[0].Function.Name)
	assert.Equal(t, int64(40), s.Location[0].Line[0].Line)
}

// TestWhatIsNoProfileIsRefusedInOneLine says what each is and what to do.
func TestWhatIsNoProfileIsRefusedInOneLine(t *testing.T) {
	core := append([]byte("\x7fELF"), make([]byte, 60)...)
	core[16] = 4
	deep := heap(nil)
	for range 4 {
		deep = zipped(t, deep)
	}
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"nothing":            {nil, "empty"},
		"compressed nothing": {zipped(t, nil), "nothing is in it"},
		"a web page":         {[]byte("<html><body>404</body></html>"), "web page"},
		"a program":          {append([]byte("\x7fELF"), make([]byte, 60)...), "a program"},
		"a core":             {core, "soak holders --core"},
		"a trace":            {[]byte("go 1.26 trace\x00\x00\x00"), "go tool trace"},
		"words":              {[]byte("connection refused\n"), `"connection refused"`},
		"JSON":               {[]byte(`{"error":"no"}`), "JSON"},
		"cut off":            {heap(nil)[:100], "cut off"},
		"cut off, plain":     {unzip(t, heap(nil))[:100], "cut off"},
		"zeros":              {make([]byte, 4096), "not a profile"},
		"layers of gzip":     {deep, "gzip inside gzip"},
		"a heap of C++":      {[]byte("heap profile: 3: 4 [5: 6] @ heapprofile\n"), "another language"},
	} {
		_, err := Parse("x", c.data)
		require.ErrorContains(t, err, c.says, name)
		assert.NotContains(t, err.Error(), "\n", name)
		assert.True(t, strings.HasPrefix(err.Error(), "x: "), name)
	}
}

// long repeats a unit after a head to more than MaxUnpacked bytes, compressed.
func long(t *testing.T, head, unit string) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	require.NoError(t, err)
	_, err = w.Write([]byte(head))
	require.NoError(t, err)
	chunk := bytes.Repeat([]byte(unit), 1<<20/len(unit)+1)
	for range MaxUnpacked>>20 + 1 {
		_, err := w.Write(chunk)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return packed.Bytes()
}

// TestABombIsRefusedBeforeItIsUnpacked measures what the refusal allocates. Half a GiB is what a runner may take.
func TestABombIsRefusedBeforeItIsUnpacked(t *testing.T) {
	zeros := long(t, "", "\x00")
	for _, c := range []struct {
		name string
		bomb []byte
		want error
	}{
		{"zeros", zeros, ErrNotProfile},
		{"zeros, twice", zipped(t, zeros), ErrNotProfile},
		{"samples of two bytes", long(t, "", "\x12\x00"), ErrTooLarge},
		{"strings of a profile", long(t, "", "\x32\x7d"+strings.Repeat("\x01", 0x7d)), ErrTooLarge},
		{"one string", long(t, "\x32\x80\x80\x80\x40", "s"), ErrNotProfile},
		{"a heap as text", long(t, "heap profile: 1: 1 [1: 1] @ heap/1\n", " 1: 1 [1: 1] @ 0x1 0x2\n"), ErrLongText},
		{"goroutines as text", long(t, "goroutine profile: total 1\n", "1 @ 0x1 0x2\n\n"), ErrLongText},
		{"a flame graph", long(t, `{"flamebearer":{"names":[`, `"a",`), ErrLongText},
		{"words", long(t, "", "words "), ErrNotProfile},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse("bomb", c.bomb)
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, c.want, c.name)
		assert.NotContains(t, err.Error(), "\n", c.name)
		assert.LessOrEqual(t, len(err.Error()), 300, c.name)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(6*usual), c.name)
	}
}

// TestLongTextIsRefusedUncompressed holds text to the same limits, compressed or not.
func TestLongTextIsRefusedUncompressed(t *testing.T) {
	text := append([]byte("goroutine profile: total 1\n"), bytes.Repeat([]byte("1 @ 0x1 0x2\n\n"), usual/12)...)
	_, err := Parse("text", text)
	require.ErrorIs(t, err, ErrLongText)
	path := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	_, err = Read(path)
	require.ErrorIs(t, err, ErrLongText)
}

// TestAProfileLargerThanUsualIsRead: the look at its beginning refuses no real profile, whatever field it ends in.
func TestAProfileLargerThanUsualIsRead(t *testing.T) {
	p, err := profile.ParseUncompressed(unzip(t, heap(nil)))
	require.NoError(t, err)
	for i := range 20 {
		p.Comments = append(p.Comments, strings.Repeat(string(rune('a'+i)), 1<<20))
	}
	var b bytes.Buffer
	require.NoError(t, p.WriteUncompressed(&b))
	require.Greater(t, b.Len(), usual)
	for name, data := range map[string][]byte{"plain": b.Bytes(), "packed": zipped(t, b.Bytes())} {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, data, 0o600))
		c, err := Read(path)
		require.NoError(t, err, name)
		assert.Len(t, c.Profile.Sample, len(p.Sample), name)
		assert.Len(t, c.Profile.Comments, len(p.Comments), name)
	}
}

func TestADeviceWithoutEndIsRefused(t *testing.T) {
	if _, err := os.Stat("/dev/zero"); err != nil {
		t.Skip("there is no /dev/zero here")
	}
	_, err := Read("/dev/zero")
	require.ErrorIs(t, err, ErrNotProfile)
}

func TestFilesAreFoundByContentAndOrderedByNumbers(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"h.10": heap(nil), "h.9": unzip(t, heap(nil)), "g.txt": lookup(t, "goroutine", 1), "notes.md": []byte("# heap"),
		"work.csv": []byte("file\n"), "README": []byte("some words"), ".hidden": heap(nil), "sub/h.1": heap(nil),
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	got, err := Files(dir)
	require.NoError(t, err)
	for i := range got {
		got[i], _ = filepath.Rel(dir, got[i])
	}
	assert.Equal(t, []string{"g.txt", "h.9", "h.10", "sub/h.1"}, got)
}

func TestAPeriodOfAnIntervalIsNoSamplingRate(t *testing.T) {
	c, err := Parse("x", heap(func(p *profile.Profile) {
		p.PeriodType, p.Period = &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, 15e9
	}))
	require.NoError(t, err)
	assert.InDelta(t, DefaultPeriod, c.Period(), math.SmallestNonzeroFloat64)
}

func FuzzParse(f *testing.F) {
	for _, b := range [][]byte{heap(nil), lookup(f, "heap", 1), lookup(f, "goroutine", 1), lookup(f, "goroutine", 2),
		[]byte(flame)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := Parse("x", b); err == nil && c.Profile == nil {
			t.Fatal("neither a profile nor an error")
		}
	})
}

func ExampleParse() {
	_, err := Parse("heap.pb.gz", []byte("<html>"))
	fmt.Println(err)
	// Output: heap.pb.gz: not a profile: a web page, perhaps an error page: check the URL that it was fetched from
}

// TestAReaderReadsWhatReadDoes, each file after each other, what Go writes and what it doesn't.
func TestAReaderReadsWhatReadDoes(t *testing.T) {
	dir := t.TempDir()
	r := &Reader{}
	for i, b := range [][]byte{heap(nil), lookup(t, "heap", 0), lookup(t, "goroutine", 0), lookup(t, "heap", 1),
		[]byte(flame), zipped(t, heap(nil)), []byte("<html>"), {}, lookup(t, "heap", 0), heap(only(3))} {
		path := filepath.Join(dir, fmt.Sprint(i))
		require.NoError(t, os.WriteFile(path, b, 0o600))
		want, wrong := Read(path)
		got, err := r.Read(path)
		require.Equal(t, wrong, err, "file %d", i)
		if err != nil {
			continue
		}
		for _, s := range append(slices.Clone(want.Profile.Sample), got.Profile.Sample...) {
			s.Label, s.NumLabel, s.NumUnit = nil, nil, nil
		}
		require.Equal(t, want.Profile.String(), got.Profile.String(), "file %d", i)
		want.Profile, got.Profile = nil, nil
		require.Equal(t, want, got, "file %d", i)
	}
	_, err := r.Read(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
