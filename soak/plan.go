package soak

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/setting"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/gate"
	"github.com/memsoak/memsoak/soak/internal/fakes"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/subject"
	"github.com/memsoak/memsoak/soak/internal/trial"
	"github.com/memsoak/memsoak/soak/subjects"
)

// Plan is what a configuration comes to: checked, resolved and put in order. It has no side effects.
type Plan struct {
	Config   Config
	Subject  *subject.Spec
	Protocol *protocol.Protocol
	Matrix   Matrix
	Cells    []Cell
	Trials   []Step
	Shard    Shard
	Warnings []string
	// Remote are the hosts outside this machine that the subject's upstreams may name.
	Remote []string
}

// Step is one trial to run.
type Step struct {
	Cell     Cell
	Settings map[string]string
	Kind     record.TrialKind
	Index    int // within the cell, from 1
}

// Dir is the trial's directory below the run's, slash-separated.
func (s Step) Dir() string { return fmt.Sprintf("cells/%s/trial-%d", s.Cell.Dir(), s.Index) }

// Shard is a part of a matrix: number I of N, from 1. The zero value is all of it.
type Shard struct{ I, N int }

// jobIndex is the variable that tells a pod of an Indexed Job its number, from 0.
const jobIndex = "JOB_COMPLETION_INDEX"

// ParseShard reads "2/4", or "job/4" in a pod of a Kubernetes Indexed Job, which knows its own number.
func ParseShard(s string) (Shard, error) {
	if s == "" {
		return Shard{}, nil
	}
	a, b, ok := strings.Cut(s, "/")
	if a == "job" {
		n, err := strconv.Atoi(os.Getenv(jobIndex))
		if err != nil {
			return Shard{}, fmt.Errorf("%w: shard %q: %s is not set: this is no pod of an Indexed Job", ErrConfig, s, jobIndex)
		}
		a = strconv.Itoa(n + 1)
	}
	i, err1 := strconv.Atoi(a)
	n, err2 := strconv.Atoi(b)
	if !ok || err1 != nil || err2 != nil || i < 1 || i > n {
		return Shard{}, fmt.Errorf("%w: shard %q: write i/n with 1 <= i <= n, such as 2/4", ErrConfig, s)
	}
	return Shard{i, n}, nil
}

func (s Shard) String() string {
	if s.N == 0 {
		return "1/1"
	}
	return fmt.Sprintf("%d/%d", s.I, s.N)
}

// maxTrials bounds the trials of a run: at a minute each they take two months.
const maxTrials = 100_000

// NewPlan checks the configuration and resolves it. Its errors wrap ErrConfig.
func NewPlan(c Config, shard Shard) (*Plan, error) {
	s, err := LoadSubject(c.Subject)
	if err != nil {
		return nil, err
	}
	return NewPlanFor(s, c, shard)
}

