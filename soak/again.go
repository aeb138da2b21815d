package soak

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// PlanAgain is the plan of a recorded run, from what its run.json keeps: the subject, the protocol and the settings as
// they were, whatever the files they came from say today. change edits the configuration before it is checked; nil
// leaves it. The errors wrap ErrConfig.
func PlanAgain(run *record.Run, change func(*Config)) (*Plan, error) {
	return planAgain(run, nil, func(_ *subject.Spec, c *Config) error {
		if change != nil {
			change(c)
		}
		return nil
	})
}

// planAgain is PlanAgain with another protocol, nil for the recorded one.
func planAgain(run *record.Run, other *protocol.Protocol, change func(*subject.Spec, *Config) error) (*Plan, error) {
	b, err := json.Marshal(run.Config)
	if err != nil {
		return nil, fmt.Errorf("%w: run %s: %w", ErrConfig, run.ID, err)
	}
	// The names are those of configMap.
	var kept struct {
		Subject  *subject.Spec      `json:"subject"`
		File     string             `json:"subject_file"`
		Protocol *protocol.Protocol `json:"protocol"`
		Ref      string             `json:"subject_ref"`
		Axes     Axes               `json:"axes"`
		Center   Cell               `json:"center"`
		Cells    []Cell             `json:"cells"`
		Only     string             `json:"only"`
		Set      Cell               `json:"set"`
		Node     int64              `json:"node"`
		Duration Duration           `json:"duration"`
		Attached bool               `json:"attached"`
	}
	if err := json.Unmarshal(b, &kept); err != nil {
		return nil, fmt.Errorf("%w: run %s: its configuration can't be read: %w", ErrConfig, run.ID, err)
	}
	if kept.Subject == nil || kept.Protocol == nil {
		return nil, fmt.Errorf("%w: run %s of protocol %q can't be made again: it keeps no subject file", ErrConfig, run.ID,
			run.Protocol)
	}
	if kept.Attached {
		return nil, fmt.Errorf("%w: run %s was attached to a process that memsoak can't start again; run its command "+
			"after --",
			ErrConfig, run.ID)
	}
	if err := giveSecrets(kept.Subject, kept.File); err != nil {
		return nil, fmt.Errorf("%w: run %s: %w", ErrConfig, run.ID, err)
	}
	c := Config{
		Subject: cmp.Or(kept.File, run.Subject), SubjectRef: kept.Ref, Corpus: cmp.Or(run.Corpus, DefaultConfig().Corpus),
		Axes:   kept.Axes,
		Design: Design(run.Design), Center: kept.Center,
		Cells: kept.Cells, Only: kept.Only, Set: kept.Set, Limit: units.Bytes(run.Limit), Node: units.Bytes(kept.Node),
		Repeats: run.Repeats, Seed: run.Seed, Protocol: run.Protocol, Duration: kept.Duration,
	}
	if err := change(kept.Subject, &c); err != nil {
		return nil, fmt.Errorf("%w: run %s: %w", ErrConfig, run.ID, err)
	}
	return newPlan(kept.Subject, cmp.Or(other, kept.Protocol), c, Shard{})
}

// giveSecrets fills in the values of variables and headers, which run.json doesn't have, from the subject's file.
func giveSecrets(s *subject.Spec, file string) error {
	if !s.KeepsSecrets() {
		return nil
	}
	from, err := LoadSubject(file)
	if err == nil {
		err = s.TakeSecrets(from)
	}
	if err != nil {
		return fmt.Errorf("values of variables are not recorded, and %q doesn't give them: %w", file, err)
	}
	return nil
}
