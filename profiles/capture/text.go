package capture

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/memsoak/memsoak/internal/bounded"
)

// maxLine is the longest line of a text profile: one with every address of a very deep stack.
var maxLine = int(bounded.TextLine.Bytes)

// builder makes a profile of stacks that come as text.
type builder struct {
	p         *profile.Profile
	functions map[[2]string]*profile.Function // by name and file
	locations map[frame]*profile.Location
	entries   int // samples, locations and functions
	stacked   int // locations that samples name
}

// A few hundred bytes are allocated for each entry of a profile that comes as text, and eight for a place in a stack.
// The largest that were seen have a few thousand entries.
var (
	maxTextEntries = bounded.Profile.Count
	maxTextStacked = 100 * bounded.Profile.Count
	maxTextDepth   = bounded.Profile.Depth // places in one stack; the runtime prints a hundred
)

// affordable is an error where the profile, or a stack of so many places, is larger than text may become.
func (b *builder) affordable(depth int) error {
	if b.entries > maxTextEntries || b.stacked > maxTextStacked || depth > maxTextDepth {
		return fmt.Errorf("%w: text of more than %d different stacks and places", ErrNotProfile, maxTextEntries)
	}
	return nil
}

func newBuilder(types ...string) *builder {
	b := &builder{p: &profile.Profile{}, functions: map[[2]string]*profile.Function{},
		locations: map[frame]*profile.Location{}}
	for i := 0; i < len(types); i += 2 {
		b.p.SampleType = append(b.p.SampleType, &profile.ValueType{Type: types[i], Unit: types[i+1]})
	}
	return b
}

// frame is a line of a stack; fn is empty where only the address is known.
type frame struct {
	addr uint64
	fn   string
	file string
	line int64
}

func (b *builder) location(f frame) *profile.Location {
	if l := b.locations[f]; l != nil {
		return l
	}
	b.entries++
	l := &profile.Location{ID: uint64(len(b.p.Location) + 1), Address: f.addr}
	if f.fn != "" {
		fk := [2]string{f.fn, f.file}
		fn := b.functions[fk]
		if fn == nil {
			b.entries++
			fn = &profile.Function{ID: uint64(len(b.p.Function) + 1), Name: f.fn, SystemName: f.fn, Filename: f.file}
			b.functions[fk] = fn
			b.p.Function = append(b.p.Function, fn)
		}
		l.Line = []profile.Line{{Function: fn, Line: f.line}}
	}
	b.locations[f] = l
	b.p.Location = append(b.p.Location, l)
	return l
}

func (b *builder) sample(stack []frame, values ...int64) *profile.Sample {
	s := &profile.Sample{Value: values}
	b.entries++
	b.stacked += len(stack)
	for _, f := range stack {
		s.Location = append(s.Location, b.location(f))
	}
	b.p.Sample = append(b.p.Sample, s)
	return s
}

// Lines of the text forms: counts and addresses of a record, and a frame below it.
var (
	heapHead     = regexp.MustCompile(`^heap profile: .*@ heap/(\d+)`)
	heapRecord   = regexp.MustCompile(`^\s*(\d+): (\d+) \[(\d+): (\d+)\] @((?: 0x[0-9a-f]+)*)\s*$`)
	groupRecord  = regexp.MustCompile(`^(\d+) @((?: 0x[0-9a-f]+)*)\s*$`)
	commentFrame = regexp.MustCompile(`^#\t0x([0-9a-f]+)\t(\S+?)(?:\+0x[0-9a-f]+)?\t+(.+):(\d+)$`)
)

// textRecord is a record of a text profile: the fields of its first line, and its frames.
type textRecord struct {
	match  []string
	addrs  string
	frames []frame
}

// records reads the records of a text profile: a line that re matches, whose last group are addresses, and the frames
// that follow it as comments. Where there are none, the addresses are the stack.
func records(b []byte, re *regexp.Regexp, yield func(r textRecord) error) error {
	sc := bufio.NewScanner(bytes.NewReader(b))
	sc.Buffer(make([]byte, 64<<10), maxLine)
	var now *textRecord
	flush := func() error {
		if now == nil {
			return nil
		}
		r := *now
		now = nil
		if len(r.frames) == 0 {
			for a := range strings.FieldsSeq(r.addrs) {
				if v, err := strconv.ParseUint(strings.TrimPrefix(a, "0x"), 16, 64); err == nil {
					r.frames = append(r.frames, frame{addr: v})
				}
			}
		}
		return yield(r)
	}
	for sc.Scan() {
		line := sc.Text()
		if m := re.FindStringSubmatch(line); m != nil {
			if err := flush(); err != nil {
				return err
			}
			now = &textRecord{match: m, addrs: m[len(m)-1]}
		} else if m := commentFrame.FindStringSubmatch(line); m != nil && now != nil {
			addr, _ := strconv.ParseUint(m[1], 16, 64)
			n, _ := strconv.ParseInt(m[4], 10, 64)
			now.frames = append(now.frames, frame{addr: addr, fn: m[2], file: m[3], line: n})
		} else if strings.HasPrefix(line, "# runtime.MemStats") {
			break
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotProfile, err)
	}
	return flush()
}

// parseHeapText reads /debug/pprof/heap?debug=1. Unlike the binary form it has the counts as sampled, and twice the
// sampling rate in its first line.
func parseHeapText(b []byte) (*profile.Profile, error) {
	first, _, _ := bytes.Cut(b, []byte("\n"))
	m := heapHead.FindSubmatch(first)
	if m == nil {
		return nil, fmt.Errorf("%w: a heap profile as text of another language or tool than Go", ErrNotProfile)
	}
	twice, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil || twice < 2 {
		return nil, fmt.Errorf("%w: a sampling rate of %q", ErrNotProfile, m[1])
	}
	rate := twice / 2
	out := newBuilder("alloc_objects", "count", "alloc_space", "bytes", "inuse_objects", "count", "inuse_space", "bytes")
	out.p.PeriodType, out.p.Period = &profile.ValueType{Type: "space", Unit: "bytes"}, rate
	err = records(b, heapRecord, func(r textRecord) error {
		var v [4]int64
		for i := range v {
			if v[i], err = strconv.ParseInt(r.match[i+1], 10, 64); err != nil {
				return fmt.Errorf("%w: %w", ErrNotProfile, err)
			}
		}
		liveObjects, live := unsample(v[0], v[1], rate)
		madeObjects, made := unsample(v[2], v[3], rate)
		out.sample(r.frames, madeObjects, made, liveObjects, live)
		return out.affordable(len(r.frames))
	})
	return out.p, err
}

// unsample estimates how much there was of what the profiler saw, as runtime/pprof does it for the binary form.
func unsample(objects, size, rate int64) (int64, int64) {
	if objects == 0 || size == 0 || rate <= 1 {
		return objects, size
	}
	scale := 1 / -math.Expm1(-float64(size)/float64(objects)/float64(rate))
	return int64(float64(objects) * scale), int64(float64(size) * scale)
}

// parseGoroutineText reads /debug/pprof/goroutine?debug=1.
func parseGoroutineText(b []byte) (*profile.Profile, error) {
	out := newBuilder("goroutine", "count")
	err := records(b, groupRecord, func(r textRecord) error {
		n, err := strconv.ParseInt(r.match[1], 10, 64)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNotProfile, err)
		}
		out.sample(r.frames, n)
		return out.affordable(len(r.frames))
	})
	return out.p, err
}
