package protocol

import (
	"github.com/memsoak/memsoak/profiles/record"
	"math"
	"time"
)

// The sequential rule of equal waves, declared here and in the README so that nobody can tune it to a result:
// after Times waves the floors are looked at; if their trend is plain (Mann-Kendall |z| >= RuleTrend) or plainly absent
// (|z| <= RuleFlat) the phase ends, else another wave is run, up to TimesMost.
const (
	RuleTrend = 2.6 // two-sided p < 0.01
	RuleFlat  = 0.8 // two-sided p > 0.4
)

// Undecided says whether the floors (live heap in bytes, in the order of their waves) call for another wave.
func Undecided(floors []int64) bool {
	z := math.Abs(mannKendall(floors))
	return z > RuleFlat && z < RuleTrend
}

// mannKendall is the test's normal score without the correction for ties: live heaps in bytes hardly ever tie.
func mannKendall(v []int64) float64 {
	s := 0
	for i := range v {
		for j := i + 1; j < len(v); j++ {
			switch {
			case v[j] > v[i]:
				s++
			case v[j] < v[i]:
				s--
			}
		}
	}
	n := float64(len(v))
	sigma := math.Sqrt(n * (n - 1) * (2*n + 5) / 18)
	switch {
	case s == 0 || sigma == 0:
		return 0
	case s > 0:
		return float64(s-1) / sigma
	default:
		return float64(s+1) / sigma
	}
}

// minScale keeps at least a tenth of the work: less would leave nothing to tell a leak by.
const minScale = 0.1

// Pace is how fast a subject was seen to work: files and bytes a second, and the time that a snapshot takes.
type Pace struct {
	Files, Bytes float64
	Snapshot     time.Duration
	Settle       time.Duration
}

// Scale is the factor for numbers of files so that the phases fit into the time left, for a subject with m transfers
// at once: 1 when they fit as they are.
func Scale(phases []Phase, m int, pace Pace, left time.Duration) float64 {
	var files, bytes float64
	var fixed time.Duration
	for i := range phases {
		f, b := phases[i].work(m)
		files += f
		bytes += b
		fixed += phases[i].fixedTime(pace)
	}
	if pace.Files <= 0 || pace.Bytes <= 0 {
		return 1
	}
	need := files/pace.Files + bytes/pace.Bytes
	have := (left - fixed).Seconds()
	if need <= have {
		return 1
	}
	return max(minScale, have/need)
}

// fixedTime is the part of a phase's time that does not depend on its number of files.
func (ph *Phase) fixedTime(pace Pace) time.Duration {
	n := max(1, ph.Times) + len(ph.Then)
	if ph.Kind == IdleAgain {
		n = ph.Snapshots
	}
	sum := time.Duration(ph.For) + time.Duration(ph.AtMost) + time.Duration(n)*pace.Snapshot
	if ph.Kind == Hold {
		sum += pace.Settle / 2
	}
	return sum
}

// work is the number of files and bytes that scale with Scale, holds by size left out: their bytes are what they are for.
func (ph *Phase) work(m int) (files, bytes float64) {
	switch ph.Kind {
	case WarmUp, Wave, Repeat:
		for _, g := range ph.Files {
			files += float64(g.Count) * float64(max(1, ph.Times))
			bytes += float64(g.Count) * float64(g.Size) * float64(max(1, ph.Times))
		}
	case Hold:
		files = float64(ph.Backlog)
		bytes = float64(ph.Held(m))*float64(ph.Size) + files*float64(ph.Size)
		for _, g := range ph.Files {
			files += float64(g.Count)
		}
	}
	return files, bytes
}

// Held is the number of transfers that a hold stops, for a subject with m at once.
func (ph *Phase) Held(m int) int {
	n := ph.Transfers.Of(m)
	if ph.MaxBytes > 0 && ph.Size > 0 {
		n = min(n, max(1, int(ph.MaxBytes/ph.Size)))
	}
	return n
}

// Estimate is about how long a trial of the kind takes with a subject that does 500 files and 100 MiB a second with m
// transfers at once; for attribution trials never more than the budget.
func (p *Protocol) Estimate(k record.TrialKind, m int) time.Duration {
	const rate, throughput = 500, 100 << 20
	var sum time.Duration
	for i := range p.Of(k) {
		ph := &p.Of(k)[i]
		files, bytes := ph.work(m)
		sum += ph.fixedTime(Pace{Snapshot: 60 * time.Millisecond, Settle: time.Duration(p.Settle)}) + time.Duration((files/rate+bytes/throughput)*float64(time.Second))
	}
	if k == record.Attribution {
		return min(sum, time.Duration(p.Budget))
	}
	return sum
}
