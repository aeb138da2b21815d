package main

import (
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/soak"
)

// asks is a question about a subject.
type asks string

const (
	workers       asks = "workers" // how many fit, each with a file of the question's size
	files         asks = "files"   // how many fit
	smallestLimit asks = "limit"   // soak limit: the smallest that survives
)

// question is a subject and the question about it below each of its limits (bytes).
type question struct {
	name    string
	asks    asks
	subject string // a subject's name, or its file
	program string // of the subject, built here; empty: one from elsewhere
	set     soak.Cell
	size    int64 // of a file, bytes
	// protocol of the run that is asked; for files one that has many where they leave little each.
	protocol string
	limits   []int64
}

const mib = 1 << 20

//go:embed questions.yaml
var questionsText []byte

// allQuestions are those of questions.yaml.
func allQuestions() ([]question, error) {
	var groups []struct {
		Asks                      asks
		Subject, Program, Setting string
		GOMEMLIMIT, Protocol      string
		Size                      units.Bytes
		Limits                    map[string][]int64
	}
	if err := yaml.Unmarshal(questionsText, &groups); err != nil {
		return nil, fmt.Errorf("questions.yaml: %w", err)
	}
	var out []question
	for _, g := range groups {
		for _, name := range slices.Sorted(maps.Keys(g.Limits)) {
			q := question{name: name, asks: g.Asks, subject: g.Subject, program: g.Program, size: int64(g.Size),
				protocol: cmp.Or(g.Protocol, "quick")}
			q.set = soak.Cell{}
			if g.Setting != "" {
				q.set[g.Setting] = name
			}
			if g.GOMEMLIMIT != "" {
				q.set["gomemlimit"], q.name = g.GOMEMLIMIT, fmt.Sprintf("%s, GOMEMLIMIT %s", name, g.GOMEMLIMIT)
			}
			if g.Setting == "preset" {
				q.name = "replay " + q.name
			}
			if g.Asks != workers {
				q.name += fmt.Sprintf(" (%s)", g.Asks)
			}
			for _, limit := range g.Limits[name] {
				q.limits = append(q.limits, limit*mib)
			}
			out = append(out, q)
		}
	}
	return out, nil
}
