package capture

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"
)

// maxLine is the longest line of a text profile: one with every address of a very deep stack.
const maxLine = 1 << 20

// builder makes a profile of stacks that come as text.
type builder struct {
	p         *profile.Profile
	functions map[string]*profile.Function
	locations map[string]*profile.Location
}

func newBuilder(types ...string) *builder {
	b := &builder{p: &profile.Profile{}, functions: map[string]*profile.Function{},
		locations: map[string]*profile.Location{}}
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
	key := fmt.Sprintf("%x|%s|%s|%d", f.addr, f.fn, f.file, f.line)
	if l := b.locations[key]; l != nil {
		return l
	}
	l := &profile.Location{ID: uint64(len(b.p.Location) + 1), Address: f.addr}
	if f.fn != "" {
		fk := f.fn + "|" + f.file
		fn := b.functions[fk]
		if fn == nil {
			fn = &profile.Function{ID: uint64(len(b.p.Function) + 1), Name: f.fn, SystemName: f.fn, Filename: f.file}
			b.functions[fk] = fn
			b.p.Function = append(b.p.Function, fn)
		}
		l.Line = []profile.Line{{Function: fn, Line: f.line}}
	}
	b.locations[key] = l
	b.p.Location = append(b.p.Location, l)
	return l
}

func (b *builder) sample(stack []frame, values ...int64) *profile.Sample {
	s := &profile.Sample{Value: values}
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
		return nil
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
		return nil
	})
	return out.p, err
}

// Labels that a sample of a goroutine dump has.
const (
	LabelWait    = "wait"    // the runtime's reason: "chan send"
	LabelCreator = "creator" // the function with the go statement
	LabelMinutes = "minutes" // how long the longest of them waits
)

var (
	dumpHead    = regexp.MustCompile(`^goroutine \d+ (?:gp=\S+ m=\S+ (?:mp=\S+ )?)?\[([^\]]+)\]:`)
	dumpFrame   = regexp.MustCompile(`^(\S.*)\((?:[^()]*|\.\.\.)\)$`)
	dumpPlace   = regexp.MustCompile(`^\t(.+):(\d+)(?: \+0x[0-9a-f]+)?(?: .*)?$`)
	dumpCreator = regexp.MustCompile(`^created by (.+?)(?: in goroutine \d+)?$`)
	dumpMinutes = regexp.MustCompile(`^(\d+) minutes?$`)
)

// parseGoroutineDump reads /debug/pprof/goroutine?debug=2 and the dump that a program prints when it dies. Equal stacks
// become one sample.
func parseGoroutineDump(b []byte) (*profile.Profile, error) {
	out := newBuilder("goroutine", "count")
	sc := bufio.NewScanner(bytes.NewReader(b))
	sc.Buffer(make([]byte, 64<<10), maxLine)
	seen := map[string]*profile.Sample{}
	var g dumped
	for sc.Scan() {
		line := strings.TrimRight(sc.Text(), "\r")
		if m := dumpHead.FindStringSubmatch(line); m != nil {
			g.into(out, seen)
			g = dumped{open: true}
			g.state(m[1])
		} else if line == "" {
			g.into(out, seen)
			g = dumped{}
		} else if g.open {
			g.line(line)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotProfile, err)
	}
	g.into(out, seen)
	return out.p, nil
}

// dumped is one goroutine of a dump.
type dumped struct {
	open          bool
	wait, creator string
	minutes       int64
	frames        []frame
	created       bool // the frame that follows is the go statement's
}

// state reads the text in the brackets: "chan send, 5 minutes, locked to thread".
func (g *dumped) state(text string) {
	parts := strings.Split(text, ", ")
	g.wait = parts[0]
	for _, p := range parts[1:] {
		if m := dumpMinutes.FindStringSubmatch(p); m != nil {
			g.minutes, _ = strconv.ParseInt(m[1], 10, 64)
		}
	}
}

func (g *dumped) line(line string) {
	switch {
	case strings.HasPrefix(line, "\t"):
		if m := dumpPlace.FindStringSubmatch(line); m != nil && len(g.frames) > 0 && !g.created {
			f := &g.frames[len(g.frames)-1]
			f.file = m[1]
			f.line, _ = strconv.ParseInt(m[2], 10, 64)
		}
	case strings.HasPrefix(line, "created by "):
		if m := dumpCreator.FindStringSubmatch(line); m != nil {
			g.creator, g.created = m[1], true
		}
	case strings.HasPrefix(line, "..."): // frames that the runtime left out
	default:
		fn := line
		if m := dumpFrame.FindStringSubmatch(line); m != nil {
			fn = m[1]
		} else if i := strings.LastIndexByte(line, '('); i > 0 {
			fn = line[:i]
		}
		g.frames = append(g.frames, frame{fn: fn})
	}
}

// into adds the goroutine to the profile.
func (g *dumped) into(out *builder, seen map[string]*profile.Sample) {
	if !g.open || len(g.frames) == 0 {
		return
	}
	key := fmt.Sprint(g.wait, "|", g.creator, "|", g.frames)
	if s := seen[key]; s != nil {
		s.Value[0]++
		if s.NumLabel[LabelMinutes][0] < g.minutes {
			s.NumLabel[LabelMinutes] = []int64{g.minutes}
		}
		return
	}
	s := out.sample(slices.Clone(g.frames), 1)
	s.Label = map[string][]string{LabelWait: {g.wait}, LabelCreator: {g.creator}}
	s.NumLabel = map[string][]int64{LabelMinutes: {g.minutes}}
	seen[key] = s
}
