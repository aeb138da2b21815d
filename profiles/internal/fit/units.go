package fit

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
)

// Unit is something that memory can grow with.
type Unit struct {
	Name    string // of the slope's "per"
	Class   record.Class
	Values  []float64 // by snapshot
	Penalty float64   // added to the selection criterion: the price of being the less likely explanation
	Running bool      // a running maximum: it steps
	Passed  bool      // files that passed in a wave under way: more than none in mid-body states alone
	most    float64   // of a unit that stops: where it does
}

// Units are the regressors of a trial, by snapshot.
type Units struct {
	Retained []Unit // what may stay at floors
	Held     []Unit // what may be there in a held state and gone at the next floor
}

// PartSizes are the buffer sizes looked for: with files both smaller and larger than one of these, a buffer of that
// size per transfer shows as bytes up to it and none beyond.
var PartSizes = []float64{32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20, 5 << 20,
	8 << 20}

// UnitsOf are the regressors of the trial, by snapshot.
func UnitsOf(s *series.Series) *Units {
	u := &Units{}
	n := len(s.Snaps)
	column := func(f func(c record.Covariates) float64) []float64 {
		v := make([]float64, n)
		for i, x := range s.Snaps {
			v[i] = f(x.Cov())
		}
		return v
	}
	// What a broken-off wave had listed is no backlog once nothing is under way.
	for _, x := range s.Snaps {
		if c := x.Covariates; c != nil && x.AtRest() && c.Backlog > 0 {
			rest := *c
			rest.Backlog = 0
			x.Covariates = &rest
		}
	}
	u.Retained = retainedUnits(s, column)
	weigh(s, u.Retained)
	u.Held = heldUnits(s, column)
	return u
}

// retainedUnits are the regressors of what stays at floors.
func retainedUnits(s *series.Series, column func(func(record.Covariates) float64) []float64) []Unit {
	seconds := make([]float64, len(s.Snaps))
	for i, x := range s.Snaps {
		seconds[i] = x.Time.Sub(s.Snaps[0].Time).Seconds()
	}
	files := column(func(c record.Covariates) float64 { return float64(c.FilesDone) })
	units := []Unit{
		{Name: "file", Class: record.Leak, Values: files},
		// In held states what a file leaves behind may be there from its beginning on; at floors the two are the same.
		{Name: "file", Class: record.Leak, Values: column(func(c record.Covariates) float64 {
			return float64(c.FilesDone + c.InFlight)
		}), Penalty: 0.5},
		{Name: "distinct-item", Class: record.Metadata,
			Values: column(func(c record.Covariates) float64 { return float64(c.Distinct) }), Penalty: 1},
		{Name: "byte", Class: record.Leak, Values: column(func(c record.Covariates) float64 { return float64(c.BytesDone) }),
			Penalty: 1},
		{Name: "listed-file", Class: record.Leak,
			Values: column(func(c record.Covariates) float64 { return float64(c.FilesListed) }), Penalty: 1},
		{Name: "request", Class: record.Leak,
			Values: column(func(c record.Covariates) float64 { return float64(c.Requests) }), Penalty: 6},
		{Name: "page", Class: record.Leak, Values: column(func(c record.Covariates) float64 { return float64(c.Pages) }),
			Penalty: 2},
		{Name: LargeFile, Class: record.Leak, Values: largeFiles(s), Penalty: 8},
		{Name: "second", Class: record.Leak, Values: seconds, Penalty: 2},
		{Name: "wave", Class: record.Leak, Values: column(func(c record.Covariates) float64 { return float64(c.Waves) }),
			Penalty: 6},
		{Name: "byte-in-flight", Class: record.BufferFile, Running: true, Penalty: 2,
			Values: runningMax(column(func(c record.Covariates) float64 { return float64(c.BytesInFlight) }))},
		{Name: "byte-in-flight", Class: record.BufferFile, Running: true, Penalty: 2, Values: largestPerWorker(s, false)},
		{Name: "byte-in-flight", Class: record.BufferFile, Running: true, Penalty: 2, Values: largestPerWorker(s, true)},
		{Name: "worker", Class: record.BufferWorker, Running: true, Penalty: 2,
			Values: runningMax(column(func(c record.Covariates) float64 { return float64(c.InFlight) }))},
		{Name: "backlog-item", Class: record.Metadata, Running: true, Penalty: 2,
			Values: runningMax(column(func(c record.Covariates) float64 { return float64(c.Backlog) }))},
	}
	if failed := column(func(c record.Covariates) float64 { return float64(c.Failed) }); len(failed) > 0 &&
		failed[len(failed)-1] > 0 {
		units = append(units, Unit{Name: "error", Class: record.Leak, Values: failed, Penalty: 2})
	}
	if s.Trial.Item == record.ItemRequest {
		// A key is in no cache before its work is done, and never where that fails.
		units = append(units, Unit{Name: "distinct-item", Class: record.Metadata, Penalty: 1.5,
			Values: column(func(c record.Covariates) float64 { return math.Max(0, float64(c.Distinct-c.Failed-c.Backlog)) })})
	}
	return units
}

