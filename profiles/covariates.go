package profiles

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
)

// unit is something that memory can grow with.
type unit struct {
	name    string // of the slope's "per"
	class   record.Class
	values  []float64 // by snapshot
	penalty float64   // added to the selection criterion: the price of being the less likely explanation
	running bool      // a running maximum: it steps
	passed  bool      // files that passed in a wave under way: more than none in mid-body states alone
	most    float64   // of a unit that stops: where it does
}

// units are the regressors of a trial, by snapshot.
type units struct {
	retained []unit // what may stay at floors
	held     []unit // what may be there in a held state and gone at the next floor
}

// cov returns the snapshot's covariates, never nil.
func (n *Snapshot) cov() record.Covariates {
	if n.Covariates == nil {
		return record.Covariates{}
	}
	return *n.Covariates
}

// partSizes are the buffer sizes looked for: with files both smaller and larger than one of these, a buffer of that
// size per transfer shows as bytes up to it and none beyond.
var partSizes = []float64{32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20, 5 << 20,
	8 << 20}

// units are the regressors of the trial, by snapshot.
func (s *Series) units() *units {
	u := &units{}
	n := len(s.Snaps)
	column := func(f func(c record.Covariates) float64) []float64 {
		v := make([]float64, n)
		for i, x := range s.Snaps {
			v[i] = f(x.cov())
		}
		return v
	}
	// What a broken-off wave had listed is no backlog once nothing is under way.
	for _, x := range s.Snaps {
		if c := x.Covariates; c != nil && x.atRest() && c.Backlog > 0 {
			rest := *c
			rest.Backlog = 0
			x.Covariates = &rest
		}
	}
	u.retained = s.retainedUnits(column)
	s.weigh(u.retained)
	u.held = s.heldUnits(column)
	return u
}

// retainedUnits are the regressors of what stays at floors.
func (s *Series) retainedUnits(column func(func(record.Covariates) float64) []float64) []unit {
	seconds := make([]float64, len(s.Snaps))
	for i, x := range s.Snaps {
		seconds[i] = x.Time.Sub(s.Snaps[0].Time).Seconds()
	}
	files := column(func(c record.Covariates) float64 { return float64(c.FilesDone) })
	units := []unit{
		{name: "file", class: record.Leak, values: files},
		// In held states what a file leaves behind may be there from its beginning on; at floors the two are the same.
		{name: "file", class: record.Leak, values: column(func(c record.Covariates) float64 {
			return float64(c.FilesDone + c.InFlight)
		}), penalty: 0.5},
		{name: "distinct-item", class: record.Metadata,
			values: column(func(c record.Covariates) float64 { return float64(c.Distinct) }), penalty: 1},
		{name: "byte", class: record.Leak, values: column(func(c record.Covariates) float64 { return float64(c.BytesDone) }),
			penalty: 1},
		{name: "listed-file", class: record.Leak,
			values: column(func(c record.Covariates) float64 { return float64(c.FilesListed) }), penalty: 1},
		{name: "request", class: record.Leak,
			values: column(func(c record.Covariates) float64 { return float64(c.Requests) }), penalty: 6},
		{name: "page", class: record.Leak, values: column(func(c record.Covariates) float64 { return float64(c.Pages) }),
			penalty: 2},
		{name: "second", class: record.Leak, values: seconds, penalty: 2},
		{name: "wave", class: record.Leak, values: column(func(c record.Covariates) float64 { return float64(c.Waves) }),
			penalty: 6},
		{name: "byte-in-flight", class: record.BufferFile, running: true, penalty: 2,
			values: runningMax(column(func(c record.Covariates) float64 { return float64(c.BytesInFlight) }))},
		{name: "byte-in-flight", class: record.BufferFile, running: true, penalty: 2, values: s.largestPerWorker(false)},
		{name: "byte-in-flight", class: record.BufferFile, running: true, penalty: 2, values: s.largestPerWorker(true)},
		{name: "worker", class: record.BufferWorker, running: true, penalty: 2,
			values: runningMax(column(func(c record.Covariates) float64 { return float64(c.InFlight) }))},
		{name: "backlog-item", class: record.Metadata, running: true, penalty: 2,
			values: runningMax(column(func(c record.Covariates) float64 { return float64(c.Backlog) }))},
	}
	if failed := column(func(c record.Covariates) float64 { return float64(c.Failed) }); len(failed) > 0 &&
		failed[len(failed)-1] > 0 {
		units = append(units, unit{name: "error", class: record.Leak, values: failed, penalty: 2})
	}
	if s.Trial.Item == record.ItemRequest {
		// A key is in no cache before its work is done, and never where that fails.
		units = append(units, unit{name: "distinct-item", class: record.Metadata, penalty: 1.5,
			values: column(func(c record.Covariates) float64 { return math.Max(0, float64(c.Distinct-c.Failed-c.Backlog)) })})
	}
	return units
}

