package closure

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// How a target stands to the contract's for the nearest unit. A sixty-fourth of each byte copied has been met, so a
// tenth of the target for bytes in flight is asked for; a page of a listing and a wave are what some files and some
// hundred files are. Of large files a trial has some tens, so that only more for each of them is seen. Outside the heap
// the kernel counts pages, and threads and allocators come and go by hundreds of kilobytes; failures come when these
// have come to rest.
const (
	copiedByteShare = 0.1
	pageItems       = 16
	waveItems       = 256
	largeItems      = 512
	largeCount      = 50
	offHeapItems    = 32
	offHeapErrors   = 256
	offHeapSeconds  = 16
)

func perItem(t record.Targets) float64 { return t.Item }

func perCount(t record.Targets) float64 { return t.Count }

func perByte(t record.Targets) float64 { return t.Byte }

func perSecond(t record.Targets) float64 { return t.Second }

func times(n float64, f func(record.Targets) float64) func(record.Targets) float64 {
	return func(t record.Targets) float64 { return n * f(t) }
}

// evidenceKind says on which states a hypothesis is decided.
type evidenceKind int

const (
	byFloors   evidenceKind = iota // heap that stays from floor to floor
	byHolds                        // heap that is there in held states and gone at rest
	byRoutines                     // goroutines that stay from floor to floor
	byConns                        // connections that stay from floor to floor
	byOffHeap                      // anonymous memory outside the heap, from floor to floor
	byShared                       // shared memory, which can't be reclaimed, from floor to floor
)

// hypothesis is a row of the table: a fault by nature, the unit of work that it grows with, and the limit below which
// it has to be excluded before a trial is healthy.
type hypothesis struct {
	class  record.Class
	per    string // name of the unit, in units.retained or units.held
	kind   evidenceKind
	target func(record.Targets) float64
	// more is the experiment that decides when the work was too little; %s is how much of the unit is needed.
	more string
	// whenMet rows count only in trials that had any of the unit.
	whenMet bool
	// copier rows are of subjects that list their work: a service's protocol has no state that decides them.
	copier bool
}

// hypotheses is the table. A fault without a row is not excluded by any trial.
var hypotheses = []hypothesis{
	{class: record.Leak, per: "file", kind: byFloors, target: perItem,
		more: "waves of %s files in all between the first floor and the last"},
	{class: record.Leak, per: "listed-file", kind: byFloors, target: perItem,
		more: "%s files listed between the first floor and the last"},
	{class: record.Metadata, per: "distinct-item", kind: byFloors, target: perItem,
		more: "%s different files between the first floor and the last"},
	{class: record.Leak, per: "request", kind: byFloors, target: perItem,
		more: "%s requests between the first floor and the last"},
	{class: record.Leak, per: "byte", kind: byFloors, target: times(copiedByteShare, perByte),
		more: "%s bytes copied between the first floor and the last"},
	{class: record.Leak, per: fit.LargeFile, kind: byFloors, target: times(largeItems, perItem), whenMet: true,
		more: "%s files of 1 MiB and more between the first floor and the last"},
	{class: record.Leak, per: "page", kind: byFloors, target: times(pageItems, perItem),
		more: "%s pages of listings between the first floor and the last"},
	{class: record.Leak, per: "wave", kind: byFloors, target: times(waveItems, perItem),
		more: "%s waves between the first floor and the last"},
	{class: record.Leak, per: "error", kind: byFloors, target: times(pageItems, perItem),
		more: "%s failed transfers between the first floor and the last", whenMet: true},
	{class: record.Leak, per: "second", kind: byFloors, target: perSecond, more: "floors that are %s seconds apart"},
	{class: record.Metadata, per: "backlog-item", kind: byHolds, target: perItem,
		more: "transfers held at the download's header with %s files waiting, and with a third of that"},
	{class: record.Metadata, per: "listed-file", kind: byHolds, target: perItem, copier: true,
		more: "transfers held at the download's header when %s files of the same wave are done"},
	{class: record.BufferFile, per: "byte-in-flight", kind: byHolds, target: perByte,
		more: "transfers held at the upload's reply with %s bytes in flight, and with a third of that"},
	{class: record.GoroutineLeak, per: "file", kind: byRoutines, target: perCount,
		more: "goroutines counted at floors %s files apart"},
	{class: record.GoroutineLeak, per: fit.LargeFile, kind: byRoutines, target: times(largeCount, perCount), whenMet: true,
		more: "goroutines counted at floors %s files of 1 MiB and more apart"},
	{class: record.ConnectionLeak, per: "file", kind: byConns, target: perCount,
		more: "connections counted at floors %s files apart"},
	{class: record.OffHeap, per: "file", kind: byOffHeap, target: times(offHeapItems, perItem),
		more: "memory outside the heap read at floors %s files apart"},
	{class: record.OffHeap, per: "wave", kind: byOffHeap, target: times(waveItems*offHeapItems, perItem),
		more: "memory outside the heap read at floors %s waves apart"},
	{class: record.OffHeap, per: "error", kind: byOffHeap, target: times(offHeapErrors, perItem), whenMet: true,
		more: "memory outside the heap read at floors %s failed transfers apart"},
	{class: record.OffHeap, per: "second", kind: byOffHeap, target: times(offHeapSeconds, perSecond),
		more: "memory outside the heap read at floors that are %s seconds apart"},
	{class: record.PageCache, per: "file", kind: byShared, target: times(offHeapItems, perItem),
		more: "shared memory read at floors %s files apart"},
	{class: record.PageCache, per: "wave", kind: byShared, target: times(waveItems*offHeapItems, perItem),
		more: "shared memory read at floors %s waves apart"},
	{class: record.PageCache, per: "error", kind: byShared, target: times(offHeapErrors, perItem), whenMet: true,
		more: "shared memory read at floors %s failed transfers apart"},
	{class: record.PageCache, per: "second", kind: byShared, target: times(offHeapSeconds, perSecond),
		more: "shared memory read at floors that are %s seconds apart"},
}

