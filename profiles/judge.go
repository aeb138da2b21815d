package profiles

import (
	"path/filepath"
	"sync"

	"github.com/memsoak/memsoak/profiles/record"
)

// Judge judges the trials of a run as they end, and then the run without reading those again: reading the profiles of a
// trial is nearly all of the work. Its verdicts are those of DiagnoseTrial and DiagnoseRun. The zero value is ready; it
// is safe for concurrent use.
type Judge struct {
	Options Options

	mu     sync.Mutex
	judged map[string]*trialResult // by directory
}

// maxJudged is how many trials a Judge remembers, at some ten kilobytes each. Of a longer run the others are read
// again, so that its memory doesn't grow with the run.
const maxJudged = 200

// Trial is DiagnoseTrial. The verdict must not be changed.
func (j *Judge) Trial(dir string) (*record.Verdict, error) {
	r := judgeTrial(dir, j.Options)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.judged == nil {
		j.judged = map[string]*trialResult{}
	}
	dir = filepath.Clean(dir)
	delete(j.judged, dir) // a trial that was made again
	if r.err == nil && len(j.judged) < maxJudged {
		j.judged[dir] = r
	}
	return r.verdict, r.err
}

// Run is DiagnoseRun, for which trials that went through Trial are as they were then.
func (j *Judge) Run(dir string) (*record.RunVerdict, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	rv, _, err := diagnoseRun(dir, j.Options, j.judged)
	return rv, err
}
