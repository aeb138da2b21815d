package study

import (
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

// Hypothesis is one of the four that the history offers for its last version, or none of them.
type Hypothesis string

// The hypotheses.
const (
	DriveLeak Hypothesis = "leak in the Drive client"
	HugeFiles Hypothesis = "extremely large files"
	Discovery Hypothesis = "metadata accumulation during discovery"
	Responses Hypothesis = "HTTP response buffering"
	NoneOf    Hypothesis = "none of the four"
)

// Hypotheses lists the four.
func Hypotheses() []Hypothesis { return []Hypothesis{DriveLeak, HugeFiles, Discovery, Responses} }

// HypothesisOf says which hypothesis a finding supports, by its class, its unit and the packages on its stack.
func HypothesisOf(f record.Finding) Hypothesis {
	// A leak elsewhere is a leak, but not the Drive client's.
	if f.Class.Headline() == record.HeadLeak && onStack(f, "google.golang.org/api/", "net/http") {
		return DriveLeak
	}
	switch f.Class {
	case record.Metadata:
		return Discovery
	case record.BufferFile:
		return HugeFiles
	case record.BufferPool:
		return Responses
	case record.BufferWorker, record.Cache:
		if siteIn(f, "net/http.", "net/http/internal/", "golang.org/x/net/http2.", "bufio.") {
			return Responses
		}
	}
	return NoneOf
}

// onStack says whether the finding's site or stack is in one of the packages.
func onStack(f record.Finding, packages ...string) bool {
	return siteIn(f, packages...) || slices.ContainsFunc(f.Stack, func(frame string) bool {
		return slices.ContainsFunc(packages, func(p string) bool { return strings.HasPrefix(frame, p) })
	})
}

// siteIn says whether the function that is blamed is in one of the packages: none of the subject's own code is on
// the stack then.
func siteIn(f record.Finding, packages ...string) bool {
	return slices.ContainsFunc(packages, func(p string) bool { return strings.HasPrefix(f.Site.Function, p) })
}
