package protocol

import (
	"slices"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// The sequential rule, declared here and in the README so that no result can tune it.
//
// An attribution trial carries out the phases of its protocol and then looks at its hypotheses. While one of them is
// neither found nor excluded below its target, the blocks of More that feed it are added, with twice the work of the
// time before, and there is another look; after Looks of them, or at the cap, the trial ends with open hypotheses still
// open.
//
// Its errors: a hypothesis is tested at each look, and the first look at which it is found ends its part. With at most
// K looks a false finding is at most K times as likely as in one test (Bonferroni; less in truth, since each look keeps
// the data of those before). The diagnosis asks for t > 4 in one test, that is below 1e-4, so below 6e-4 for the
// default of 6. A limit is the slope that would be seen in 95 of 100 trials with the data of the last look alone, so
// that more looks than one make no limit too small: they only add chances to find.
const (
	defaultLooks = 6
	mostLooks    = 12
)

// Block is work that feeds hypotheses per one of its units.
type Block struct {
	// Per are units of hypotheses; none: all that no other block feeds.
	Per []string `yaml:"per"`
	// Phases are carried out each time that the block is added; their work doubles from one time to the next.
	Phases []Phase `yaml:"phases"`
}

// Blocks are the blocks that feed at least one of the units, each once.
func (p *Protocol) Blocks(per []string) []Block {
	var out []Block
	for _, b := range p.More {
		if slices.ContainsFunc(per, func(unit string) bool { return p.feeds(b, unit) }) {
			out = append(out, b)
		}
	}
	return out
}

func (p *Protocol) feeds(b Block, unit string) bool {
	if len(b.Per) > 0 {
		return slices.Contains(b.Per, unit)
	}
	return !slices.ContainsFunc(p.More, func(o Block) bool { return slices.Contains(o.Per, unit) })
}

// Grown is the phase with its work multiplied, and so its time. The number of held transfers stays.
func (ph Phase) Grown(factor int64) Phase {
	ph.Files = slices.Clone(ph.Files)
	for i := range ph.Files {
		ph.Files[i].Count *= factor
	}
	ph.Backlog *= factor
	ph.After *= factor
	ph.FolderCount *= factor
	ph.For *= Duration(factor)
	return ph
}

// work is the number of files and bytes of a phase, for a subject with m concurrent transfers.
func (ph *Phase) work(m int) (files, bytes float64) {
	for _, g := range ph.Files {
		n := float64(g.Count) * float64(max(1, ph.Times))
		files += n
		bytes += n * float64(g.Size)
	}
	if ph.Kind == Sizes {
		for _, h := range ph.Holds() {
			_, b := h.work(m)
			bytes += b
		}
	}
	if ph.Kind == Hold {
		files += float64(ph.Backlog + ph.After)
		bytes += (float64(ph.Held(m)) + float64(ph.Backlog+ph.After)) * float64(ph.Size)
	}
	return files, bytes
}

// Held is the number of transfers that a hold stops, for a subject with m concurrent ones.
func (ph *Phase) Held(m int) int {
	n := ph.Transfers.Of(m)
	if ph.MaxBytes > 0 && ph.Size > 0 {
		n = min(n, max(1, int(ph.MaxBytes/ph.Size)))
	}
	return n
}

// fixedTime is about the part of a phase's time that does not depend on its number of files.
func (ph *Phase) fixedTime() time.Duration {
	const floor = 60 * time.Millisecond
	n := max(1, ph.Times, ph.Snapshots, len(ph.Sizes)*2) + len(ph.Then)
	return time.Duration(ph.For) + time.Duration(ph.AtMost) + time.Duration(n)*floor
}

// Estimate is about how long a trial of the kind takes with a subject that does 500 files and 100 MiB a second with m
// concurrent transfers and needs no block of More; never more than the cap.
func (p *Protocol) Estimate(k record.TrialKind, m int) time.Duration {
	const rate, throughput = 500, 100 << 20
	var sum time.Duration
	for i := range p.Of(k) {
		ph := &p.Of(k)[i]
		files, bytes := ph.work(m)
		sum += ph.fixedTime() + time.Duration((files/rate+bytes/throughput)*float64(time.Second))
	}
	return min(sum, time.Duration(p.Budget))
}