// heldBy is the regressor that a hypothesis about held states is decided by. Listed files are in the backlog until they
// begun: memory kept for them longer shows per finished file while the wave continues.
func (u *units) heldBy(per string) unit {
	return u.held[slices.IndexFunc(u.held, func(x unit) bool {
		return x.name == per && (x.passed || per != "listed-file")
	})]
}

// heldUnits are the regressors of held states. A transfer has a body from the moment its first byte is sent.
func (s *Series) heldUnits(column func(func(record.Covariates) float64) []float64) []unit {
	bodies := column(func(c record.Covariates) float64 { return math.Max(0, float64(c.InFlight-c.AtHeader)) })
	bytes := column(func(c record.Covariates) float64 { return float64(c.BytesInFlight) })
	u := []unit{
		{name: "worker", class: record.BufferWorker,
			values: column(func(c record.Covariates) float64 { return float64(c.InFlight) })},
		{name: "worker", class: record.BufferWorker, values: bodies, penalty: 1},
		{name: "worker", class: record.BufferWorker,
			values: column(func(c record.Covariates) float64 { return float64(c.AtHeader) }), penalty: 2},
		{name: "byte-in-flight", class: record.BufferFile, values: bytes},
		{name: "byte-in-flight", class: record.BufferFile,
			values: column(func(c record.Covariates) float64 { return float64(c.BytesSent) }), penalty: 1},
		{name: "backlog-item", class: record.Metadata,
			values: column(func(c record.Covariates) float64 { return float64(c.Backlog) }), penalty: 0.5},
		{name: "listed-file", class: record.Metadata,
			values: s.inWave(column(func(c record.Covariates) float64 { return float64(c.FilesListed) })), penalty: 2},
		{name: "listed-file", class: record.Metadata,
			values: s.inWave(column(func(c record.Covariates) float64 { return float64(c.FilesDone) })), penalty: 2.5,
			passed: true},
		{name: "worker", class: record.BufferWorker, values: column(func(c record.Covariates) float64 {
			return math.Max(0, float64(c.InFlight-c.AtHeader-c.WithBody))
		}), penalty: 8},
		{name: "page", class: record.Metadata,
			values: s.sinceFloor(column(func(c record.Covariates) float64 { return float64(c.Pages) })), penalty: 2},
		{name: "connection", class: record.BufferPool,
			values: column(func(c record.Covariates) float64 { return float64(c.ConnsOpen) }), penalty: 1},
		{name: "connection", class: record.BufferPool,
			values: column(func(c record.Covariates) float64 { return float64(c.ConnsIdle) }), penalty: 1},
		{name: "wave", values: s.working(), penalty: 1},
	}
	sent := s.arriving(column(func(c record.Covariates) float64 { return float64(c.BytesSent) }))
	if arriving := s.arriving(bodies); spread(sent, bodies) {
		u = append(u, unit{name: "byte-in-flight", class: record.BufferFile, values: sent, penalty: 2},
			unit{name: "worker", class: record.BufferWorker, values: arriving, penalty: 2})
		u = append(u, parts(arriving, bytes, 3)...)
	}
	if s.Trial.Item == record.ItemRequest {
		u = append(u, s.serviceUnits(column)...)
	}
	u = append(u, steps(bodies, bytes)...)
	u = append(u, queues(column(func(c record.Covariates) float64 { return float64(c.Backlog) }))...)
	return append(u, parts(bodies, bytes, 2)...)
}

