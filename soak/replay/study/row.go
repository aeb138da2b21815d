package study

import (
	"maps"
	"strconv"

	"github.com/memsoak/memsoak/soak/replay/history"
)

// The groups of rows.
const (
	Versions = "version"  // of the history
	WhatIf   = "what-if"  // the remedies that the history names, each run
	Migrator = "migrator" // the project's own
)

// Row is one subject with its settings, to be run on each corpus.
type Row struct {
	Name  string `json:"name"`
	Group string `json:"group"`
	// Subject is the name of a subject that comes with soak.
	Subject string            `json:"subject"`
	Set     map[string]string `json:"set"`
	Limit   int64             `json:"limit"` // of the subject's cgroup, bytes
	Node    int64             `json:"node"`  // of the cgroup around it
	// Scaled says that the limit is divided by the scale, as the corpora are. The memory of the migrator and of rclone
	// doesn't scale, so they have rows of both kinds.
	Scaled  bool `json:"scaled"`
	Workers int  `json:"workers"`
	// Happened is what the history says became of it; empty for what it doesn't speak of.
	Happened string `json:"happened,omitempty"`
	// Expected is Happened as one of history's outcomes.
	Expected string `json:"expected,omitempty"`
	// Corpora are those that it runs on, nil for all, and Quick those of a quick replay.
	Corpora []string `json:"corpora,omitempty"`
	Quick   []string `json:"quick,omitempty"`
	// Backlog is how many files wait in the largest of the states with a backlog, 0 for as many as show what the subject
	// keeps of each.
	Backlog int64 `json:"backlog,omitempty"`
	// Needs names a program that the row can't do without.
	Needs string `json:"needs,omitempty"`
}

// The corpora of rows that don't run on all: the one that decided about the history's service, and that of huge files.
var one, two = []string{Decisive}, []string{Decisive, huge}

// gathers says that the row's service has all that it lists in memory.
func (r Row) gathers() bool { return r.Set["discovery"] == history.DiscoveryMemory }

// keepsBuffers says that the subject doesn't give back a buffer that it has had: rclone keeps up to 64 MiB of them.
func (r Row) keepsBuffers() bool { return r.Subject == "rclone" }

// backlog is how many files wait in the largest of the states with a backlog. rclone keeps a fifth of what the
// history's service does of each.
func (r Row) backlog() int64 {
	if r.Backlog > 0 {
		return r.Backlog
	}
	if r.Subject == "rclone" {
		return 2400
	}
	return 900
}

// corpora are the names of those that the row runs on; nil: all.
func (r Row) corpora(quick bool) []string {
	if quick && r.Quick != nil {
		return r.Quick
	}
	return r.Corpora
}

// Rows returns the rows of the matrix at a scale.
func Rows(scale int) []Row {
	var rows []Row
	for _, p := range history.Presets() {
		r := versionRow(p, scale)
		if p.Name != first && p.Name != last { // the two that lie furthest apart run on all corpora
			r.Quick = two
		}
		rows = append(rows, r)
	}
	rows = append(rows, remedies(scale)...)
	node, pod := int64(history.Node.By(scale)), int64((2 * history.GiB).By(scale))
	migrator := func(name string, workers int, limit int64, scaled bool) Row {
		r := Row{Name: name, Group: Migrator, Subject: "migrator", Limit: limit, Scaled: scaled, Workers: workers,
			Corpora: two, Quick: one, Set: map[string]string{"workers": strconv.Itoa(workers)}}
		if scaled {
			r.Node = node
		}
		return r
	}
	return append(rows,
		migrator("migrator, 1 worker, 2Gi scaled", 1, pod, true),
		migrator("migrator, 50 workers, 2Gi scaled", 50, pod, true),
		migrator("migrator, 1 worker, 64 MiB", 1, 64<<20, false),
		migrator("migrator, 50 workers, 64 MiB", 50, 64<<20, false),
		migrator("migrator, 50 workers, 2Gi", 50, 2<<30, false))
}

// versionRow is a version of the history as a row.
func versionRow(p history.Preset, scale int) Row {
	set := map[string]string{"preset": p.Name, "scale": strconv.Itoa(scale),
		"s3_min_part": strconv.FormatInt(int64((5 * history.MiB).By(scale)), 10)}
	for _, s := range p.Settings(scale) {
		set[s.Name] = s.Value
	}
	return Row{Name: p.Name, Group: Versions, Subject: "replay", Set: set, Limit: int64(p.Limit.By(scale)),
		Node:   int64(history.Node.By(scale)),
		Scaled: true, Workers: p.Workers, Happened: p.Happened, Expected: p.Outcome}
}

// first is the version with the most workers, and last the one with a single worker, which the remedies were proposed
// for.
const (
	first = "v2.3.6"
	last  = "v2.4.1-single-worker"
)

// biggerNode is how many times as large the remedy "bigger node" makes node, limit and GOMEMLIMIT.
const biggerNode = 2

// remedies are what the history proposed, each as a change of its last version.
func remedies(scale int) []Row {
	p, err := history.Find(last)
	if err != nil {
		panic(err) // it is a constant of this repository
	}
	with := func(name string, change func(r *Row)) Row {
		r := versionRow(p, scale)
		r.Name, r.Group, r.Happened, r.Expected = name, WhatIf, "", ""
		r.Set, r.Corpora, r.Quick = maps.Clone(r.Set), two, one
		change(&r)
		return r
	}
	bigger := p
	bigger.Limit, bigger.GOMEMLIMIT = biggerNode*p.Limit, biggerNode*p.GOMEMLIMIT
	rclone := func(name string, limit int64, scaled bool) Row {
		return Row{Name: name, Group: WhatIf, Subject: "rclone", Limit: limit, Scaled: scaled, Workers: 4, Corpora: two,
			Quick: one, Needs: "rclone",
			Set: map[string]string{"workers": "4"}}
	}
	return []Row{
		with("discovery spooled to disk", func(r *Row) { r.Set["discovery"] = history.DiscoverySpool }),
		with("bigger node: twice of all", func(r *Row) {
			big := versionRow(bigger, scale)
			r.Set, r.Limit, r.Node = big.Set, big.Limit, biggerNode*big.Node
		}),
		with("external queue: Redis in the same pod", func(r *Row) {
			r.Subject, r.Needs = "replay-redis", "redis-server"
			r.Set["discovery"] = history.DiscoveryBroker
		}),
		with("as the real service: one PutObject, no retry", func(r *Row) {
			r.Set["upload"], r.Set["attempts"], r.Quick = history.UploadPut, "1", []string{huge}
		}),
		with("resumable chunks", func(r *Row) { r.Set["upload"], r.Quick = history.UploadChunks, two }),
		rclone("rclone, 4 transfers, 2Gi scaled", int64((2 * history.GiB).By(scale)), true),
		rclone("rclone, 4 transfers, 2Gi", 2<<30, false),
	}
}
