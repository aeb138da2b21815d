package series

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math"

	"github.com/google/pprof/profile"

	"github.com/memsoak/memsoak/profiles/blame"
)

// Amount is what a site holds in one snapshot, in estimated bytes and objects, with the variance that sampling gives
// the bytes. Profiles carry estimates already: the runtime divides by the probability of being sampled.
type Amount struct {
	Bytes    float64
	Objects  float64
	Variance float64 // bytes squared
	// Alloc is what the site has allocated since the process began, freed or not.
	Alloc float64
}

// Add adds all parts of another amount.
func (a *Amount) Add(b Amount) {
	a.Bytes += b.Bytes
	a.Objects += b.Objects
	a.Variance += b.Variance
	a.Alloc += b.Alloc
}

// ErrNotHeap is returned, wrapped, for a profile that is not one of the Go heap.
var ErrNotHeap = errors.New("not a Go heap profile")

// interner gives every stack of a trial's profiles a number and a site, so that each location is read once and not
// once per profile. A location is its address with its lines: exports of continuous profilers have no addresses, and in
// profiles of two programs the same address is another function. It is for one goroutine.
type interner struct {
	blamer blame.Blamer
	seed   maphash.Seed
	locs   map[uint64]int32
	frames [][]blame.Frame // by location
	stacks map[uint64]int32
	blamed []int32 // stack -> site, -1: leave out
	sites  []*blame.Site
	bysite map[siteKey]int32
	top    []topStack // by site
	paths  [][]int32  // by stack: its locations

	// Memory of one profile, used again for the next.
	known   []int32 // by a location's id in the profile: its number plus one
	bytes   []byte  // that are hashed
	path    []int32
	entries []int32 // by stack: its entry in the profile's totals plus one, 0 for none
}

// topStack is the stack of a site that had the most bytes.
type topStack struct {
	stack int32
	bytes float64
}

type siteKey struct {
	fn   string
	file string
	line int
	own  blame.Owner
}

func newInterner(b blame.Blamer) *interner {
	return &interner{blamer: b, seed: maphash.MakeSeed(), locs: map[uint64]int32{}, stacks: map[uint64]int32{},
		bysite: map[siteKey]int32{}}
}

// loc interns a location, whose lines run from the innermost inlined call outwards.
func (in *interner) loc(l *profile.Location) int32 {
	k := in.hash(l)
	if id, ok := in.locs[k]; ok {
		return id
	}
	id := int32(len(in.frames))
	in.frames = append(in.frames, blame.Frames(l))
	in.locs[k] = id
	return id
}

// hash is that of a location's address and lines.
func (in *interner) hash(l *profile.Location) uint64 {
	b := binary.LittleEndian.AppendUint64(in.bytes[:0], l.Address)
	for _, ln := range l.Line {
		b = binary.LittleEndian.AppendUint64(b, uint64(ln.Line))
		if ln.Function != nil {
			b = binary.LittleEndian.AppendUint64(b, maphash.String(in.seed, ln.Function.Name))
			b = binary.LittleEndian.AppendUint64(b, maphash.String(in.seed, ln.Function.Filename))
		}
	}
	in.bytes = b
	return maphash.Bytes(in.seed, b)
}

// locations returns loc for the locations of one profile, which looks each up once, however many stacks it is in.
func (in *interner) locations(p *profile.Profile) func(*profile.Location) int32 {
	in.known = append(in.known[:0], make([]int32, len(p.Location)+1)...)
	return func(l *profile.Location) int32 {
		if l.ID >= uint64(len(in.known)) { // Go numbers them from 1 on, others need not
			return in.loc(l)
		}
		if in.known[l.ID] == 0 {
			in.known[l.ID] = in.loc(l) + 1
		}
		return in.known[l.ID] - 1
	}
}

// stack interns a sample's stack and returns its number.
func (in *interner) stack(locs []int32) int32 {
	b := in.bytes[:0]
	for _, l := range locs {
		b = binary.LittleEndian.AppendUint32(b, uint32(l))
	}
	in.bytes = b
	sum := maphash.Bytes(in.seed, b)
	if id, ok := in.stacks[sum]; ok {
		return id
	}
	id := int32(len(in.blamed))
	in.stacks[sum] = id
	in.blamed = append(in.blamed, in.blame(id, locs))
	in.paths = append(in.paths, append([]int32(nil), locs...))
	return id
}

func (in *interner) expand(locs []int32) []blame.Frame {
	fs := make([]blame.Frame, 0, len(locs))
	for _, l := range locs {
		fs = append(fs, in.frames[l]...)
	}
	return fs
}

