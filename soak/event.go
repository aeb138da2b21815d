package soak

import (
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// Event is a step of a run's progress. The types below are all there are. Events come in order, one at a time.
type Event interface {
	// EventName is the event's name in JSON: "trial-ended".
	EventName() string
}

// RunStarted is the first event.
type RunStarted struct {
	Dir      string        `json:"dir"`
	Plan     *Plan         `json:"-"`
	Run      string        `json:"run"`
	Subject  string        `json:"subject"`
	Corpus   string        `json:"corpus"`
	Design   Design        `json:"design"`
	Protocol string        `json:"protocol"`
	Cells    int           `json:"cells"`
	Trials   int           `json:"trials"`
	Done     int           `json:"done"` // trials kept from before, with --resume
	Estimate time.Duration `json:"estimate_ns"`
	Limit    int64         `json:"limit"`
	Isolated string        `json:"isolation"` // as record.Isolation.Kind
	// Lanes are the processors of attribution trials that run beside each other; empty for one trial at a time. Events
	// of such trials are mixed.
	Lanes []string `json:"lanes,omitempty"`
}

// TrialRef names a trial in an event.
type TrialRef struct {
	Cell  Cell             `json:"cell"`
	Kind  record.TrialKind `json:"kind"`
	Index int              `json:"index"`
	// N of Of counts the trials of the run, from 1.
	N  int `json:"n"`
	Of int `json:"of"`
}

// TrialStarted begins a trial.
type TrialStarted struct {
	TrialRef
	Estimate time.Duration `json:"estimate_ns"`
}

// PhaseChanged comes at the start of a phase (End is zero) and at its end.
type PhaseChanged struct {
	TrialRef
	Phase record.Phase `json:"phase"`
}

// Sampled is a sample of the trial under way.
type Sampled struct {
	TrialRef
	Sample record.Sample `json:"sample"`
}

// Snapped is a snapshot that was taken in the trial under way, with its live heap in bytes.
type Snapped struct {
	TrialRef
	Snapshot record.Snapshot `json:"snapshot"`
	Live     int64           `json:"live"`
}

// TrialEnded ends a trial.
type TrialEnded struct {
	TrialRef
	Dir      string          `json:"dir"`
	Outcome  record.Outcome  `json:"outcome"`
	Reason   string          `json:"reason,omitempty"`
	Seconds  float64         `json:"seconds"`
	Peak     record.Peak     `json:"peak"`
	Work     record.Work     `json:"work"`
	Isolated string          `json:"isolation"` // as record.Isolation.Kind
	Headline record.Headline `json:"headline,omitempty"`
	Summary  string          `json:"summary,omitempty"` // of the verdict's first finding
}

// Warned says what the user should know.
type Warned struct {
	Text string `json:"text"`
}

// RunEnded is the last event.
type RunEnded struct {
	Dir         string        `json:"dir"`
	Done        int           `json:"done"`
	Of          int           `json:"of"`
	Took        time.Duration `json:"took_ns"`
	Interrupted bool          `json:"interrupted"`
}

// EventName implements Event.
func (RunStarted) EventName() string { return "run-started" }

// EventName implements Event.
func (TrialStarted) EventName() string { return "trial-started" }

// EventName implements Event.
func (PhaseChanged) EventName() string { return "phase-changed" }

// EventName implements Event.
func (Sampled) EventName() string { return "sampled" }

// EventName implements Event.
func (Snapped) EventName() string { return "snapped" }

// EventName implements Event.
func (TrialEnded) EventName() string { return "trial-ended" }

// EventName implements Event.
func (Warned) EventName() string { return "warned" }

// EventName implements Event.
func (RunEnded) EventName() string { return "run-ended" }
