package profiles

import "github.com/memsoak/memsoak/profiles/record"

// hypotheses says of each fault by nature how it stands.
func (s *Series) hypotheses(o Options) []record.Hypothesis {
	return nil
}
