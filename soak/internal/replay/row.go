package replay

import (
	"maps"
	"strconv"

	"memsoak/soak/replay/history"
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
	// Passive subjects end with their work and can't be steered: their trial is only sampled.
	Passive bool `json:"passive,omitempty"`
	// Needs names a program that the row can't do without.
	Needs string `json:"needs,omitempty"`
}

// Rows returns the rows of the matrix at a scale.
func Rows(scale int) []Row {
	var rows []Row
	for _, p := range history.Presets() {
		rows = append(rows, versionRow(p, scale))
	}
	rows = append(rows, remedies(scale)...)
	node, two := int64(history.Node.By(scale)), int64((2 * history.GiB).By(scale))
	migrator := func(name string, workers int, limit int64, scaled bool) Row {
		r := Row{Name: name, Group: Migrator, Subject: "migrator", Limit: limit, Scaled: scaled, Workers: workers,
			Set: map[string]string{"workers": strconv.Itoa(workers)}}
		if scaled {
			r.Node = node
		}
		return r
	}
	return append(rows,
		migrator("migrator, 1 worker, 2Gi scaled", 1, two, true),
		migrator("migrator, 50 workers, 2Gi scaled", 50, two, true),
		migrator("migrator, 1 worker, 64 MiB", 1, 64<<20, false),
		migrator("migrator, 50 workers, 64 MiB", 50, 64<<20, false),
		migrator("migrator, 50 workers, 2Gi", 50, 2<<30, false))
}

// versionRow is a version of the history as a row.
func versionRow(p history.Preset, scale int) Row {
	set := map[string]string{"preset": p.Name, "scale": strconv.Itoa(scale), "s3_min_part": strconv.FormatInt(int64((5 * history.MiB).By(scale)), 10)}
	for _, s := range p.Settings(scale) {
		set[s.Name] = s.Value
	}
	return Row{Name: p.Name, Group: Versions, Subject: "replay", Set: set, Limit: int64(p.Limit.By(scale)), Node: int64(history.Node.By(scale)),
		Scaled: true, Workers: p.Workers, Happened: p.Happened, Expected: p.Outcome}
}

// last is the version that the remedies were proposed for.
const last = "v2.4.1-single-worker"

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
		r.Set = maps.Clone(r.Set)
		change(&r)
		return r
	}
	bigger := p
	bigger.Limit, bigger.GOMEMLIMIT = biggerNode*p.Limit, biggerNode*p.GOMEMLIMIT
	rclone := func(name string, limit int64, scaled bool) Row {
		return Row{Name: name, Group: WhatIf, Subject: "rclone", Limit: limit, Scaled: scaled, Workers: 4, Needs: "rclone", Set: map[string]string{"workers": "4"}}
	}
	return []Row{
		with("discovery spooled to disk", func(r *Row) { r.Set["discovery"] = history.DiscoverySpool }),
		with("bigger node: twice of all", func(r *Row) {
			big := versionRow(bigger, scale)
			r.Set, r.Limit, r.Node = big.Set, big.Limit, biggerNode*big.Node
		}),
		with("external queue: migrator on Redis", func(r *Row) {
			r.Subject, r.Passive, r.Needs = "migrator-upload", true, "redis-server"
			r.Set = map[string]string{"workers": "1", "discovery_workers": "2", "pool": "4", "gomemlimit": r.Set["gomemlimit"], "gogc": r.Set["gogc"]}
		}),
		with("resumable chunks", func(r *Row) { r.Set["upload"] = history.UploadChunks }),
		rclone("rclone, 4 transfers, 2Gi scaled", int64((2 * history.GiB).By(scale)), true),
		rclone("rclone, 4 transfers, 2Gi", 2<<30, false),
	}
}
