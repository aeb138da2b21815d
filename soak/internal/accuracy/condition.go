package accuracy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/memsoak/memsoak/soak/internal/accuracy/truth"
)

// Condition is what a trial runs under: the machine, the subject's limits, the ways of the services around it.
type Condition struct {
	Name string
	// Set are settings over the specimen's own.
	Set map[string]string
	// Workers replaces the plan's number, 0 for none.
	Workers int
	// Protocol replaces the bench's; Corpus is the spec of what a passive trial copies.
	Protocol, Corpus string
	// Latency delays every request, and PerSecond bounds the uploads of all workers together, 0 for neither.
	Latency   time.Duration
	PerSecond int
	// Beside is how many busy loops run beside the trial.
	Beside int
	// Parallel is how many trials run at the same time where that disturbs none of them; 0 is the bench's own number.
	Parallel int
	// Passive says that nothing can be held: culprits are counted that are named first, whatever the headline.
	Passive bool
	// Fast conditions have a part in the quick run.
	Fast bool
}

// Quiet is the condition of a machine that does nothing else.
const Quiet = "quiet"

// Conditions are the axis of the bench. In all but the first a sample of the specimens runs, faults and look-alikes
// half each.
var Conditions = []Condition{
	{Name: Quiet, Fast: true},
	{Name: "cpu-tenth", Set: map[string]string{"cpu_limit": "0.1"}, Parallel: 3},
	{Name: "eight-busy-loops", Beside: 8, Parallel: 1},
	{Name: "latency-200ms", Latency: 200 * time.Millisecond, Parallel: 8},
	{Name: "20-files-a-second", PerSecond: 20, Parallel: 8},
	{Name: "coarse-sampling", Set: map[string]string{"memprofilerate": "524288"}, Fast: true},
	{Name: "killed-early", Set: map[string]string{"limit": "40MiB"}, Fast: true},
	{Name: "one-worker", Workers: 1, Fast: true},
	{Name: "passive", Set: map[string]string{"limit": "96MiB"}, Protocol: "passive", Corpus: passiveCorpus, Passive: true,
		Fast: true},
}

// passiveCorpus is copied where nothing can be steered: small files, and large ones among them. The memory it leaves
// behind has to show beside the base of a process, or to kill it.
const passiveCorpus = "files: 20000\nfolders: 200\n" +
	"size: {classes: [{share: 995, fixed: 4096}, {share: 5, fixed: 4194304}]}\n"

// SelectConditions are the conditions by their names, comma-separated; "all" is all.
func SelectConditions(names string) ([]Condition, error) {
	if names == "all" {
		return Conditions, nil
	}
	var out []Condition
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(Conditions, func(c Condition) bool { return c.Name == name })
		if i < 0 {
			var known []string
			for _, c := range Conditions {
				known = append(known, c.Name)
			}
			return nil, fmt.Errorf("no condition %q; known: all, %s", name, strings.Join(known, ", "))
		}
		out = append(out, Conditions[i])
	}
	return out, nil
}

// settings are those of a trial under the condition. Its plans of faults are files below dir.
func (c Condition) settings(t Trial, dir string) (map[string]string, error) {
	s := t.Settings()
	maps.Copy(s, c.Set)
	for party, rule := range c.plans(t.Workers) {
		path, err := filepath.Abs(filepath.Join(dir, fmt.Sprintf("%s-w%d-%s.yaml", c.Name, t.Workers, party)))
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(rule), 0o644); err != nil {
			return nil, err
		}
		s[party+"_faults"] = path
	}
	return s, nil
}

// plans are the plans of faults by party. The workers of a subject share its uploads: each takes its part of a second.
func (c Condition) plans(workers int) map[string]string {
	out := map[string]string{}
	if c.Latency > 0 {
		rule := fmt.Sprintf("rules: [{latency: %s}]\n", c.Latency)
		out["drive"], out["s3"] = rule, rule
	}
	if c.PerSecond > 0 {
		each := time.Second * time.Duration(workers) / time.Duration(c.PerSecond)
		out["s3"] = fmt.Sprintf("rules: [{ops: [put, complete-upload], latency: %s}]\n", each)
	}
	return out
}

// HardPairs is how many faults run in each condition but the first, with a look-alike each.
const HardPairs = 30

// Sample are the specimens that run in a condition beside the quiet one: faults that have a look-alike, and the
// look-alikes. Each condition has its own, the same in each run. Held-out ones and those that need settings of their
// own are left out.
func Sample(all []*truth.Truth, c Condition, pairs int) []*truth.Truth {
	byName := map[string]*truth.Truth{}
	for _, t := range all {
		byName[t.Name] = t
	}
	rank := func(t *truth.Truth) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(c.Name + " " + t.Name))
		return h.Sum64()
	}
	var looks []*truth.Truth
	for _, t := range all {
		if t.Like == "" || t.Apart() || len(t.Set) > 0 {
			continue
		}
		if f := byName[t.Like]; f == nil || f.Apart() || len(f.Set) > 0 {
			continue
		}
		looks = append(looks, t)
	}
	slices.SortFunc(looks, func(a, b *truth.Truth) int { return cmp.Compare(rank(a), rank(b)) })
	var out []*truth.Truth
	seen := map[string]bool{}
	for _, l := range looks {
		if len(out) >= 2*pairs {
			break
		}
		if !seen[l.Like] {
			seen[l.Like] = true
			out = append(out, byName[l.Like], l)
		}
	}
	return out
}

// quickPairs is how many faults of each fast condition the quick run has, with a look-alike each.
const quickPairs = 1

// QuickPlan is the quick run: the stratified part of the specimens on the quiet machine, and for each other fast
// condition a fault and its look-alike.
func QuickPlan(all, can []*truth.Truth) []Trial {
	out := Plan(can, Conditions[0], 1)
	for _, c := range Conditions[1:] {
		if c.Fast {
			out = append(out, Plan(Sample(all, c, quickPairs), c, 1)...)
		}
	}
	return out
}

// ThisBuild names the build of this program, and so that of the rules in it: two builds of the same source are one.
func ThisBuild() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(self)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}
