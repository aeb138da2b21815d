package report

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
)

// rerun is the command line that runs the cell again, with every setting that the run was given. A process that was
// recorded can only be recorded again.
func rerun(r *record.Run, c *Cell) string {
	args := []string{"soak", "run"}
	add := func(flag, value string) {
		if value != "" {
			args = append(args, flag, shellQuote(Printable(value)))
		}
	}
	config := func(key string) string { s, _ := r.Config[key].(string); return s }
	if recorded(r) {
		args[1] = "record"
		add("--pprof", cmp.Or(config("pprof"), "http://HOST:PORT/debug/pprof"))
		add("--metrics", config("metrics"))
		return strings.Join(args, " ")
	}
	add("--subject", whole(cmp.Or(config("subject_file"), r.Subject)))
	add("--subject-ref", config("subject_ref"))
	add("--corpus", whole(r.Corpus))
	for _, name := range axisNames(r, c.Cell) {
		add("--axis", name+"="+c.Cell[name])
	}
	if set, ok := r.Config["set"].(map[string]any); ok {
		for _, name := range slices.Sorted(maps.Keys(set)) {
			add("--set", fmt.Sprintf("%s=%v", name, set[name]))
		}
	}
	if r.Limit > 0 {
		add("--limit", units.Bytes(r.Limit).String())
	}
	if n, ok := r.Config["node"].(float64); ok && n > 0 {
		add("--node", units.Bytes(n).String())
	}
	if p, ok := r.Config["protocol"].(map[string]any); ok {
		if kinds, _ := p["Trials"].([]any); len(kinds) == 1 {
			add("--trials", fmt.Sprint(kinds[0]))
		}
	}
	if d := config("duration"); d != "0s" {
		add("--duration", d)
	}
	if r.Protocol != "default" {
		add("--protocol", whole(cmp.Or(config("protocol_file"), r.Protocol)))
	}
	if r.Seed > 1 {
		add("--seed", fmt.Sprint(r.Seed))
	}
	return strings.Join(args, " ")
}

// whole is the full path of a file that is here; a name, or a file of another machine, stays as it is.
func whole(name string) string {
	if st, err := os.Stat(name); err != nil || !st.Mode().IsRegular() {
		return name
	}
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}

// recorded reports whether a run was recorded from a process that memsoak had not started: it has no corpus, no matrix
// and no limit of its own.
func recorded(r *record.Run) bool { return r.Protocol == "record" }