// notOfService says of a hypothesis whose unit never came that a service has none of it: it lists nothing, its work has
// no size unless the load gives it one, and where all requests wait for their reply none is left behind. That of the
// last is known only where an upstream was held.
func notOfService(s *series.Series, h *hypothesis) bool {
	if s.Trial.Item != record.ItemRequest {
		return false
	}
	switch h.per {
	case "listed-file", "page", "byte-in-flight", "byte":
		return true
	case "request":
		return true // it calls no upstream
	case "distinct-item": // the keys of what a consumer fetches are not known: each item has one
		return !slices.ContainsFunc(s.Snaps, func(n *series.Snapshot) bool { return n.Cov().Distinct > 0 })
	case "backlog-item":
		return slices.ContainsFunc(s.Snaps, func(n *series.Snapshot) bool {
			return n.State == record.StateHeader &&
				n.Cov().InFlight > 0
		})
	}
	return false
}

// provoked reports whether phases of the trial were there to bring the unit about: that none came is no evidence then.
func provoked(s *series.Series, per string) bool {
	return per == "error" && slices.ContainsFunc(s.Trial.Phases, func(p record.Phase) bool {
		return p.Kind == "errors" && p.LeftOut == "" && p.Failed == "" && !p.CutOff
	})
}

// targets are those that the trial was asked for, else the contract's.
func targets(s *series.Series) record.Targets {
	if s.Trial.Targets != nil {
		return *s.Trial.Targets
	}
	return record.DefaultTargets()
}

// foundAs reports whether a finding is that fault.
func (h *hypothesis) foundAs(f *record.Finding) bool {
	if f.Slope == nil || f.Class != h.class || h.kind == byShared && !f.Unreclaimable {
		return false
	}
	return f.Slope.Per == h.per
}

// named says of memory outside the heap that a finding says already what it grows with: no account tells one cause
// there from another, so that no work would decide on a second one.
func (h *hypothesis) named(found []*finding.Judged) bool {
	return (h.kind == byOffHeap || h.kind == byShared) && slices.ContainsFunc(found, func(j *finding.Judged) bool {
		return !j.Passive && j.Term.RetainedTerm && j.Class == h.class && j.Unreclaimable == (h.kind == byShared) &&
			costs.KindOf(j.Finding) != "" // what settings bound says nothing of a fault beside it
	})
}

// Explained is what a judgement leaves for the hypotheses: the findings, what they don't explain, and why the data
// can't carry a hypothesis of some kind, where it can't.
type Explained struct {
	Found   []*finding.Judged // the most important first
	left    *remainder
	outside map[evidenceKind]contrast // growth beside the heap that no finding explains
	// descriptors is the growth of open descriptors that no finding explains; 0: none that matters.
	descriptors float64
	// Unnamed is the line with most of the live heap at the peak, where no finding is of it; of no bytes: none.
	Unnamed record.SiteSize
	doubted *doubts
}

