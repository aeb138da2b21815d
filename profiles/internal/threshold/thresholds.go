// Package threshold has every threshold of the diagnosis that decides, with its reason. They were chosen on synthetic
// series and on the specimens of soak/specimens, never on the held-out ones.
package threshold

import "time"

const (
	// MinFloors is how many floors a judgement on retained growth needs: a rank test cannot reach significance with
	// five, and six points after the first leave no room for a step to look like a trend.
	MinFloors = 6

	// MaxGap is the longest time between two snapshots of one trial that is still believed.
	MaxGap = 6 * time.Hour

	// MinT is the t statistic from which a term is believed. With some 300 sites and 12 terms per trial, 4.5 leaves
	// about one chance in fifty of a false alarm per 200 trials even if errors were only half as independent as assumed.
	MinT = 4.5

	// MinShare is the part of a site's range that a term has to explain to be a finding of its own: smaller ones are
	// what the fit uses to mend the shape of the larger.
	MinShare = 0.15

	// MinHolds is how many held states a fit of what they hold needs: one more than its three terms.
	MinHolds = 4

	// KeptShare is the part of what grew with the most at a time of something that has to be there at the end: it stays,
	// by its name.
	KeptShare = 0.5

	// MinFit is the part of the weighted variation between held states that the fit has to explain.
	MinFit = 0.90

	// MaxChi2 is the weighted sum of squared residuals per degree of freedom up to which a fit is one whatever it
	// explains: with some nine degrees of freedom the sampling of the profiles alone makes more once in a hundred trials.
	MaxChi2 = 2.4

	// InheritedShare is the part of what a held state had that the next may still have. Of 50 uploads in parts, idle
	// connections kept up to one fortieth. It is far below MinShare, so it hides no finding.
	InheritedShare = 0.03

	// LeastOfAByte is the least of a byte in flight that is believed to be held beside the Go heap: who maps or spools a
	// file holds one byte of each; tables for held bytes are 1/64 and less; sockets' buffers don't grow with the file.
	LeastOfAByte = 0.05

	// LateShare is how steep the second half of a leak has to be against the whole: a cache that fills and a pool that
	// warms up rise early and then stop.
	LateShare = 0.4

	// LateGrowth is the part of a line's growth that has to come with the later half of the work for it not to have ended:
	// half of what a steady one has.
	LateGrowth = 0.25

	// MinLate is the part of the work that the later half needs for that: steps differ in size, and where one of them is
	// nearly all of the work, the rest says nothing.
	MinLate = 0.1

	// MinStep is the part of the work from which a step's direction counts, and MinStepGrains the growth expected of it,
	// in sampled objects: with three, one step in twenty shows none by chance, with one more than a third.
	MinStep       = 0.02
	MinStepGrains = 3

	// RisingShare is the part of the steps of a leak that have to go up.
	RisingShare = 0.6

	// WellExplained is the share of what stays over all states that a term explains for no other view to be tried.
	WellExplained = 0.8

	// BeyondShare is the part of what comes with the most of something so far that may come while there is no more of it.
	BeyondShare = 0.2

	// FlatShare is how much of the early growth per distinct item may remain late for a cache to count as full.
	FlatShare = 0.15

	// MinBeyond is how much a cache would have grown, in sampled objects, with the items after it was full: of growth that
	// continues none of so many is sampled in one of twenty thousand trials.
	MinBeyond = 10

	// MinEnd is how much the last of the work would have added, in sampled objects, for growth to have ended where it
	// added nearly none: three of so many are sampled in one of 300,000 trials.
	MinEnd = 20

	// MinLeakSamples is the least growth over a trial that counts as retained, in sampling intervals: 25 sampled objects
	// make t = 5 by themselves.
	MinLeakSamples = 22

	// MinHeldSamples is the least that a site reaches to be looked at, in sampling intervals. Many holds together can tell
	// what none of them tells by itself.
	MinHeldSamples = 5

	// MinSlopePerFile is the least leak per file worth the name, in bytes: below it are amortised tables that double.
	MinSlopePerFile = 4

	// MinHeldBytes and MinHeldShare are the least a held term has to amount to at its largest, absolutely and of all
	// live bytes there, to be listed: a finding too small to matter is noise to the reader.
	MinHeldBytes = 128 << 10
	MinHeldShare = 0.02

	// MinBacklogBytes and MinBacklogRange: with a bounded queue the backlog moves only with the hold itself, so it has
	// to vary by this factor between holds, or amount to this much, before anything is blamed on it.
	MinBacklogRange = 3
	MinBacklogBytes = 96 << 10

	// ModelError is the relative error of a linear model of held bytes, beyond sampling: size classes, append's growth
	// and buffers that are not quite full.
	ModelError = 0.04

	// RunningError is that of states in which requests come and go: of some tens in flight, a collection sees half as many
	// again.
	RunningError = 0.2

	// FillError is the relative error of a held slope that no repetition shows: size classes, buffers not quite full.
	FillError = 0.015

	// MinRoutinesPerFile is how many goroutines have to stay behind per file (or request) to be a leak. Pools and
	// timers make fewer.
	MinRoutinesPerFile = 0.02
	// MinRoutines is the least number that stayed behind over the trial.
	MinRoutines = 10

	// MinConnsPerFile and MinConns are the same for open connections at a floor, before idle ones are closed.
	MinConnsPerFile = 0.02
	MinConns        = 30

	// ThrashCPU is the share of the CPU spent collecting from which a memory limit is too low; the runtime's own limiter
	// cuts in at a half. ThrashLimit is how near to GOMEMLIMIT the total has to be.
	ThrashCPU   = 0.25
	ThrashLimit = 0.85

	// GarbageMin and GarbageFactor: garbage beyond the live heap, at the 90th percentile of the samples, that is worth
	// a finding. GOGC=100 gives up to 1x by design; more than twice means bursts between collections or a high GOGC.
	GarbageMin    = 8 << 20
	GarbageFactor = 2

	// UnusedMin and UnusedFactor: spans without objects against bytes of objects at a floor.
	UnusedMin    = 6 << 20
	UnusedFactor = 1

	// StackMin is the least stack bytes per transfer in flight that mean depth: a healthy transfer through the standard
	// library has 3 or 4 goroutines of 8 KiB or less.
	StackMin = 64 << 10

	// OffHeapMin is the least anonymous memory outside the Go heap, beyond the runtime's tables, worth a finding, and
	// OffHeapNoise its jitter between equal states: thread stacks and the allocator's arenas of cgo.
	OffHeapMin   = 2 << 20
	OffHeapNoise = 512 << 10

	// HugePage is the size of a huge page of x86-64, and of arm64 with pages of 4 KiB. PageWork is how many times the work
	// of a step has to come again, without another step, for it to be one: a leak would then have three quarters of its
	// growth behind it.
	HugePage = 2 << 20
	PageWork = 3

	// OffHeapAtErrors and OffHeapLateNoise are the same where work has warmed up, so that it makes no new threads and
	// arenas: in 600 healthy trials the phases of failures came to 56 KiB at most, all steps together.
	OffHeapAtErrors  = 512 << 10
	OffHeapLateNoise = 64 << 10

	// FileMin and FileNoise are the same for file pages that the kernel can drop, and SharedMin and SharedNoise for shared
	// memory, of which a process that asks for none has none: in 600 healthy trials none came.
	FileMin     = 4 << 20
	FileNoise   = 512 << 10
	SharedMin   = 192 << 10
	SharedNoise = 32 << 10

	// DescriptorsMin is the least growth of the descriptors beyond connections that counts: in 600 healthy trials it came
	// to 2.
	DescriptorsMin = 24

	// LimitShare is the part of the memory limit from which something bounded by settings is what breaks it.
	LimitShare = 0.9

	// HelperShare is the part of the growth that a caller of a shared helper has to cover to take the blame for it.
	HelperShare = 0.8

	// ModelFloor is the error of the memory model where there is little memory, in bytes: what comes and goes by itself.
	// MinModelRows is how many steered snapshots the model needs for its five terms.
	// BesideFloor is the error of a state's memory, all parts together: the kernel adds up its counters now and then.
	ModelFloor   = 128 << 10
	BesideFloor  = 1 << 20
	MinModelRows = 12

	// SameSize is by how much files that were held may be larger than planned ones for their memory to be that of planned
	// files, and LeastHolds how many states make a measurement. ClearedShare is the part of memory without pages
	// that gets some all the same: the runtime clears what it hands out again. By real kills below three limits of
	// subjects whose buffers are half empty.
	// BareShare is the part of what gathers that has to be without pages for the work that fits to be more than pages say.
	SameSize     = 0.05
	LeastHolds   = 3
	ClearedShare = 0.1
	BareShare    = 0.05

	// Flattened is the part of its growth per item that a term has to have in the second half of the work as well to be
	// extrapolated: warm-ups of the runtime and of the kernel have a tenth of theirs left by then. WarmedUp is the number
	// of items after which they add less than 20 B each, outside the heap; after half as many it was 150 to 300 B.
	Flattened = 0.5
	WarmedUp  = 10_000

	// MostModelTerms is how many terms the memory model has besides the constant.
	MostModelTerms = 5

	// LeastCopy is what has to be beside a site's buffers while they are made, as a part of them, for the buffers to be
	// ones that grow by copying: append and doubling leave as much again; less is other garbage of the same line.
	// MostPieces is the most that the pieces of a buffer come to which is put together at the end: they grow by a half
	// each time, so the last may be a third empty. CopyTime is the part of a transfer in which a buffer and as much again
	// beside it are there, for buffers that have as much beside them; less for others. Files of one size that begin
	// together are copied together, and near a limit faults and collections are slow: by real kills of io.ReadAll below
	// three limits on a busy machine it is all of the time.
	LeastCopy  = 0.3
	MostPieces = 1.5
	CopyTime   = 1

	// CollectorNeeds is GOMEMLIMIT over live heap below which many small objects make the collector thrash.
	// LimitHeadroom is the part of what the limit leaves to the Go heap that GOMEMLIMIT may take: it is no cap.
	// CollectorFloats is garbage over live heap that lies there all the same while the collector runs without a pause:
	// memory allocated in a cycle is freed with the next.
	CollectorNeeds  = 1.15
	CollectorFloats = 0.05
	LimitHeadroom   = 0.93

	// DefaultOutside and DefaultFactor stand in where a run has no readings of the process: a Go binary with both SDKs,
	// and GOGC=100.
	DefaultOutside = 32 << 20
	DefaultFactor  = 2

	// MaxAtOnce bounds the memory of diagnosing a run: at most so many trials are in memory.
	MaxAtOnce = 4

	// PassiveTrust is the most confidence that a curve alone earns.
	PassiveTrust = 0.5

	// TopSiteCount is how many sites a verdict lists at the peak and at the last floor: what fits on a screen.
	TopSiteCount = 15

	// MaxFindings is how many findings a verdict lists.
	MaxFindings = 20
)

// LineSamples is how many samples a growth is waited for: of so many at one line, fewer than the three that name it are
// seen in one trial of ten thousand.
const LineSamples = 16

// LeastUnexplained is the least that a held state has to keep beyond all that explains it to be a contradiction.
const LeastUnexplained = 1 << 20

// UnnamedMin and UnnamedShare are the bytes at one line, and their part of the live heap at the peak, from which that
// line has to be in a finding.
const (
	UnnamedMin   = 4 << 20
	UnnamedShare = 0.5
)
