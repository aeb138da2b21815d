package words

import (
	"cmp"
	"fmt"
	"math"

	"github.com/memsoak/memsoak/profiles/record"
)

// Capacity is a capacity in sentences, in the words of the subject's item.
func Capacity(c *record.Capacity) []string {
	out := capacitySentences(c)
	for i, s := range out {
		out[i] = sayCapacity(c.Words, s)
	}
	return out
}

// capacitySentences are a capacity in a copier's words, the most important first: how many workers are safe, or why
// that is not known and which run decides.
func capacitySentences(c *record.Capacity) []string {
	limit, out := Bytes(float64(c.Limit)), []string{}
	if c.Smallest != nil && c.MaxWorkers > 0 {
		out = append(out, smallestText(c))
	}
	if c.Fits != nil && c.MaxWorkers != 0 {
		out = append(out, fitText(c.Fits, c.Limit))
	}
	if c.FitsUnknown != "" {
		out = append(out, fmt.Sprintf("How many files fit in %s is not known: %s", limit, c.FitsUnknown))
	}
	if c.MaxWorkers == 0 {
		return append(out, unknownText(c, limit)...)
	}
	work, binds, limited := "", "", fmt.Sprintf("GOMEMLIMIT=%dMiB", c.GOMEMLIMIT>>20)
	if w := c.Without; w != nil {
		limited += fmt.Sprintf(", without which %s peaked at %s", Count(w.Workers, "worker"), Bytes(float64(w.Bytes)))
	}
	if c.LargestFile > 0 {
		work = fmt.Sprintf(" with files of up to %s", Bytes(float64(c.LargestFile)))
	}
	if c.Binds != "" {
		binds = "; what binds first is " + c.Binds
	}
	switch {
	case c.MaxWorkers < 0 && c.KilledAt == 1:
		out = append(out, fmt.Sprintf("Not even one worker is safe in %s: one was killed in this run", limit))
	case c.MaxWorkers < 0 && (c.Fits != nil || c.FitsUnknown != ""):
		out = append(out, fmt.Sprintf("For %s files not even one worker is safe in %s%s%s", thousands(float64(c.Files)),
			limit, work, binds))
	case c.MaxWorkers < 0:
		out = append(out, fmt.Sprintf("Not even one worker is safe in %s%s%s", limit, work, binds))
	case c.AtLeast:
		out = append(out, fmt.Sprintf("At least %s safe in %s%s with %s; how many more, this run had too few workers to say",
			countIs(c.MaxWorkers, "worker"), limit, work, limited))
	default:
		out = append(out, fmt.Sprintf("Up to %s safe in %s%s with %s%s",
			countIs(c.MaxWorkers, "worker"), limit, work, limited, binds))
	}
	out = append(out, mayFit(c)...)
	for _, e := range c.Extrapolated {
		out = append(out, "Extrapolated: "+e)
	}
	if c.Mended > max(c.MaxWorkers, 0) {
		out = append(out, fmt.Sprintf("With the largest cost mended at least %s would fit",
			Count(c.Mended, "worker")))
	}
	if c.Sizes != nil {
		out = append(out, sizesText(c.Sizes, limit))
	}
	return append(out, c.Settings...)
}

// unknownText says why nothing is known, and which run decides.
func unknownText(c *record.Capacity, limit string) (out []string) {
	what := "How many workers fit in " + limit
	if c.Smallest != nil {
		what = "The smallest limit for " + Count(c.Smallest.Workers, "worker")
	}
	for _, u := range c.Unknown {
		out = append(out, fmt.Sprintf("%s is not known: %s", what, u))
	}
	if c.KilledAt > 0 {
		out = append(out, fmt.Sprintf("Fewer than %d: so many were killed in this run", c.KilledAt))
	}
	if c.Decides != "" {
		out = append(out, decidesPrefix+c.Decides)
	}
	return out
}

// smallestText says which limit is the smallest.
func smallestText(c *record.Capacity) string {
	s, size := c.Smallest, ""
	if c.LargestFile > 0 {
		size = " of up to " + Bytes(float64(c.LargestFile))
	}
	return fmt.Sprintf("The smallest limit that is safe for %s and %s files%s is %dMiB with GOMEMLIMIT=%dMiB: they need "+
		"%s to %s (95 %%)", Count(s.Workers, "worker"), thousands(float64(c.Files)), size, c.Limit>>20, c.GOMEMLIMIT>>20,
		Bytes(float64(s.PI95[0])), Bytes(float64(s.PI95[1])))
}