// HeldBy is the regressor that a hypothesis about held states is decided by. Listed files are in the backlog until they
// begun: memory kept for them longer shows per finished file while the wave continues.
func (u *Units) HeldBy(per string) Unit {
	return u.Held[slices.IndexFunc(u.Held, func(x Unit) bool {
		return x.Name == per && (x.Passed || per != "listed-file")
	})]
}

// heldUnits are the regressors of held states. A transfer has a body from the moment its first byte is sent.
func heldUnits(s *series.Series, column func(func(record.Covariates) float64) []float64) []Unit {
	bodies := column(func(c record.Covariates) float64 { return math.Max(0, float64(c.InFlight-c.AtHeader)) })
	bytes := column(func(c record.Covariates) float64 { return float64(c.BytesInFlight) })
	u := []Unit{
		{Name: "worker", Class: record.BufferWorker,
			Values: column(func(c record.Covariates) float64 { return float64(c.InFlight) })},
		{Name: "worker", Class: record.BufferWorker, Values: bodies, Penalty: 1},
		{Name: "worker", Class: record.BufferWorker,
			Values: column(func(c record.Covariates) float64 { return float64(c.AtHeader) }), Penalty: 2},
		{Name: "byte-in-flight", Class: record.BufferFile, Values: bytes},
		{Name: "byte-in-flight", Class: record.BufferFile,
			Values: column(func(c record.Covariates) float64 { return float64(c.BytesSent) }), Penalty: 1},
		{Name: "backlog-item", Class: record.Metadata,
			Values: column(func(c record.Covariates) float64 { return float64(c.Backlog) }), Penalty: 0.5},
		{Name: "listed-file", Class: record.Metadata,
			Values: inWave(s, column(func(c record.Covariates) float64 { return float64(c.FilesListed) })), Penalty: 2},
		{Name: "listed-file", Class: record.Metadata,
			Values: inWave(s, column(func(c record.Covariates) float64 { return float64(c.FilesDone) })), Penalty: 2.5,
			Passed: true},
		{Name: "worker", Class: record.BufferWorker, Values: column(func(c record.Covariates) float64 {
			return math.Max(0, float64(c.InFlight-c.AtHeader-c.WithBody))
		}), Penalty: 8},
		{Name: "page", Class: record.Metadata,
			Values: sinceFloor(s, column(func(c record.Covariates) float64 { return float64(c.Pages) })), Penalty: 2},
		{Name: "connection", Class: record.BufferPool,
			Values: column(func(c record.Covariates) float64 { return float64(c.ConnsOpen) }), Penalty: 1},
		{Name: "connection", Class: record.BufferPool,
			Values: column(func(c record.Covariates) float64 { return float64(c.ConnsIdle) }), Penalty: 1},
		{Name: "wave", Values: working(s), Penalty: 1},
	}
	sent := arriving(s, column(func(c record.Covariates) float64 { return float64(c.BytesSent) }))
	if arriving := arriving(s, bodies); spread(sent, bodies) {
		u = append(u, Unit{Name: "byte-in-flight", Class: record.BufferFile, Values: sent, Penalty: 2},
			Unit{Name: "worker", Class: record.BufferWorker, Values: arriving, Penalty: 2})
		u = append(u, parts(arriving, bytes, 3)...)
	}
	if s.Trial.Item == record.ItemRequest {
		u = append(u, serviceUnits(s, column)...)
	}
	u = append(u, steps(bodies, bytes)...)
	u = append(u, queues(column(func(c record.Covariates) float64 { return float64(c.Backlog) }))...)
	return append(u, parts(bodies, bytes, 2)...)
}