// LoadSubject returns a subject that comes with soak, by name, or reads a subject file.
func LoadSubject(nameOrFile string) (*subject.Spec, error) {
	text, ok := subjects.Get(nameOrFile)
	if ok {
		return subject.Parse(text)
	}
	if _, err := os.Stat(nameOrFile); err != nil && !strings.ContainsAny(nameOrFile, "/.") {
		return nil, fmt.Errorf("%w: no subject %q; known: %s, or a file", ErrConfig, nameOrFile,
			strings.Join(subjects.Names(), ", "))
	}
	s, err := subject.Load(nameOrFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return s, nil
}

// NewPlanFor is NewPlan for a subject that is no file.
func NewPlanFor(s *subject.Spec, c Config, shard Shard) (*Plan, error) {
	return newPlan(s, nil, c, shard)
}

// newPlan makes a plan; a nil protocol is loaded as the configuration says.
func newPlan(s *subject.Spec, proto *protocol.Protocol, c Config, shard Shard) (*Plan, error) {
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	s, err := buildable(s, c)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	p := &Plan{Config: c, Subject: s, Shard: shard, Protocol: proto}
	if err := p.loadProtocol(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	for name, v := range map[string]int64{
		"repeats": int64(c.Repeats), "budget": int64(c.Budget), "duration": int64(c.Duration), "limit": int64(c.Limit),
		"node": int64(c.Node),
	} {
		if err := setting.Int(name, v); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	if _, err := gate.CompileAll(c.Thresholds); err != nil {
		return nil, fmt.Errorf("%w: thresholds: %w", ErrConfig, err)
	}
	if _, err := loadCorpus(c.Corpus); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	p.Matrix = Matrix{Axes: c.Axes, Design: c.Design, Center: c.Center, Explicit: c.Cells}
	cells, err := p.Matrix.Cells()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := p.filter(cells); err != nil {
		return nil, err
	}
	if n := len(p.Cells) * c.Repeats * len(p.Protocol.Trials); n > maxTrials {
		return nil, fmt.Errorf("%w: %d trials; want at most %d in a run", ErrConfig, n, maxTrials)
	}
	p.order()
	return p, nil
}

// HasAxis says whether a setting varies over the cells.
func (p *Plan) HasAxis(name string) bool {
	return slices.ContainsFunc(p.Cells, func(c Cell) bool { _, ok := c[name]; return ok })
}

// serviceProtocols are the protocols of services, by the names of those of copiers that they stand for.
var serviceProtocols = map[string]string{DefaultConfig().Protocol: "service", "quick": "service-quick"}

// loadProtocol loads the protocol and applies what the configuration overrides.
func (p *Plan) loadProtocol() error {
	if p.Protocol != nil {
		return p.Protocol.Check()
	}
	name := p.Config.Protocol
	if ofService := serviceProtocols[name]; p.Subject.Load != nil && ofService != "" {
		name = ofService
	}
	proto, err := protocol.Load(name)
	if err == nil && p.Subject.Load != nil {
		if proto, err = proto.For(p.Subject.Service()); err != nil {
			err = fmt.Errorf("%w; %s is a service: protocols default, quick, passive, or a file of its own", err, p.Subject.Name)
		}
	}
	if err == nil && p.Subject.Wave.Exit && slices.ContainsFunc(proto.Trials,
		func(k record.TrialKind) bool { return k != record.Passive }) {
		p.Warnings = append(p.Warnings,
			fmt.Sprintf("subject %s is a one-shot command: protocol passive is used instead of %s", p.Subject.Name, name))
		proto, err = protocol.Load("passive")
	}
	if err != nil {
		return err
	}
	if len(p.Config.Trials) > 0 {
		proto.Trials = p.Config.Trials
	}
	if p.Config.Budget > 0 {
		proto.Budget = protocol.Duration(p.Config.Budget)
	}
	p.Protocol = proto
	return proto.Check()
}

// filter resolves the settings of the cells and keeps those that Only asks for.
func (p *Plan) filter(cells []Cell) error {
	only, err := gate.CompileFilter(p.Config.Only)
	if err != nil {
		return fmt.Errorf("%w: cells: %w", ErrConfig, err)
	}
	for _, c := range cells {
		settings, err := p.settings(c)
		if err != nil {
			return err
		}
		ok, err := only.Match(settings)
		if err != nil {
			return fmt.Errorf("%w: cells: %w", ErrConfig, err)
		}
		if ok {
			p.Cells = append(p.Cells, c)
		}
	}
	if len(p.Cells) == 0 {
		return fmt.Errorf("%w: no cell of the matrix fits %q", ErrConfig, p.Config.Only)
	}
	return nil
}

// settings are a cell's axes over the fixed settings over the defaults, all checked.
func (p *Plan) settings(c Cell) (map[string]string, error) {
	out := map[string]string{"transport": fakes.HTTP}
	uses := p.Subject.SettingNames()
	for k, v := range commonSettings {
		if slices.Contains(uses, k) {
			out[k] = v
		}
	}
	maps.Copy(out, p.Subject.Settings)
	fixed := maps.Clone(p.Config.Set)
	if p.Config.SubjectRef != "" {
		if fixed == nil {
			fixed = Cell{}
		}
		fixed["subject_ref"] = p.Config.SubjectRef
	}
	for _, m := range []map[string]string{fixed, c} {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if err := checkSetting(p.Subject, k, m[k]); err != nil {
				return nil, err
			}
			out[k] = m[k]
		}
	}
	for _, k := range uses {
		if _, ok := out[k]; !ok {
			return nil, fmt.Errorf("%w: subject %s needs the setting %q; give it with --set %s=VALUE", ErrConfig, p.Subject.Name,
				k, k)
		}
	}
	return out, nil
}

// order puts the trials in order: repeats interleaved, so that a drift of the machine hits all cells alike, and the
// cells of each repeat shuffled by the seed, but for the first, which follows the matrix.
func (p *Plan) order() {
	mine := map[string]bool{}
	for i, c := range p.Cells {
		if p.Shard.N == 0 || i%p.Shard.N == p.Shard.I-1 {
			mine[c.String()] = true
		}
	}
	for r := range p.Config.Repeats {
		cells := slices.Clone(p.Cells)
		if r > 0 {
			rng := rand.New(rand.NewPCG(uint64(p.Config.Seed), uint64(r)))
			rng.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
		}
		for _, c := range cells {
			if !mine[c.String()] {
				continue
			}
			settings, err := p.settings(c)
			if err != nil {
				panic(err) // filter has checked every cell
			}
			for k, kind := range p.Protocol.Trials {
				p.Trials = append(p.Trials, Step{Cell: c, Settings: settings, Kind: kind, Index: r*len(p.Protocol.Trials) + k + 1})
			}
		}
	}
}

// startupTime is about what starting and ending the processes of a trial takes.
const startupTime = 700 * time.Millisecond

// Estimate is about how long the trial takes, at most the protocol's budget.
func (p *Plan) Estimate(s Step) time.Duration {
	m, err := strconv.Atoi(s.Settings[p.Subject.Concurrency])
	if err != nil || m < 1 {
		m = 8
	}
	return startupTime + p.Protocol.Estimate(s.Kind, m) + time.Duration(p.Config.Duration)
}

// Total is the estimate of the whole plan.
func (p *Plan) Total() time.Duration {
	var sum time.Duration
	for _, s := range p.Trials {
		sum += p.Estimate(s)
	}
	return sum
}

// limit is a step's memory limit.
func (p *Plan) limit(s Step) int64 {
	if v, ok := s.Settings["limit"]; ok {
		n, err := units.ParseBytes(v)
		if err == nil {
			return n
		}
	}
	return int64(p.Config.Limit)
}

// loadCorpus checks a preset's name or reads a spec file.
func loadCorpus(nameOrFile string) (trial.Corpus, error) {
	if slices.Contains(corpus.Presets(), nameOrFile) {
		return trial.Corpus{Name: nameOrFile}, nil
	}
	b, err := bounded.ReadFile(nameOrFile, bounded.Corpus)
	if err != nil {
		return trial.Corpus{}, fmt.Errorf("corpus %q is no preset (%s) and no file: %w", nameOrFile,
			strings.Join(corpus.Presets(), ", "), err)
	}
	if _, err := corpus.ParseSpec(b); err != nil {
		return trial.Corpus{}, fmt.Errorf("corpus %s: %w", nameOrFile, err)
	}
	return trial.Corpus{Name: filepath.Base(nameOrFile), Spec: string(b)}, nil
}
