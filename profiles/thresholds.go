package profiles

import "time"

// Every threshold of the diagnosis stands here, with its reason. They were chosen on synthetic series and on the
// specimens of soak/specimens, never on the held-out ones.
const (
	// minFloors is how many floors a judgement on retained growth needs: a rank test cannot reach significance with
	// five, and six points after the first leave no room for a step to look like a trend.
	minFloors = 6

	// maxGap is the longest time between two snapshots of one trial that is still believed.
	maxGap = 6 * time.Hour

	// minT is the t statistic from which a term is believed. With some 300 sites and 12 terms per trial, 4.5 leaves
	// about one chance in fifty of a false alarm per 200 trials even if errors were only half as independent as assumed.
	minT = 4.5

	// minShare is the part of a site's range that a term has to explain to be a finding of its own: smaller ones are
	// what the fit uses to mend the shape of the larger.
	minShare = 0.15

	// minHolds is how many held states a fit of what they hold needs: one more than its three terms.
	minHolds = 4

	// keptShare is the part of what grew with the most at a time of something that has to be there at the end: it stays,
	// by its name.
	keptShare = 0.5

	// minFit is the part of the weighted variation between held states that the fit has to explain.
	minFit = 0.90

	// maxChi2 is the weighted sum of squared residuals per degree of freedom up to which a fit is one whatever it
	// explains: with some nine degrees of freedom the sampling of the profiles alone makes more once in a hundred trials.
	maxChi2 = 2.4

	// inheritedShare is the part of what a held state had that the next may still have. Of 50 uploads in parts, idle
	// connections kept up to one fortieth. It is far below minShare, so it hides no finding.
	inheritedShare = 0.03

	// leastOfAByte is the least of a byte in flight that is believed to be held beside the Go heap: who maps or spools a
	// file holds one byte of each; tables for held bytes are 1/64 and less; sockets' buffers don't grow with the file.
	leastOfAByte = 0.05

	// lateShare is how steep the second half of a leak has to be against the whole: a cache that fills and a pool that
	// warms up rise early and then stop.
	lateShare = 0.4

	// minLate is the part of the work that the later half needs for that: steps differ in size, and where one of them is
	// nearly all of the work, the rest says nothing.
	minLate = 0.1

	// minStep is the part of the work from which a step's direction counts, and minStepGrains the growth expected of it,
	// in sampled objects: with three, one step in twenty shows none by chance, with one more than a third.
	minStep       = 0.02
	minStepGrains = 3

	// risingShare is the part of the steps of a leak that have to go up.
	risingShare = 0.6

	// flatShare is how much of the early growth per distinct item may remain late for a cache to count as full.
	flatShare = 0.15

	// minLeakBytes is the least growth over a trial that counts as retained, in sampling intervals: 25 sampled objects
	// make t = 5 by themselves.
	minLeakSamples = 22

	// minSlopePerFile is the least leak per file worth the name, in bytes: below it are amortised tables that double.
	minSlopePerFile = 4

	// minHeldBytes and minHeldShare are the least a held term has to amount to at its largest, absolutely and of all
	// live bytes there, to be listed: a finding too small to matter is noise to the reader.
	minHeldBytes = 128 << 10
	minHeldShare = 0.02

	// minBacklogBytes and minBacklogRange: with a bounded queue the backlog moves only with the hold itself, so it has
	// to vary by this factor between holds, or amount to this much, before anything is blamed on it.
	minBacklogRange = 3
	minBacklogBytes = 96 << 10

	// modelError is the relative error of a linear model of held bytes, beyond sampling: size classes, append's growth
	// and buffers that are not quite full.
	modelError = 0.04

	// runningError is that of states in which requests come and go: of some tens in flight, a collection sees half as many
	// again.
	runningError = 0.2

	// fillError is the relative error of a held slope that no repetition shows: size classes, buffers not quite full.
	fillError = 0.015

	// minRoutinesPerFile is how many goroutines have to stay behind per file (or request) to be a leak. Pools and
	// timers make fewer.
	minRoutinesPerFile = 0.02
	// minRoutines is the least number that stayed behind over the trial.
	minRoutines = 10

	// minConnsPerFile and minConns are the same for open connections at a floor, before idle ones are closed.
	minConnsPerFile = 0.02
	minConns        = 30

	// thrashCPU is the share of the CPU spent collecting from which a memory limit is too low; the runtime's own limiter
	// cuts in at a half. thrashLimit is how near to GOMEMLIMIT the total has to be.
	thrashCPU   = 0.25
	thrashLimit = 0.85

	// garbageMin and garbageFactor: garbage beyond the live heap, at the 90th percentile of the samples, that is worth
	// a finding. GOGC=100 gives up to 1x by design; more than twice means bursts between collections or a high GOGC.
	garbageMin    = 8 << 20
	garbageFactor = 2

	// unusedMin and unusedFactor: spans without objects against bytes of objects at a floor.
	unusedMin    = 6 << 20
	unusedFactor = 1

	// stackMin is the least stack bytes per transfer in flight that mean depth: a healthy transfer through the standard
	// library has 3 or 4 goroutines of 8 KiB or less.
	stackMin = 64 << 10

	// offHeapMin is the least anonymous memory outside the Go heap, beyond the runtime's tables, worth a finding, and
	// offHeapNoise its jitter between equal states: thread stacks and the allocator's arenas of cgo.
	offHeapMin   = 4 << 20
	offHeapNoise = 512 << 10

	// fileMin and fileNoise are the same for file pages and tmpfs.
	fileMin   = 4 << 20
	fileNoise = 512 << 10

	// limitShare is the part of the memory limit from which something bounded by settings is what breaks it.
	limitShare = 0.9

	// helperShare is the part of the growth that a caller of a shared helper has to cover to take the blame for it.
	helperShare = 0.8

	// modelFloor is the error of the memory model where there is little memory, in bytes: what comes and goes by itself.
	// minModelRows is how many steered snapshots the model needs for its five terms.
	modelFloor   = 128 << 10
	minModelRows = 12

	// sameSize is how far the size of files that were held may be from the planned one for their memory to be that of
	// planned files, and leastHolds how many states make a measurement. clearedShare is the part of memory without pages
	// that gets some all the same: the runtime clears what it hands out again. By real kills below three limits of
	// subjects whose buffers are half empty.
	sameSize     = 0.05
	leastHolds   = 3
	clearedShare = 0.1

	// mostModelTerms is how many terms the memory model has besides the constant.
	mostModelTerms = 5

	// leastCopy is what has to be beside a site's buffers while they are made, as a part of them, for the buffers to be
	// ones that grow by copying: append and doubling leave as much again; less is other garbage of the same line.
	// mostPieces is the most that the pieces of a buffer come to which is put together at the end: they grow by a half
	// each time, so the last may be a third empty. copyTime is the part of a transfer in which a buffer and as much again
	// beside it are there, for buffers that have as much beside them; less for others. Files of one size that begin
	// together are copied together, and near a limit faults and collections are slow: by real kills of io.ReadAll below
	// three limits on a busy machine it is all of the time.
	leastCopy  = 0.3
	mostPieces = 1.5
	copyTime   = 1

	// collectorNeeds is GOMEMLIMIT over live heap below which many small objects make the collector thrash.
	// limitHeadroom is the part of what the limit leaves to the Go heap that GOMEMLIMIT may take: it is no cap.
	// collectorFloats is garbage over live heap that lies there all the same while the collector runs without a pause:
	// memory allocated in a cycle is freed with the next.
	collectorNeeds  = 1.15
	collectorFloats = 0.05
	limitHeadroom   = 0.93

	// defaultOutside and defaultFactor stand in where a run has no readings of the process: a Go binary with both SDKs,
	// and GOGC=100.
	defaultOutside = 32 << 20
	defaultFactor  = 2

	// maxAtOnce bounds the memory of diagnosing a run: at most so many trials are in memory.
	maxAtOnce = 4

	// passiveTrust is the most confidence that a curve alone earns.
	passiveTrust = 0.5

	// topSiteCount is how many sites a verdict lists at the peak and at the last floor: what fits on a screen.
	topSiteCount = 15

	// maxFindings is how many findings a verdict lists.
	maxFindings = 20
)