// blame finds or makes the site of a stack.
func (in *interner) blame(stack int32, locs []int32) int32 {
	site, ok := in.blamer.Blame(in.expand(locs))
	if !ok {
		return -1
	}
	k := siteKey{fn: site.Function, file: site.File, line: site.Line, own: site.Owner}
	id, ok := in.bysite[k]
	if !ok {
		id = int32(len(in.sites))
		in.bysite[k] = id
		in.sites = append(in.sites, &site)
		in.top = append(in.top, topStack{stack: stack})
	} else if site.Container {
		in.sites[id].Container = true
	}
	return id
}

// heapTotals is a heap profile reduced to sites.
type heapTotals struct {
	sites  []Amount
	stacks []StackBytes
	live   Amount   // without the profiler's own
	table  []bucket // by stack, of the profiler's own as well
}

// StackBytes are the bytes of one allocation stack: live bytes, live objects, and the bytes allocated since
// the process began.
type StackBytes struct {
	Stack                int32 // its number, see Series.expand
	Live, Objects, Alloc float64
}

// readHeap adds up a heap profile per site. The error names the fault, not the file.
func (in *interner) readHeap(p *profile.Profile, rate float64) (*heapTotals, error) {
	objects, bytes, alloc := -1, -1, -1
	for i, t := range p.SampleType {
		switch t.Type {
		case "inuse_objects":
			objects = i
		case "inuse_space":
			bytes = i
		case "alloc_space":
			alloc = i
		}
	}
	if bytes < 0 {
		return nil, fmt.Errorf("%w: it has no inuse_space", ErrNotHeap)
	}
	if rate <= 0 {
		rate = float64(p.Period)
	}
	t := &heapTotals{sites: make([]Amount, len(in.sites), len(in.sites)+8),
		stacks: make([]StackBytes, 0, min(len(p.Sample), len(in.blamed)+8))}
	clear(in.entries)
	locations := in.locations(p)
	for _, s := range p.Sample {
		if len(s.Value) <= max(objects, bytes, alloc) {
			return nil, fmt.Errorf("%w: a sample without all of its values", ErrNotHeap)
		}
		a := Amount{Bytes: float64(s.Value[bytes])}
		if objects >= 0 {
			a = amount(float64(s.Value[objects]), a.Bytes, rate)
		} else if rate > 1 { // as many objects as could be: small ones
			a.Variance = math.Max(0, a.Bytes) * rate
		}
		if alloc >= 0 {
			a.Alloc = float64(s.Value[alloc])
		}
		if a.Bytes <= 0 && a.Alloc <= 0 {
			continue
		}
		in.path = in.path[:0]
		for _, l := range s.Location {
			in.path = append(in.path, locations(l))
		}
		st := in.stack(in.path)
		t.bucket(st).add(len(in.path), a.Alloc)
		site := in.blamed[st]
		if site < 0 {
			continue
		}
		if a.Bytes > in.top[site].bytes {
			in.top[site] = topStack{st, a.Bytes}
		}
		for int(site) >= len(t.sites) {
			t.sites = append(t.sites, Amount{})
		}
		t.sites[site].Add(a)
		in.stackOf(t, st).add(a)
		t.live.Add(a)
	}
	return t, nil
}

// stackOf finds or makes the entry of a stack in a profile's totals.
func (in *interner) stackOf(t *heapTotals, stack int32) *StackBytes {
	for int(stack) >= len(in.entries) {
		in.entries = append(in.entries, 0)
	}
	if in.entries[stack] == 0 {
		t.stacks = append(t.stacks, StackBytes{Stack: stack})
		in.entries[stack] = int32(len(t.stacks))
	}
	return &t.stacks[in.entries[stack]-1]
}

func (b *StackBytes) add(a Amount) {
	b.Live, b.Objects, b.Alloc = b.Live+a.Bytes, b.Objects+a.Objects, b.Alloc+a.Alloc
}

// amount computes the sampling variance of an estimate. The runtime samples an object of s bytes with probability
// p = 1 - exp(-s/rate), so K objects found with estimate K s have the variance K s^2 (1-p)/p: about bytes x rate for
// small objects, and none for those far above the rate.
func amount(objects, bytes, rate float64) Amount {
	a := Amount{Bytes: bytes, Objects: objects}
	if objects <= 0 || bytes <= 0 || rate <= 1 {
		return a
	}
	size := bytes / objects
	p := -math.Expm1(-size / rate)
	a.Variance = bytes * size * (1 - p) / p
	return a
}
