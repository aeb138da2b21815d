package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/internal/version"
	"github.com/memsoak/memsoak/profiles/record"
)

// cause is what failed checks have in common: the culprit, or for a check without one the check itself.
type cause struct {
	rule    string
	site    *record.Site
	results []Result
}

// causes groups the failures, in their order: a leak that breaks a slope, a peak and a headline is one cause.
func (r *Report) causes() []*cause {
	var out []*cause
	by := map[string]*cause{}
	for _, x := range r.Failures() {
		key := ruleID(x)
		if s := x.Site(); s != nil {
			key = fmt.Sprintf("%s %s %s:%d", key, s.Function, s.File, s.Line)
		}
		if by[key] == nil {
			by[key] = &cause{rule: ruleID(x), site: x.Site()}
			out = append(out, by[key])
		}
		by[key].results = append(by[key].results, x)
	}
	return out
}

// text is the cause in one line: what it is, once, and the checks that it fails.
func (c *cause) text() string {
	var checks []string
	for _, x := range c.results {
		checks = append(checks, x.Cell.String()+": "+x.line())
	}
	text := strings.Join(checks, "; ")
	if f := c.results[0].Culprit; f != nil && f.Summary != "" {
		return f.Summary + " Fails " + text
	}
	return text
}

// fingerprint identifies a cause over runs and commits: lines move, the rule and the function stay.
func (c *cause) fingerprint() string {
	what := c.rule
	if c.site != nil {
		what += "\x00" + c.site.Function
	} else {
		what += "\x00" + c.results[0].Check
	}
	sum := sha256.Sum256([]byte(what))
	return hex.EncodeToString(sum[:16])
}

// The parts of a SARIF log that are written.
// Schema: https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		URI     string      `json:"informationUri"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID    string    `json:"id"`
		Short sarifText `json:"shortDescription"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations,omitempty"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
)

// WriteSARIF writes the causes of failures as SARIF 2.1.0, each at its culprit's file and line.
func (r *Report) WriteSARIF(w io.Writer) error {
	driver := sarifDriver{Name: "memsoak", URI: "https://github.com/memsoak/memsoak", Version: version.Read().String(),
		Rules: []sarifRule{}}
	results := []sarifResult{}
	for _, c := range r.causes() {
		rule := slices.IndexFunc(driver.Rules, func(s sarifRule) bool { return s.ID == c.rule })
		if rule < 0 {
			rule = len(driver.Rules)
			driver.Rules = append(driver.Rules, sarifRule{ID: c.rule, Short: sarifText{ruleText(c.rule)}})
		}
		res := sarifResult{RuleID: c.rule, RuleIndex: rule, Level: "error", Message: sarifText{c.text()},
			Fingerprints: map[string]string{"memsoak/v1": c.fingerprint()}}
		if s := c.site; s != nil {
			at := url.URL{Path: filepath.ToSlash(s.File)}
			res.Locations = []sarifLocation{{sarifPhysical{sarifArtifact{at.String()}, sarifRegion{max(1, s.Line)}}}}
		}
		results = append(results, res)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{Schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0", Runs: []sarifRun{{Tool: sarifTool{driver}, Results: results}}})
}

// ruleID is a result's stable name: the class of its culprit, else the quantity, else the check's short name.
func ruleID(x Result) string {
	if x.Culprit != nil && x.Culprit.Class != "" {
		return string(x.Culprit.Class)
	}
	for _, i := range implied {
		if i.check == x.Check {
			return i.name
		}
	}
	if q := x.reads(); q != "" {
		return q
	}
	return strings.ReplaceAll(x.Check, " ", "-")
}

// ruleText says what a rule means.
func ruleText(id string) string {
	if q, ok := quantities[id]; ok {
		return "memsoak gate: " + q.help
	}
	return "memsoak gate: " + id
}
