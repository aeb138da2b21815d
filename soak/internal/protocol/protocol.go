// Package protocol is the experiment of a trial as data: an ordered list of phases, each of which brings the subject
// into a state worth a snapshot. It reads and checks protocols and knows the built-in ones; package trial carries
// them out.
package protocol

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
)

//go:embed builtin/*.yaml
var builtin embed.FS

// ErrInvalid is returned, wrapped with the reason, for a protocol that can't be carried out.
var ErrInvalid = errors.New("invalid protocol")

// The kinds of phases; record.Phase.Kind has the same words.
const (
	Idle    = "idle"    // no work for a while, before any
	WarmUp  = "warm-up" // work that fills pools and caches and measures the rate; also finds M
	Wave    = "wave"    // equal waves of fresh work, each followed by a floor
	Hold    = "hold"    // transfers stopped at a point, a snapshot of the frozen state, and a floor after it
	Sizes   = "sizes"   // holds of growing size, until the held memory stops growing with it
	Errors  = "errors"  // a wave in which a share of the requests fail at their first attempt
	Repeat  = "repeat"  // an earlier wave's work once more
	Folders = "folders" // many folders without files
	// Connections is for services: so many requests over a connection each, and a snapshot with the connections open.
	Connections = record.PointConnections
	Free        = "free"       // the corpus, unhindered, with light samples
	IdleAgain   = "idle-again" // no work for a while, after all: what grows now grows with time
)

var kinds = []string{Idle, WarmUp, Wave, Hold, Sizes, Errors, Repeat, Folders, Connections, Running, Answered, Free,
	IdleAgain}

// Protocol is a list of phases and the rules of its effort.
type Protocol struct {
	Name string `yaml:"name"`
	// Trials are the kinds of trial that each cell gets, in this order.
	Trials []record.TrialKind `yaml:"trials"`
	// MemProfileRate is the heap sampling rate of attribution trials in bytes; 0 leaves the subject's own.
	MemProfileRate int64 `yaml:"memprofilerate"`
	// Targets are the detection limits that an attribution trial works for, and Looks how often it looks whether they are
	// met; see Blocks for what it does in between.
	Targets record.Targets `yaml:"targets"`
	Looks   int            `yaml:"looks"`
	// Budget is the declared cap of one trial's time. Work is never cut down to fit into it: at the cap a trial ends, as
	// timeout when a phase of the protocol is missing, and else with the hypotheses open that still were.
	Budget Duration `yaml:"budget"`
	// WaveTimeout is how long nothing at all may move in a wave; a subject that stands still for longer ends the trial
	// with outcome timeout.
	WaveTimeout Duration `yaml:"wave_timeout"`
	// Settle is how long nothing may move before a held state counts as reached with fewer transfers than asked for. A
	// subject that was seen to pause for longer while it worked gets more.
	Settle Duration `yaml:"settle"`
	// Speed are the phases of a speed trial.
	Speed []Phase `yaml:"speed"`
	// Phases are those of an attribution or passive trial.
	Phases []Phase `yaml:"phases"`
	// More are the blocks of work that an attribution trial adds while a target is not met.
	More []Block `yaml:"more"`
}

