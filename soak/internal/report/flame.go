package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/capture"
)

// flame is a flame graph with the root on top, laid out in percent of its width so that it fits any page.
type flame struct {
	ID      string // on its page
	Title   string
	Total   int64
	Rows    int
	Frames  []flameFrame
	Hidden  int   // frames too narrow to show
	Folded  int   // library frames left out of long chains
	Shrunk  int64 // bytes that went away, of a difference; not in the graph
	Marked  bool  // a finding's function is in it
	Largest string
}

// flameFrame is one box. Kind is own, dep, std, fold (of library frames) or all (the root).
type flameFrame struct {
	Name, Short, Where string
	Left, Width        float64
	Row                int
	Bytes, Self        int64
	Kind               string
	Culprit            bool
}

// node is a frame of the tree from which a flame is laid out.
type node struct {
	frame       blame.Frame
	bytes, self int64
	children    map[string]*node
}

// weights are live bytes by stack, root first.
type weights map[string]*weighted

type weighted struct {
	stack []blame.Frame
	bytes int64
}

// liveBytes reads the live bytes of each stack of a heap profile. Stacks of the taking of profiles are left out.
func liveBytes(path string) (weights, error) {
	p, err := readProfile(path)
	if err != nil {
		return nil, err
	}
	idx := slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == "inuse_space" })
	if idx < 0 {
		return nil, fmt.Errorf("%s is no heap profile: it has no inuse_space", filepath.Base(path))
	}
	capture.DropReadings(p)
	out := weights{}
	for _, s := range p.Sample {
		if s.Value[idx] == 0 {
			continue
		}
		leafFirst := blame.Stack(s)
		if len(leafFirst) == 0 {
			continue
		}
		slices.Reverse(leafFirst)
		if len(leafFirst) > 0 && leafFirst[0].Function == "runtime.goexit" {
			leafFirst = leafFirst[1:]
		}
		key := stackKey(leafFirst)
		if w := out[key]; w != nil {
			w.bytes += s.Value[idx]
		} else {
			out[key] = &weighted{stack: leafFirst, bytes: s.Value[idx]}
		}
	}
	return out, nil
}

// total is the sum over all stacks.
func (w weights) total() int64 {
	var n int64
	for _, s := range w {
		n += s.bytes
	}
	return n
}

// readProfile reads a profile of at most capture.MaxUnpacked bytes.
func readProfile(path string) (*profile.Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := capture.ParseProfile(filepath.Base(path), f)
	if err != nil {
		return nil, fmt.Errorf("read profile %w", err)
	}
	return p, nil
}

func stackKey(frames []blame.Frame) string {
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&b, "%s\x00%d\x01", f.Function, f.Line)
	}
	return b.String()
}

// minus is what each stack holds more than in before. What shrank is summed up in shrunk.
func (w weights) minus(before weights) (growth weights, shrunk int64) {
	growth = weights{}
	for k, v := range w {
		d := v.bytes
		if b := before[k]; b != nil {
			d -= b.bytes
		}
		if d > 0 {
			growth[k] = &weighted{stack: v.stack, bytes: d}
		} else {
			shrunk -= d
		}
	}
	for k, v := range before {
		if w[k] == nil {
			shrunk += v.bytes
		}
	}
	return growth, shrunk
}

// painter colours frames and marks the culprits.
type painter struct {
	blamer   blame.Blamer
	culprits map[string]bool // functions of findings
}

// draw lays out at most budget frames, the widest first.
func (p painter) draw(title string, w weights, budget int) *flame {
	root := &node{frame: blame.Frame{Function: "all"}, children: map[string]*node{}}
	for _, k := range slices.Sorted(maps.Keys(w)) {
		root.add(w[k])
	}
	f := &flame{Title: title, Total: root.bytes}
	if root.bytes <= 0 {
		return f
	}
	all := root.flatten(nil)
	slices.SortFunc(all, func(a, b int64) int { return cmp.Compare(b, a) })
	least := max(root.bytes/400, 1) // a quarter of a percent
	if len(all) > budget {
		least = max(least, all[budget])
	}
	p.place(f, root, 0, 0, least)
	f.Hidden = max(0, len(all)-len(f.Frames)-f.Folded)
	for _, fr := range f.Frames {
		f.Rows = max(f.Rows, fr.Row+1)
		f.Marked = f.Marked || fr.Culprit
	}
	f.Largest = largestOwn(f.Frames)
	return f
}

func (n *node) add(s *weighted) {
	n.bytes += s.bytes
	at := n
	for _, fr := range s.stack {
		next := at.children[fr.Function]
		if next == nil {
			next = &node{frame: fr, children: map[string]*node{}}
			at.children[fr.Function] = next
		}
		next.bytes += s.bytes
		at = next
	}
	at.self += s.bytes
}

