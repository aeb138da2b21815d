package profiles

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// noPath is the warning of a verdict that names a site only.
const noPath = "the site is where the memory was allocated; who holds it is not known, since no reference path from " +
	"a root was recorded"

// addHolder adds to a verdict's top finding who holds its objects, from the trial's holders.json where there is one, or
// a warning that says why that is not known.
func addHolder(dir string, v *record.Verdict) {
	w := holder(dir, v)
	if w != "" {
		v.Warnings = append(v.Warnings, w)
	}
	if w != "" || len(v.Findings) > 0 && v.Findings[0].HeldBy != nil {
		v.Warnings = slices.DeleteFunc(v.Warnings, func(s string) bool { return s == noPath })
	}
}

// holder does the work of addHolder and returns the warning; empty when there is nothing to warn of.
func holder(dir string, v *record.Verdict) string {
	h, err := record.ReadHolders(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ""
	case err != nil:
		return err.Error()
	case h.WhyNot != "":
		return "who holds it: " + h.WhyNot
	}
	if len(v.Findings) == 0 {
		return ""
	}
	f := &v.Findings[0]
	site := heldSite(h, f)
	switch {
	case site == nil && f.Class == record.GoroutineLeak, f.Site.Function == "":
		return "" // goroutines are roots themselves; what has no site has no objects
	case site == nil:
		return fmt.Sprintf("who holds it: nothing that %s allocated was live at the end of the trial", f.Site.Function)
	case site.Status == record.HeldUnknown:
		return fmt.Sprintf("who holds it: not determined for %s: %s", f.Site.Function, rootsText(site.Roots))
	}
	f.HeldBy = slices.Clone(site.Path)
	slices.Reverse(f.HeldBy)
	f.HeldShare, f.HeldStatus = site.Share, site.Status
	f.Evidence = append(f.Evidence, holderText(site))
	return ""
}

// heldSite is the site of a finding: at its line, else in its function, else one whose stack goes through its line.
func heldSite(h *record.Holders, f *record.Finding) *record.HeldSite {
	line := fmt.Sprintf("%s %s:%d", f.Site.Function, f.Site.File, f.Site.Line)
	for _, fits := range []func(*record.HeldSite) bool{
		func(s *record.HeldSite) bool { return s.Site == f.Site },
		func(s *record.HeldSite) bool { return s.Site.Function == f.Site.Function && s.Site.File == f.Site.File },
		func(s *record.HeldSite) bool { return slices.Contains(s.Stack, line) },
	} {
		for i := range h.Sites { // the largest first
			if fits(&h.Sites[i]) {
				return &h.Sites[i]
			}
		}
	}
	return nil
}

// holderText says in one line how sure it is who holds a site's objects.
func holderText(s *record.HeldSite) string {
	if s.Status == record.HeldByEach {
		return fmt.Sprintf("at the end of the trial each of %d goroutines, of %s, had %d objects of %s of its own",
			s.Goroutines, s.Path[0], s.Each, words.Bytes(float64(s.ObjectSize)))
	}
	text := fmt.Sprintf("at the end of the trial %.0f %% of %s (%s objects, %d of them sampled) would be garbage without",
		100*s.Share, words.Bytes(float64(s.Bytes)), words.Bytes(float64(s.ObjectSize)), s.Samples)
	if s.Status == record.HeldByShared {
		return text + " one object, which several roots reach: " + rootsText(s.Roots)
	}
	return text + " " + s.Path[0]
}

func rootsText(roots []record.HeldShare) string {
	var parts []string
	for _, r := range roots {
		if r.Share > 0 {
			parts = append(parts, fmt.Sprintf("%s %.0f %%", r.Root, 100*r.Share))
		} else {
			parts = append(parts, r.Root)
		}
	}
	return strings.Join(parts, ", ")
}