// Phase is one step. Which fields make sense depends on Kind; see the README.
type Phase struct {
	Name string `yaml:"name"`
	Kind string `yaml:"kind"`
	// For is the duration of an idle phase; At most bounds a free run, which is cut off then.
	For    Duration `yaml:"for"`
	AtMost Duration `yaml:"at_most"`
	// Listed ends a free run so long after the whole corpus was listed: from then on its backlog only shrinks.
	Listed Duration `yaml:"listed"`
	// SinkRate makes the sink slow during a free run: so many bytes a second of all uploads together.
	SinkRate fault.Size `yaml:"sink_rate"`
	// Snapshots is the number of snapshots spread over an idle phase, at least 1.
	Snapshots int `yaml:"snapshots"`

	// Files is the work of a wave: groups of equal files, in one folder. With a hold in mid-body they are files smaller
	// than Offset, which pass: work done in a wave that has not ended.
	Files []Group `yaml:"files"`
	// FolderCount is the number of empty folders of a folders phase.
	FolderCount int64 `yaml:"folders"`
	// Times is how many equal waves.
	Times int `yaml:"times"`
	// Of names the phase whose last wave is repeated.
	Of string `yaml:"of"`

	// Point, Transfers, Then, Offset, Size, Backlog and MaxBytes describe a hold: so many transfers of Size bytes stopped
	// at Point, Offset bytes into the body; after the snapshot all but Then are let go and there is another one. Backlog
	// is the number of files listed beyond those held, After of those that are done before. MaxBytes bounds Transfers x
	// Size.
	Point     fault.Point `yaml:"point"`
	Transfers Count       `yaml:"transfers"`
	Then      []Count     `yaml:"then"`
	Offset    units.Bytes `yaml:"offset"`
	Size      units.Bytes `yaml:"size"`
	Backlog   int64       `yaml:"backlog"`
	After     int64       `yaml:"after"`
	MaxBytes  units.Bytes `yaml:"max_bytes"`

	// Sizes are those of a series of holds, ascending. Beyond FewAbove two are held and then one; beyond Always a size is
	// tried only while the held memory grew with the size before.
	Sizes    []units.Bytes `yaml:"sizes"`
	FewAbove units.Bytes   `yaml:"few_above"`
	Always   units.Bytes   `yaml:"always"`

	// Gate names the gate of a service at which a hold stops work: front, an upstream, or each for every upstream. Sized
	// phases are for work that has a size.
	Gate  string `yaml:"gate"`
	Sized bool   `yaml:"sized"`
	// AtEnd puts the stop before the last byte of the body.
	AtEnd bool `yaml:"at_end"`

	// Fail is the share of the requests of an errors phase that fail at their first attempt, where Point is: at the
	// download's header or the upload's reply.
	Fail float64 `yaml:"fail"`
}

// Group is a number of files of one size.
type Group struct {
	Count int64       `yaml:"count"`
	Size  units.Bytes `yaml:"size"`
}

// DefaultCap is the cap of a trial whose protocol declares none.
const DefaultCap = 10 * time.Minute

// Duration is a time.Duration that reads "1.5s" from YAML.
type Duration = fault.Duration

// Names lists the built-in protocols.
func Names() []string {
	entries, err := fs.ReadDir(builtin, "builtin")
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return out
}

// Load returns a built-in protocol by name, or reads one from a file.
func Load(nameOrFile string) (*Protocol, error) {
	if slices.Contains(Names(), nameOrFile) {
		b, err := builtin.ReadFile(path.Join("builtin", nameOrFile+".yaml"))
		if err != nil {
			return nil, err
		}
		return Parse(b)
	}
	b, err := bounded.ReadFile(nameOrFile, bounded.Config)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: no file %q, and the built-in ones are %s", ErrInvalid, nameOrFile, strings.Join(Names(),
			", "))
	}
	if err != nil {
		return nil, err
	}
	p, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", nameOrFile, err)
	}
	return p, nil
}