// sizesText says how large files may be.
func sizesText(s *record.Sizes, limit string) string {
	with, text := "with "+Count(s.Workers, "worker"), ""
	switch {
	case s.Unknown != "":
		return fmt.Sprintf("How large files may be %s is not known: %s", with, s.Unknown)
	case s.Safe < 0:
		return fmt.Sprintf("Files of no size are safe in %s %s", limit, with)
	case !s.Binds:
		text = fmt.Sprintf("The size of files doesn't bind %s, as far as sizes were held: up to %s", with,
			Bytes(float64(s.Safe)))
	default:
		text = fmt.Sprintf("Files of up to %s are safe in %s %s", Bytes(float64(s.Safe)), limit, with)
	}
	if s.Breaks > 0 {
		text += fmt.Sprintf("; %s and more don't fit (95 %%)", Bytes(float64(s.Breaks)))
	}
	if s.Extrapolated != "" {
		text += "; extrapolated from " + s.Extrapolated
	}
	return text
}

// mayFit says how many more than are safe may fit, and which run tells.
func mayFit(c *record.Capacity) []string {
	if c.Perhaps == 0 {
		return nil
	}
	more := fmt.Sprintf("%d to %d", max(c.MaxWorkers, 0)+1, c.Perhaps)
	if c.Perhaps == max(c.MaxWorkers, 0)+1 {
		more = fmt.Sprint(c.Perhaps)
	}
	return []string{more + " may fit: it hangs on the garbage, the copies and the written pages of the fullest moment",
		decidesPrefix + c.Decides}
}

// Cost is a row in a clause: "3.3 KiB per listed file at drive.(*Walker).walk".
func Cost(c record.Cost) string {
	text := Bytes(c.Bytes) + " per " + Item(c.Per)
	if c.Site.Function != "" {
		text += " at " + Short(c.Site.Function)
	}
	return text
}

// fitText says it in a sentence.
func fitText(f *record.Fit, limit int64) string {
	least, verb, with, to := "", "stays", Count(f.Workers, "worker"), ""
	switch {
	case f.AtLeast:
		least = "At least "
	case len(f.Range) > 1:
		to = fmt.Sprintf(", and more than %s don't (95 %%)", Work(f.Range[1], f.Per))
	}
	if f.Per == "backlog-item" {
		verb = "is held while they wait"
	}
	if f.GOMEMLIMIT > 0 {
		with += fmt.Sprintf(" and GOMEMLIMIT=%dMiB", f.GOMEMLIMIT>>20)
	}
	work := Work(f.Most, f.Per)
	if items[f.Per] == "" {
		work = fmt.Sprintf("%s (%s)", Work(f.Files, "file"), work)
	}
	s := fmt.Sprintf("%s%s fit in %s with %s%s: %s %s", least, work, Bytes(float64(limit)), with, to, Cost(f.Cost), verb)
	if f.PerFile > 1.05*f.Cost.Bytes && f.Per != "second" {
		s += fmt.Sprintf(", %s a file with all that grows", Bytes(f.PerFile))
	}
	if f.Tried > 0 && f.Most > f.Tried {
		s += fmt.Sprintf("; extrapolated from %s", Work(f.Tried, f.Per))
	}
	if f.AtLeast {
		s += "; part of it had no pages in this run, and while that stays so, more fit"
	}
	return s
}

// items are the units that files come as, one or none each.
var items = map[string]string{"file": "files", "listed-file": "listed files", "backlog-item": "waiting files",
	"distinct-item": "distinct files", "large-file": "large files", "request": "requests"}

// Work is an amount of work as a person says it: 610,000 files, 12.5 hours, 3.1 GiB.
func Work(n float64, per string) string {
	switch per {
	case "second":
		if n >= 3600 {
			return fmt.Sprintf("%.1f hours", n/3600)
		}
		return fmt.Sprintf("%.0f seconds", n)
	case "byte":
		return Bytes(n) + " copied"
	}
	return thousands(n) + " " + cmp.Or(items[per], per+"s")
}

// thousands is a number with its thousands apart, rounded down to three digits.
func thousands(n float64) string {
	if n >= 1000 {
		step := math.Pow(10, math.Floor(math.Log10(n))-2)
		n = math.Floor(n/step) * step
	}
	text := fmt.Sprintf("%.0f", n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