// parts are buffers of a size per transfer, one for each size that files were both below and above.
func parts(bodies, bytes []float64, penalty float64) []unit {
	var out []unit
	for _, p := range partSizes {
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
			out = append(out, unit{name: "worker", class: record.BufferWorker, values: v, penalty: penalty})
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
	return hi > minBacklogRange*lo
}

// arriving is a regressor of mid-body states alone: memory of a body that arrives may be gone once it was sent on.
func (s *Series) arriving(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, n := range s.Snaps {
		if n.State == record.StateBody {
			out[i] = v[i]
		}
	}
	return out
}

// serviceUnits are the regressors that a service has besides.
func (s *Series) serviceUnits(column func(func(record.Covariates) float64) []float64) []unit {
	return []unit{
		{name: "connection", class: record.BufferPool,
			values: column(func(c record.Covariates) float64 { return float64(c.ConnsIn) }), penalty: 1},
		// Of a service that nothing holds it isn't known how many of the requests offered wait behind their replies.
		{name: "backlog-item", class: record.Metadata, values: s.offered(), penalty: 1},
	}
}

// queues are buffers of a queue that are full at some backlog: one for each size at which they can be separated from
// growth with the backlog, since the largest backlog held was envelopeSpread of it and more.
func queues(backlog []float64) []unit {
	var out []unit
	most := slices.Max(append([]float64{0}, backlog...))
	for size := most / envelopeSpread; size >= leastQueue; size /= queueStep {
		v := make([]float64, len(backlog))
		for i, b := range backlog {
			v[i] = math.Min(b, size)
		}
		out = append(out, unit{name: "backlog-item", class: record.Cache, values: v, penalty: 3, most: size})
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
func steps(bodies, bytes []float64) []unit {
	var sizes []float64
	for i := range bodies {
		if bodies[i] > 0 {
			if size := math.Round(bytes[i] / bodies[i]); !slices.Contains(sizes, size) {
				sizes = append(sizes, size)
			}
		}
	}
	slices.Sort(sizes)
	var out []unit
	for k := 0; k+1 < len(sizes); k++ {
		v := make([]float64, len(bodies))
		for i := range v {
			if bodies[i] > 0 && bytes[i]/bodies[i] > math.Sqrt(sizes[k]*sizes[k+1]) {
				v[i] = bodies[i]
			}
		}
		out = append(out, unit{name: "worker", class: record.BufferWorker, values: v, penalty: 3})
	}
	return out
}

// working is 1 while a wave is under way.
func (s *Series) working() []float64 {
	v := make([]float64, len(s.Snaps))
	for i, n := range s.Snaps {
		if n.State.Held() {
			v[i] = 1
		}
	}
	return v
}

// sinceFloor subtracts from a counter what it was at the floor before.
func (s *Series) sinceFloor(v []float64) []float64 {
	out := slices.Clone(v)
	base := 0.0
	for i, n := range s.Snaps {
		if n.atRest() {
			base = v[i]
		}
		out[i] = v[i] - base
	}
	return out
}

// inWave subtracts from a count of files what it was when the wave began: the files of all earlier phases. Where the
// phases do not say, or a free run was broken off before, the last floor stands for it.
func (s *Series) inWave(v []float64) []float64 {
	out := s.sinceFloor(v)
	for i, n := range s.Snaps {
		if before, ok := s.filesBefore(n.Phase); ok && n.State.Held() && v[i] >= before {
			out[i] = v[i] - before
		}
	}
	return out
}

// filesBefore is the number of files given in the phases before the named one.
func (s *Series) filesBefore(name string) (float64, bool) {
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

// atRest says that no work is under way: before the first wave, at a floor, idle again.
func (n *Snapshot) atRest() bool { return n.State == record.StateFloor || n.State == record.StateIdle }

// largestPerWorker is the sum, over the concurrent transfers, of the largest file that each has had so far: the size of
// buffers that workers keep and grow. A hold shows how many files of which size were under way at the same time; before
// the first one it follows from the largest file, and from the bytes done how many of those there can have been. Which
// workers had the larger files before can't be seen: again those that had the largest so far, or others.
func (s *Series) largestPerWorker(again bool) []float64 {
	var most, done, largest int64
	for _, n := range s.Snaps {
		most = max(most, n.cov().InFlight)
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
		c := n.cov()
		if bodies := c.InFlight - c.AtHeader; n.State.Held() && bodies > 0 {
			if n.Phase != held {
				raise(bodies, c.BytesInFlight/bodies)
			}
			held = n.Phase
		} else if n.atRest() && c.Largest > largest {
			raise((c.BytesDone-done)/c.Largest, c.Largest)
		}
		done, largest = c.BytesDone, max(largest, c.Largest)
		for _, size := range workers {
			out[i] += size
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