// Parse reads a protocol from YAML and checks it. Unknown keys are errors, with line and column.
func Parse(text []byte) (*Protocol, error) {
	p := &Protocol{
		Budget:      Duration(DefaultCap),
		Targets:     record.DefaultTargets(),
		Looks:       defaultLooks,
		WaveTimeout: Duration(2 * time.Minute),
		Settle:      Duration(250 * time.Millisecond),
	}
	if err := bounded.Decode(text, bounded.Config, p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return p, nil
}

// Check says what makes the protocol impossible to carry out, and fills in defaults.
func (p *Protocol) Check() error {
	if p.Name == "" {
		return errors.New("it has no name")
	}
	if len(p.Trials) == 0 {
		return errors.New("it lists no trials")
	}
	for _, k := range p.Trials {
		switch {
		case k != record.Attribution && k != record.Speed && k != record.Passive:
			return fmt.Errorf("unknown kind of trial %q; known: attribution, speed, passive", k)
		case len(p.Of(k)) == 0:
			return fmt.Errorf("it has no phases for its %s trial", k)
		}
	}
	if p.Budget <= 0 || p.WaveTimeout <= 0 || p.Settle <= 0 || p.MemProfileRate < 0 {
		return errors.New("budget, wave_timeout and settle must be above 0, memprofilerate not below")
	}
	if err := p.checkTargets(); err != nil {
		return err
	}
	if err := checkPhases(p.Speed, map[string]bool{}); err != nil {
		return err
	}
	seen := map[string]bool{}
	if err := checkPhases(p.Phases, seen); err != nil {
		return err
	}
	for _, b := range p.More {
		if err := checkPhases(b.Phases, seen); err != nil {
			return fmt.Errorf("more: %w", err)
		}
	}
	return nil
}

// checkTargets puts the contract's targets and the default number of looks where none are given, and refuses impossible
// ones.
func (p *Protocol) checkTargets() error {
	t, d := &p.Targets, record.DefaultTargets()
	for _, v := range []struct {
		target   *float64
		contract float64
	}{{&t.Item, d.Item}, {&t.Count, d.Count}, {&t.Byte, d.Byte}, {&t.Second, d.Second}} {
		if *v.target < 0 {
			return errors.New("targets item, count, byte and second must be above 0")
		}
		*v.target = cmp.Or(*v.target, v.contract)
	}
	p.Looks = cmp.Or(p.Looks, defaultLooks)
	if p.Looks < 1 || p.Looks > mostLooks {
		return fmt.Errorf("looks must be 1 to %d", mostLooks)
	}
	return nil
}

// checkPhases checks a list of phases after those whose names are in seen, and adds its own.
func checkPhases(list []Phase, seen map[string]bool) error {
	for i := range list {
		ph := &list[i]
		if ph.Name == "" {
			ph.Name = ph.Kind
		}
		if seen[ph.Name] {
			return fmt.Errorf("two phases are named %q", ph.Name)
		}
		if err := ph.check(seen); err != nil {
			return fmt.Errorf("phase %q: %w", ph.Name, err)
		}
		seen[ph.Name] = true
	}
	return nil
}

// Of returns the phases of a kind of trial.
func (p *Protocol) Of(k record.TrialKind) []Phase {
	if k == record.Speed {
		return p.Speed
	}
	return p.Phases
}

// check checks a phase; before has the names of the phases ahead of it.
func (ph *Phase) check(before map[string]bool) error {
	if ph.SinkRate != 0 && ph.Kind != Free {
		return errors.New("`sink_rate` is for free runs: what is held moves at no rate")
	}
	if strings.ContainsFunc(ph.Name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) {
		return errors.New("a name has letters, digits, - and _ only: it becomes part of file names")
	}
	switch ph.Kind {
	case Idle, IdleAgain:
		if ph.For <= 0 {
			return errors.New("needs `for`, how long to be idle")
		}
		ph.Snapshots = max(ph.Snapshots, 1)
	case WarmUp, Wave, Connections, Answered:
		ph.Times = max(ph.Times, 1)
		return ph.checkFiles()
	case Errors:
		if ph.Fail <= 0 || ph.Fail > 1 {
			return errors.New("needs `fail`, a share above 0 of the requests, at most 1")
		}
		if ph.Point = cmp.Or(ph.Point, fault.UploadReply); ph.Point != fault.UploadReply && ph.Point != fault.DownloadHeader {
			return fmt.Errorf("cannot fail requests at %q; known: %s, %s", ph.Point, fault.UploadReply, fault.DownloadHeader)
		}
		return ph.checkFiles()
	case Running:
		if ph.Transfers == "" {
			return errors.New("needs `transfers`, how many requests are in flight")
		}
	case Hold:
		return ph.checkHold()
	case Sizes:
		return ph.checkSizes()
	case Repeat:
		if !before[ph.Of] {
			return fmt.Errorf("`of` must name an earlier phase, not %q", ph.Of)
		}
		ph.Times = max(ph.Times, 1)
	case Folders:
		if ph.FolderCount <= 0 {
			return errors.New("needs `folders`, how many")
		}
	case Free:
	default:
		return fmt.Errorf("unknown kind %q; known: %s", ph.Kind, strings.Join(kinds, ", "))
	}
	return nil
}

func (ph *Phase) checkFiles() error {
	if len(ph.Files) == 0 {
		return errors.New("needs `files`, a list of {count, size}")
	}
	for _, g := range ph.Files {
		if g.Count <= 0 || g.Size < 0 {
			return errors.New("a group of files needs a count above 0 and a size")
		}
	}
	return nil
}
