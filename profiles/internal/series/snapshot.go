package series

import "github.com/memsoak/memsoak/profiles/record"

// Setting is a setting of the trial or of its cell, or the other value where it has none.
func (s *Series) Setting(name, otherwise string) string {
	for _, m := range []map[string]string{s.Trial.Settings, s.Trial.Cell} {
		if v := m[name]; v != "" {
			return v
		}
	}
	return otherwise
}

// Cov returns the snapshot's covariates, never nil.
func (n *Snapshot) Cov() record.Covariates {
	if n.Covariates == nil {
		return record.Covariates{}
	}
	return *n.Covariates
}

// AtRest says that no work is under way: before the first wave, at a floor, idle again.
func (n *Snapshot) AtRest() bool { return n.State == record.StateFloor || n.State == record.StateIdle }

// PhaseKind is the kind of a phase by its name, empty for none.
func (s *Series) PhaseKind(name string) string {
	for _, p := range s.Trial.Phases {
		if p.Name == name {
			return p.Kind
		}
	}
	return ""
}
