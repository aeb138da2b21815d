package record

import "github.com/memsoak/memsoak/internal/units"

// Peak is the running maximum of each quantity over a trial, in bytes. Memory is the one that is meant by "the peak".
type Peak struct {
	// Charged is the highest of Cgroup.Held: what a memory limit has to have room for. 0 without a cgroup, and in
	// recordings from before it was sampled.
	Charged int64 `json:"charged,omitempty"`
	RSS     int64 `json:"rss"`
	Anon    int64 `json:"anon,omitempty"`
	// Cgroup is the kernel's own peak of the charge. Pages of files count in it and no moment is missed: an upper bound
	// of Charged.
	Cgroup   int64 `json:"cgroup"`
	HeapLive int64 `json:"heap_live"` // of profiles: sum over sites without pprof's own frames
}

// PeakKind says what a peak was read from.
type PeakKind string

// The kinds of a peak, the best first.
const (
	PeakNone     PeakKind = ""
	PeakCharged  PeakKind = "charged"         // to the cgroup, without pages of files that the kernel takes back
	PeakUpper    PeakKind = "charged-at-most" // to the cgroup with such pages: an older recording
	PeakResident PeakKind = "rss"             // there was no cgroup
	PeakLive     PeakKind = "live-heap"       // of profiles alone
)

// Mark is the text behind a peak of the kind, "" where it needs none.
func (k PeakKind) Mark() string {
	switch k {
	case PeakUpper:
		return " (with pages of files)"
	case PeakResident:
		return " (RSS)"
	case PeakLive:
		return " (live heap)"
	}
	return ""
}

// Memory is the peak, and its source: the highest charge of the cgroup without pages of files
// that the kernel takes back; without a cgroup the highest resident size. Everything that prints or judges a peak reads
// it here.
func (p Peak) Memory() (int64, PeakKind) {
	switch {
	case p.Charged > 0:
		return p.Charged, PeakCharged
	case p.Cgroup > 0:
		return p.Cgroup, PeakUpper
	case p.RSS > 0:
		return p.RSS, PeakResident
	case p.HeapLive > 0:
		return p.HeapLive, PeakLive
	}
	return 0, PeakNone
}

// Bytes is the peak without what it was read from.
func (p Peak) Bytes() int64 {
	n, _ := p.Memory()
	return n
}

// String is the peak with its mark.
func (p Peak) String() string {
	n, kind := p.Memory()
	return units.FormatBytes(n) + kind.Mark()
}

// Above is the kernel's own peak where it is above the peak, else 0.
func (p Peak) Above() int64 {
	if n, kind := p.Memory(); kind == PeakCharged && p.Cgroup > n {
		return p.Cgroup
	}
	return 0
}

// See raises the peak by a reading.
func (p *Peak) See(s Sample) {
	if s.Process != nil {
		p.RSS, p.Anon = max(p.RSS, s.Process.RSS), max(p.Anon, s.Process.Anon)
	}
	if c := s.Cgroup; c != nil {
		p.Charged, p.Cgroup = max(p.Charged, c.Held()), max(p.Cgroup, c.Peak, c.Usage)
	}
}

// Join raises each quantity to that of another peak.
func (p *Peak) Join(q Peak) {
	p.Charged, p.RSS, p.Anon = max(p.Charged, q.Charged), max(p.RSS, q.RSS), max(p.Anon, q.Anon)
	p.Cgroup, p.HeapLive = max(p.Cgroup, q.Cgroup), max(p.HeapLive, q.HeapLive)
}

// Held is what a limit has to have room for: the charge without the pages of files, which are charged to the first to
// read them and which the kernel takes back under pressure. Pages of a tmpfs can't be taken back and stay in it.
func (c *Cgroup) Held() int64 { return max(0, c.Usage-c.File) }

// Held is what a limit has to have room for at a reading: Cgroup.Held, or without a cgroup the resident size.
func (s Sample) Held() int64 {
	switch {
	case s.Cgroup != nil:
		return s.Cgroup.Held()
	case s.Process != nil:
		return s.Process.RSS
	}
	return 0
}
