package accuracy

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/soak/internal/accuracy/truth"
)

// Trial is one run of one specimen.
type Trial struct {
	Truth     *truth.Truth
	Condition Condition
	Seed      int64
	Workers   int
}

// Settings are what the trial's subject is given.
func (t Trial) Settings() map[string]string {
	s := map[string]string{"specimen": t.Truth.Name, "workers": fmt.Sprint(t.Workers)}
	maps.Copy(s, t.Truth.Set)
	return s
}

// Dir is the trial's directory below the bench's, slash-separated.
func (t Trial) Dir() string {
	return fmt.Sprintf("%s/%s/seed-%d-w%d", t.Condition.Name, t.Truth.Name, t.Seed, t.Workers)
}

// UnseenWorkers are worker counts with which no threshold was tuned: tuning uses 4, 8 and 16.
var UnseenWorkers = []int{3, 5, 6, 7, 9, 11, 13}

// Plan lists a trial of each specimen in the condition for each of so many seeds, ordered by seed, so that an early
// stop has seen every specimen. The worker count follows from name and seed: the same plan each time, and for one
// specimen another count with each seed.
func Plan(all []*truth.Truth, c Condition, seeds int) []Trial {
	var out []Trial
	for seed := range seeds {
		for _, t := range all {
			h := fnv.New32a()
			_, _ = h.Write([]byte(t.Name))
			workers := UnseenWorkers[(int(h.Sum32()%97)+seed)%len(UnseenWorkers)]
			out = append(out, Trial{Truth: t, Condition: c, Seed: int64(1000 + seed), Workers: cmp.Or(c.Workers, workers)})
		}
	}
	return out
}

// Select keeps the specimens whose name matches one of the patterns of path.Match; no pattern keeps all. A pattern
// that matches nothing is an error.
func Select(all []*truth.Truth, patterns []string) ([]*truth.Truth, error) {
	if len(patterns) == 0 {
		return all, nil
	}
	used := map[string]bool{}
	var out []*truth.Truth
	for _, t := range all {
		for _, p := range patterns {
			ok, err := path.Match(p, t.Name)
			if err != nil {
				return nil, fmt.Errorf("pattern %q: %w", p, err)
			}
			if ok {
				used[p] = true
				if !slices.Contains(out, t) {
					out = append(out, t)
				}
			}
		}
	}
	for _, p := range patterns {
		if !used[p] {
			return nil, fmt.Errorf("no specimen matches %q", p)
		}
	}
	return out, nil
}

// throughHelper is a specimen whose blame is not the first frame of the user's from the leaf, which is a helper's.
const throughHelper = "leak-helper"

// Quick is the stratified part of the specimens that CI runs on a quiet machine: of each class the first by name, one
// that is blamed through a helper, a look-alike of each of those, a combination and the plain copier. Those of the
// held-out sets are left to the full run.
func Quick(all []*truth.Truth) []*truth.Truth {
	byClass := map[string][]*truth.Truth{}
	for _, t := range all {
		switch {
		case t.Apart():
		case t.Combination():
			byClass["+"] = append(byClass["+"], t)
		case !t.Healthy():
			byClass[string(t.Class)] = append(byClass[string(t.Class)], t)
		}
	}
	chosen := map[string]bool{throughHelper: true}
	for _, ts := range byClass {
		chosen[ts[0].Name] = true
	}
	var out []*truth.Truth
	for _, t := range all {
		if chosen[t.Name] || !t.Apart() && t.Healthy() && (t.Like == "" || chosen[t.Like]) {
			out = append(out, t)
		}
	}
	return out
}

// Runnable splits off the specimens that this machine or build cannot run, with the reason.
func Runnable(all []*truth.Truth) (can []*truth.Truth, skipped []string) {
	for _, t := range all {
		if why := missing(t); why != "" {
			skipped = append(skipped, t.Name+": "+why)
			continue
		}
		can = append(can, t)
	}
	return can, skipped
}

func missing(t *truth.Truth) string {
	for _, need := range t.Needs {
		switch need {
		case "linux":
			if runtime.GOOS != "linux" {
				return "needs Linux"
			}
		case "cgo":
			if out, err := exec.Command("go", "env", "CGO_ENABLED").Output(); err != nil ||
				strings.TrimSpace(string(out)) != "1" {
				return "needs cgo"
			}
		default:
			return fmt.Sprintf("needs %q, which nobody knows", need)
		}
	}
	return ""
}