func (n *node) flatten(sizes []int64) []int64 {
	sizes = append(sizes, n.bytes)
	for _, c := range n.children {
		sizes = c.flatten(sizes)
	}
	return sizes
}

// longChain is the number of library frames in a row that are shown; of longer chains the first and the last are.
const longChain = 4

func (p painter) place(f *flame, n *node, row int, left float64, least int64) {
	f.Frames = append(f.Frames, p.frame(f, n, row, left))
	row++
	if row > 1 {
		if last, skipped := p.chain(n, least); skipped > 0 {
			f.Folded += skipped
			fold := flameFrame{Name: plural(skipped, "library frame"), Short: fmt.Sprintf("⋯ %d", skipped),
				Left:  f.Frames[len(f.Frames)-1].Left,
				Width: f.Frames[len(f.Frames)-1].Width, Row: row, Bytes: last.bytes, Kind: "fold"}
			f.Frames = append(f.Frames, fold, p.frame(f, last, row+1, left))
			n, row = last, row+2
		}
	}
	for _, c := range n.sorted() {
		if c.bytes >= least {
			p.place(f, c, row, left, least)
		}
		left += 100 * float64(c.bytes) / float64(f.Total)
	}
}

// chain follows library frames that have nothing beside them. It returns the last of them and how many lie between n
// and it, 0 when the chain is short enough to be shown whole.
func (p painter) chain(n *node, least int64) (last *node, between int) {
	if p.kind(n.frame) == "own" {
		return n, 0
	}
	length := 0
	for last = n; ; length++ {
		kids := last.sorted()
		if len(kids) == 0 || kids[0].bytes < last.bytes-last.bytes/50 || kids[0].bytes < least ||
			p.kind(kids[0].frame) == "own" || p.culprit(kids[0].frame) {
			break
		}
		last = kids[0]
	}
	if length < longChain {
		return n, 0
	}
	return last, length - 1
}

func (p painter) frame(f *flame, n *node, row int, left float64) flameFrame {
	fr := flameFrame{
		Name: n.frame.Function, Short: blame.CleanName(n.frame.Function), Row: row, Bytes: n.bytes, Self: n.self,
		Kind: "all",
		Left: math.Round(left*1000) / 1000, Width: math.Round(100000*float64(n.bytes)/float64(f.Total)) / 1000,
	}
	if row > 0 {
		fr.Where = fmt.Sprintf("%s:%d", filepath.Base(n.frame.File), n.frame.Line)
		fr.Kind, fr.Culprit = p.kind(n.frame), p.culprit(n.frame)
	}
	return fr
}

func (p painter) culprit(fr blame.Frame) bool {
	return p.culprits[fr.Function] || p.culprits[blame.CleanName(fr.Function)]
}

// sorted are the node's children, the largest first.
func (n *node) sorted() []*node {
	children := make([]*node, 0, len(n.children))
	for _, c := range n.children {
		children = append(children, c)
	}
	slices.SortFunc(children, func(a, b *node) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.frame.Function, b.frame.Function))
	})
	return children
}

func (p painter) kind(fr blame.Frame) string {
	if p.blamer.User(fr) {
		return "own"
	}
	site, ok := p.blamer.Blame([]blame.Frame{fr})
	if ok && site.Owner == blame.OwnerThirdParty {
		return "dep"
	}
	return "std"
}

// largestOwn names the own function with the most bytes, deepest first, for those who can't see the graph.
func largestOwn(frames []flameFrame) string {
	best := -1
	for i, f := range frames {
		if f.Kind == "own" && (best < 0 || f.Bytes >= frames[best].Bytes) {
			best = i
		}
	}
	if best < 0 {
		return ""
	}
	return frames[best].Short
}

// source returns the lines around a line of a Go source file below the working directory, for a finding. It is empty
// when the file is not there: a report is often written far from the source.
func source(file string, line int) []sourceLine {
	root, err := os.Getwd()
	if err != nil || line < 1 || filepath.Ext(file) != ".go" {
		return nil
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(root, file)
	}
	rel, err := filepath.Rel(root, file)
	if err != nil || !filepath.IsLocal(rel) {
		return nil
	}
	b, err := readRooted(root, rel)
	if err != nil {
		return nil
	}
	lines := strings.Split(string(b), "\n")
	if line > len(lines) {
		return nil
	}
	var out []sourceLine
	for n := max(1, line-3); n <= min(len(lines), line+3); n++ {
		out = append(out, sourceLine{N: n, Text: strings.ReplaceAll(lines[n-1], "\t", "    "), Hit: n == line})
	}
	return out
}

type sourceLine struct {
	N    int
	Text string
	Hit  bool
}

// readRooted reads a file below root, never through a link that leaves it, of at most 4 MiB.
func readRooted(root, rel string) ([]byte, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	st, err := r.Stat(rel)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > 4<<20 {
		return nil, fmt.Errorf("%s is no source file", rel)
	}
	return r.ReadFile(rel)
}
