package capture

import (
	"bufio"
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"
)

// Labels that a sample of a goroutine dump has.
const (
	LabelWait    = "wait"    // the runtime's reason: "chan send"
	LabelCreator = "creator" // the function with the go statement
	LabelMinutes = "minutes" // how long the longest of them waits
)

// dumpHead begins a goroutine; maxHead bounds what the expression is tried on.
var dumpHead = regexp.MustCompile(`^goroutine \d+ (?:gp=\S+ m=\S+ (?:mp=\S+ )?)?\[([^\]]+)\]:`)

const maxHead = 1 << 10

// parseGoroutineDump reads /debug/pprof/goroutine?debug=2 and the dump that a program prints when it dies. Equal stacks
// become one sample. Most lines are taken apart without regular expressions, which took half a minute for a large one.
func parseGoroutineDump(b []byte) (*profile.Profile, error) {
	out, seen := newBuilder("goroutine", "count"), map[string]*profile.Sample{}
	sc := bufio.NewScanner(bytes.NewReader(b))
	sc.Buffer(make([]byte, 64<<10), maxLine)
	var g dumped
	for sc.Scan() {
		line := strings.TrimRight(sc.Text(), "\r")
		var m []string
		if strings.HasPrefix(line, "goroutine ") {
			m = dumpHead.FindStringSubmatch(line[:min(len(line), maxHead)])
		}
		if m != nil || line == "" {
			g.into(out, seen)
			g = dumped{open: m != nil, frames: g.frames[:0]}
		}
		if m != nil {
			g.state(m[1])
		} else if g.open {
			g.line(line)
		}
		if err := out.affordable(len(g.frames)); err != nil {
			return nil, err
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotProfile, err)
	}
	g.into(out, seen)
	return out.p, out.affordable(0)
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
		if n, unit, _ := strings.Cut(p, " "); strings.HasPrefix(unit, "minute") {
			g.minutes, _ = strconv.ParseInt(n, 10, 64)
		}
	}
}

func (g *dumped) line(line string) {
	switch {
	case line[0] == '\t':
		if len(g.frames) > 0 && !g.created {
			f := &g.frames[len(g.frames)-1]
			f.file, f.line = dumpPlace(line[1:])
		}
	case strings.HasPrefix(line, "created by "):
		g.creator, _, _ = strings.Cut(line[len("created by "):], " in goroutine ")
		g.created = true
	case strings.HasPrefix(line, "..."): // frames that the runtime left out
	default:
		if i := strings.LastIndexByte(line, '('); i > 0 { // its arguments
			line = line[:i]
		}
		g.frames = append(g.frames, frame{fn: line})
	}
}

// dumpPlace takes apart what stands below a function, as in "/src/pool.go:31 +0x5c". Text without a place has none.
func dumpPlace(text string) (file string, line int64) {
	for end := len(text); end > 1; end = len(file) {
		file = text[:max(strings.LastIndexByte(text[:end], ':'), 0)]
		n, _, _ := strings.Cut(text[min(len(file)+1, end):], " ")
		if line, err := strconv.ParseUint(n, 10, 63); err == nil && file != "" {
			return file, int64(line)
		}
	}
	return "", 0
}

// into adds the goroutine to the profile.
func (g *dumped) into(out *builder, seen map[string]*profile.Sample) {
	if !g.open || len(g.frames) == 0 {
		return
	}
	key := fmt.Append(nil, g.wait, "|", g.creator)
	for _, f := range g.frames {
		key = strconv.AppendInt(append(append(append(append(key, '|'), f.fn...), '|'), f.file...), f.line, 10)
	}
	if s := seen[string(key)]; s != nil {
		s.Value[0]++
		if s.NumLabel[LabelMinutes][0] < g.minutes {
			s.NumLabel[LabelMinutes] = []int64{g.minutes}
		}
		return
	}
	s := out.sample(g.frames, 1)
	s.Label = map[string][]string{LabelWait: {g.wait}, LabelCreator: {g.creator}}
	s.NumLabel = map[string][]int64{LabelMinutes: {g.minutes}}
	seen[string(key)] = s
}