// parts are buffers of a size per transfer, one for each size that files were both below and above.
func parts(bodies, bytes []float64, penalty float64) []Unit {
	var out []Unit
	for _, p := range PartSizes {
		v := make([]float64, len(bytes))
		differs := false
		for i := range v {
			if bodies[i] > 0 {
				size := bytes[i] / bodies[i]
				v[i] = bodies[i] * math.Min(size, p) / p
				differs = differs || size > p
			}
		}
		if differs {
			out = append(out, Unit{Name: "worker", Class: record.BufferWorker, Values: v, Penalty: penalty})
		}
	}
	return out
}

// spread reports whether transfers had bytes of sizes far enough apart to tell them from their number.
func spread(bytes, bodies []float64) bool {
	lo, hi := math.Inf(1), 0.0
	for i, b := range bytes {
		if b > 0 && bodies[i] > 0 {
			lo, hi = math.Min(lo, b/bodies[i]), math.Max(hi, b/bodies[i])
		}
	}
	return hi > threshold.MinBacklogRange*lo
}

// arriving is a regressor of mid-body states alone: memory of a body that arrives may be gone once it was sent on.
func arriving(s *series.Series, v []float64) []float64 {
	out := make([]float64, len(v))
	for i, n := range s.Snaps {
		if n.State == record.StateBody {
			out[i] = v[i]
		}
	}
	return out
}

// serviceUnits are the regressors that a service has besides.
func serviceUnits(s *series.Series, column func(func(record.Covariates) float64) []float64) []Unit {
	return []Unit{
		{Name: "connection", Class: record.BufferPool,
			Values: column(func(c record.Covariates) float64 { return float64(c.ConnsIn) }), Penalty: 1},
		// Of a service that nothing holds it isn't known how many of the requests offered wait behind their replies.
		{Name: "backlog-item", Class: record.Metadata, Values: Offered(s), Penalty: 1},
	}
}

// queues are buffers of a queue that are full at some backlog: one for each size at which they can be separated from
// growth with the backlog, since the largest backlog held was EnvelopeSpread of it and more.
func queues(backlog []float64) []Unit {
	var out []Unit
	most := slices.Max(append([]float64{0}, backlog...))
	for size := most / EnvelopeSpread; size >= leastQueue; size /= queueStep {
		v := make([]float64, len(backlog))
		for i, b := range backlog {
			v[i] = math.Min(b, size)
		}
		out = append(out, Unit{Name: "backlog-item", Class: record.Cache, Values: v, Penalty: 3, most: size})
	}
	return out
}

// The sizes of a queue's buffer that are tried: from leastQueue items on, each by queueStep larger than the last.
const (
	leastQueue = 20
	queueStep  = 1.15
)

// steps are transfers whose file is larger than a size, one for each gap between the sizes seen: a further part buffer
// that smaller files do not need.
func steps(bodies, bytes []float64) []Unit {
	var sizes []float64
	for i := range bodies {
		if bodies[i] > 0 {
			if size := math.Round(bytes[i] / bodies[i]); !slices.Contains(sizes, size) {
				sizes = append(sizes, size)
			}
		}
	}
	slices.Sort(sizes)
	var out []Unit
	for k := 0; k+1 < len(sizes); k++ {
		v := make([]float64, len(bodies))
		for i := range v {
			if bodies[i] > 0 && bytes[i]/bodies[i] > math.Sqrt(sizes[k]*sizes[k+1]) {
				v[i] = bodies[i]
			}
		}
		out = append(out, Unit{Name: "worker", Class: record.BufferWorker, Values: v, Penalty: 3})
	}
	return out
}