// Explain is what findings leave, with the rest of the live heap.
func Explain(s *series.Series, found []*finding.Judged, left *remainder) *Explained {
	return &Explained{Found: found, left: left, outside: outside(s, found, left.units), descriptors: descriptors(s, found),
		Unnamed: unnamed(s, found), doubted: doubtsOf(s)}
}

// unnamed says of memory for bytes in flight that most of the live heap at the peak may be of it.
func (e *Explained) unnamed(h *hypothesis) bool {
	return h.per == "byte-in-flight" && e.Unnamed.Bytes > 0
}

// Hypotheses says of each fault by nature how it stands.
func Hypotheses(s *series.Series, e *Explained) []record.Hypothesis {
	if s.Trial.Kind == record.Speed {
		return nil
	}
	p := powerOf(s, e.left)
	out := make([]record.Hypothesis, 0, len(hypotheses))
	for i := range hypotheses {
		h := &hypotheses[i]
		if h.copier && s.Trial.Item == record.ItemRequest {
			continue
		}
		x := record.Hypothesis{Class: h.class, Per: h.per, Target: h.target(targets(s)), State: record.Open}
		limit, work := p.limit(h, x.Target)
		absent := work == 0 && (h.whenMet && !provoked(s, h.per) || notOfService(s, h))
		if x.Limit = limit; absent && !p.swells(h) && !e.unnamed(h) {
			continue
		}
		at := slices.IndexFunc(e.Found, func(j *finding.Judged) bool { return !j.Passive && h.foundAs(&j.Finding) })
		if at < 0 && h.named(e.Found) {
			continue
		}
		switch {
		case at >= 0:
			x.State, x.Slope = record.Found, e.Found[at].Slope
		case e.doubted.of(h) != "": // what would have been seen isn't known then, and more of the work doesn't tell
			x.Limit, x.Needs = 0, e.doubted.of(h)
		default:
			if x.Needs, x.Growing = p.open(h, e, x.Target, limit, work); x.Needs == "" {
				x.State = record.Excluded
			}
		}
		out = append(out, x)
	}
	return out
}

// open is what decides a hypothesis that no finding is of, nothing where it is excluded below its limit; growing says
// that something grows, by too few samples to say what.
func (p *power) open(h *hypothesis, e *Explained, target, limit, work float64) (needs string, growing bool) {
	switch {
	case h.per == "backlog-item" && hurried(p.s):
		return "a place to hold requests that were answered, or a process that memsoak starts: the service calls no " +
			"upstream, so that what waited may be done before it is looked at", false
	case h.per == "byte-in-flight" && finding.MayGrow(p.s, e.Found, target) != "":
		return finding.MayGrow(p.s, e.Found, target), false
	case e.outside[h.kind].grown > 0:
		return e.outside[h.kind].needs(), false
	case h.kind == byConns && e.descriptors > 0:
		return fmt.Sprintf("%.0f more descriptors at the last floor than at the first, beside connections, which no "+
			"finding explains: what opens them and doesn't close them", e.descriptors), false
	}
	if h.kind == byFloors {
		if needs, growing = p.grows(h, e.Found, target, work); needs != "" {
			return needs, growing
		}
	}
	switch {
	case p.swells(h) && p.left.swell > target*p.left.swellBytes:
		return fmt.Sprintf("%s at rest after phase %s, gone later, that no finding explains: many more files of that size "+
			"tell whether it is bounded", words.Bytes(p.left.swell), p.left.swellIn), false
	case e.unnamed(h):
		return fmt.Sprintf("%s, most of the live heap at the peak, are of %s %s:%d, which no finding is of: holds where "+
			"it has them", words.Bytes(float64(e.Unnamed.Bytes)), words.Short(e.Unnamed.Site.Function), e.Unnamed.Site.File,
			e.Unnamed.Site.Line), false
	case limit == 0 || limit > target:
		return h.needs(limit, target, work) + p.pieceText(h.per, target*work), false
	case h.kind == byHolds && p.left.held[h.per] > target:
		return fmt.Sprintf("%s per %s in held states that no finding explains; holds that differ more in it tell",
			words.Bytes(p.left.held[h.per]), words.Item(h.per)), false
	case h.kind == byHolds && p.left.unheld > 0:
		return fmt.Sprintf("%s in the held state of phase %s that no finding explains; holds of other sizes and numbers "+
			"tell what it grows with", words.Bytes(p.left.unheld), p.left.unheldIn), false
	}
	return "", false
}

