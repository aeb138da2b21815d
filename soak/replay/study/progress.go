package study

import (
	"time"
)

// Progress reports that a piece of a replay has ended.
type Progress struct {
	N, Of int
	// Name says what ended, Text what became of it, and Kept that it was recorded before.
	Name, Text string
	Kept       bool
	// Left is about how long the rest takes, from how long the finished pieces took beside their estimates.
	Left time.Duration
}

// schedule knows the pieces of a replay and how long each is expected to take. Its zero value has none.
type schedule struct {
	of             int
	left           time.Duration // expected of the remaining pieces
	n              int
	expected, took time.Duration // of the pieces that have ended and were not kept from before
	said           func(Progress)
	clock          func() time.Time
}

// add puts a piece on the schedule.
func (s *schedule) add(expected ...time.Duration) {
	for _, e := range expected {
		s.of++
		s.left += e
	}
}

// piece carries out a piece that is on the schedule and tells of its end. do says what became of it, and whether it was
// kept from an earlier run.
func (s *schedule) piece(name string, expected time.Duration, do func() (text string, kept bool, err error)) error {
	begun := s.clock()
	text, kept, err := do()
	if err != nil {
		return err
	}
	s.n++
	s.left -= expected
	if !kept {
		s.expected += expected
		s.took += s.clock().Sub(begun)
	}
	left := s.left
	if s.expected > 0 {
		left = time.Duration(float64(left) * float64(s.took) / float64(s.expected))
	}
	s.said(Progress{N: s.n, Of: s.of, Name: name, Text: text, Kept: kept, Left: left})
	return nil
}

// drop takes pieces off the schedule that turned out not to be needed.
func (s *schedule) drop(n int, expected time.Duration) {
	s.of -= n
	s.left -= time.Duration(n) * expected
}

// What pieces take on two idle CPUs, for estimates only: the states before a corpus is copied with the start and the
// report, and the service's pace.
const (
	steering  = 8 * time.Second
	dies      = 4 * time.Second // until the kill, where there is one
	bytesRate = 130 << 20       // a second
	filesRate = 700             // a second
)

// expect is about how long a cell takes.
func expect(row Row, c Corpus, free time.Duration) time.Duration {
	copying := max(float64(c.Bytes())/bytesRate, float64(c.Files)/filesRate)
	if c.SinkRate > 0 {
		copying = max(copying, float64(c.Bytes())/float64(c.SinkRate))
	}
	d := time.Duration(copying * float64(time.Second))
	switch {
	case c.Cut && row.gathers():
		d = min(d, dies)
	case c.Cut:
		d = min(d, free)
	}
	return steering + d
}