// working is 1 while a wave is under way.
func working(s *series.Series) []float64 {
	v := make([]float64, len(s.Snaps))
	for i, n := range s.Snaps {
		if n.State.Held() {
			v[i] = 1
		}
	}
	return v
}

// sinceFloor subtracts from a counter what it was at the floor before.
func sinceFloor(s *series.Series, v []float64) []float64 {
	out := slices.Clone(v)
	base := 0.0
	for i, n := range s.Snaps {
		if n.AtRest() {
			base = v[i]
		}
		out[i] = v[i] - base
	}
	return out
}

// inWave subtracts from a count of files what it was when the wave began: the files of all earlier phases. Where the
// phases do not say, or a free run was broken off before, the last floor stands for it.
func inWave(s *series.Series, v []float64) []float64 {
	out := sinceFloor(s, v)
	for i, n := range s.Snaps {
		if before, ok := filesBefore(s, n.Phase); ok && n.State.Held() && v[i] >= before {
			out[i] = v[i] - before
		}
	}
	return out
}

// filesBefore is the number of files given in the phases before the named one.
func filesBefore(s *series.Series, name string) (float64, bool) {
	sum := 0.0
	for _, p := range s.Trial.Phases {
		if p.Name == name {
			return sum, sum > 0
		}
		if p.Kind == "free" || p.Failed != "" {
			return 0, false
		}
		sum += float64(p.Files)
	}
	return 0, false
}

// largestPerWorker is the sum, over the concurrent transfers, of the largest file that each has had so far: the size of
// buffers that workers keep and grow. A hold shows how many files of which size were under way at the same time; before
// the first one it follows from the largest file, and from the bytes done how many of those there can have been. Which
// workers had the larger files before can't be seen: again those that had the largest so far, or others.
func largestPerWorker(s *series.Series, again bool) []float64 {
	var most, done, largest int64
	for _, n := range s.Snaps {
		most = max(most, n.Cov().InFlight)
	}
	workers := make([]float64, most)
	raise := func(count, size int64) {
		slices.Sort(workers)
		if again {
			slices.Reverse(workers)
		}
		for i := range workers[:min(count, most)] {
			workers[i] = math.Max(workers[i], float64(size))
		}
	}
	out := make([]float64, len(s.Snaps))
	held := "" // the phase of the last hold: a second one in it is of the same transfers, some of which have ended
	for i, n := range s.Snaps {
		c := n.Cov()
		if bodies := c.InFlight - c.AtHeader; n.State.Held() && bodies > 0 {
			if n.Phase != held {
				raise(bodies, c.BytesInFlight/bodies)
			}
			held = n.Phase
		} else if n.AtRest() && c.Largest > largest {
			raise((c.BytesDone-done)/c.Largest, c.Largest)
		}
		done, largest = c.BytesDone, max(largest, c.Largest)
		for _, size := range workers {
			out[i] += size
		}
	}
	return out
}

// LargeFile is a file of largeFrom bytes and more, which some programs do more for than for others.
const (
	LargeFile = "large-file"
	largeFrom = 1 << 20
)

// largeFiles are the large files begun by so far: all of work whose files are large in the mean, and of other work
// those that were held. Of a wave under way those that are held are known.
func largeFiles(s *series.Series) []float64 {
	out := make([]float64, len(s.Snaps))
	var sum, held float64
	var before record.Covariates
	for i, n := range s.Snaps {
		c := n.Cov()
		switch files := c.FilesDone - before.FilesDone; {
		case n.State.Held() && c.BytesInFlight >= c.InFlight*largeFrom:
			held = math.Max(held, float64(c.InFlight))
		case !n.AtRest():
		case c.BytesDone-before.BytesDone >= files*largeFrom:
			sum, held, before = sum+math.Max(0, float64(files)), 0, c
		default:
			sum, held, before = sum+math.Min(held, float64(files)), 0, c
		}
		if out[i] = sum; n.State.Held() {
			out[i] += held
		}
	}
	return out
}

func runningMax(v []float64) []float64 {
	out := slices.Clone(v)
	for i := 1; i < len(out); i++ {
		out[i] = math.Max(out[i], out[i-1])
	}
	return out
}