// grows is what decides whether growth from floor to floor that no finding explains continues with a unit.
func (p *power) grows(h *hypothesis, found []*finding.Judged, target, work float64) (needs string, growing bool) {
	left := p.left
	switch {
	case work > 0 && (left.grown > target*work || left.grown > left.leastGrown() ||
		h.per == "file" && left.plain(found, work)):
		return fmt.Sprintf("%s of growth between floors that no finding explains: %s; a longer trial tells whether it "+
			"goes on", words.Bytes(left.grown), sitesText(left.sites)), left.unsampled(p.s.Rate)
	case p.arrayMayGrow(h.per):
		return fmt.Sprintf("%s %s:%d made an array larger in steps, to %s: twice the %ss tell whether it is full",
			words.Short(left.array.site.Function), left.array.site.File, left.array.site.Line, words.Bytes(left.array.bytes),
			words.Item(h.per)), true
	case left.lineGrew > 0 && slices.Contains(ofALine, h.per) && !faulty(found):
		return fmt.Sprintf("%s %s:%d keeps %s more than at the first floor, too little to say what it grows with; more of "+
			"the same work tells", words.Short(left.line.Function), left.line.File, left.line.Line,
			words.Bytes(left.lineGrew)), true
	}
	return "", false
}

// pieceText names the piece that keeps a limit above so many bytes.
func (p *power) pieceText(per string, most float64) string {
	if p.left.piece <= most || !slices.Contains(outOfPieces, per) {
		return ""
	}
	return fmt.Sprintf(" (%s keeps a piece of %s, of which the next may still come)",
		words.Short(p.left.pieceSite.Function), words.Bytes(p.left.piece))
}

// Undecided are the hypotheses of a series that can't be judged at all.
func Undecided(s *series.Series, why string) []record.Hypothesis {
	var out []record.Hypothesis
	for _, h := range hypotheses {
		if h.whenMet {
			continue
		}
		out = append(out, record.Hypothesis{Class: h.class, Per: h.per, Target: h.target(targets(s)), State: record.Open,
			Needs: why})
	}
	return out
}

// needs says how much work a limit within the target takes: limits shrink in proportion to the work.
func (h *hypothesis) needs(limit, target, work float64) string {
	if limit == 0 || work == 0 {
		return fmt.Sprintf("nothing of it was recorded: "+h.more, "enough")
	}
	more := work * limit / target * 1.1
	return fmt.Sprintf(h.more, countText(more))
}

// countText rounds up to two digits: 2,600 files, not 2,574.3.
func countText(v float64) string {
	step := math.Max(1, math.Pow(10, math.Floor(math.Log10(math.Max(1, v)))-1))
	return fmt.Sprintf("%.0f", math.Ceil(v/step)*step)
}

func sitesText(sites []record.SiteSize) string {
	if len(sites) == 0 {
		return "no site stands out"
	}
	var out []string
	for _, x := range sites[:min(3, len(sites))] {
		out = append(out, fmt.Sprintf("%s %s:%d %s", words.Short(x.Site.Function), x.Site.File, x.Site.Line,
			words.Bytes(float64(x.Bytes))))
	}
	return "most in " + strings.Join(out, ", ")
}

// AllExcluded reports whether healthy can be said.
func AllExcluded(hs []record.Hypothesis) bool {
	return len(hs) > 0 && !slices.ContainsFunc(hs, func(h record.Hypothesis) bool { return h.State != record.Excluded })
}

// OpenWarnings names the open hypotheses, those with the same need together.
func OpenWarnings(hs []record.Hypothesis) []string {
	var needs []string
	names := map[string][]string{}
	for _, h := range hs {
		if h.State != record.Open && h.State != "" {
			continue
		}
		if names[h.Needs] == nil {
			needs = append(needs, h.Needs)
		}
		names[h.Needs] = append(names[h.Needs], fmt.Sprintf("%s per %s%s", h.Class, words.Item(h.Per), limitText(h)))
	}
	var out []string
	for _, n := range needs {
		out = append(out, fmt.Sprintf("not excluded: %s. What decides: %s", strings.Join(names[n], ", "),
			cmp.Or(n, "more of the same work")))
	}
	return out
}

func limitText(h record.Hypothesis) string {
	amount := func(v float64) string {
		if h.Class == record.GoroutineLeak || h.Class == record.ConnectionLeak {
			return fmt.Sprintf("%.2g", v)
		}
		return words.Bytes(v)
	}
	if h.Limit == 0 || h.Limit <= h.Target {
		return ""
	}
	return fmt.Sprintf(" (seen from %s on, healthy needs %s)", amount(h.Limit), amount(h.Target))
}
