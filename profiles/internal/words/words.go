package words

import (
	"regexp"
	"strings"

	numbers "github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
)

// Count is "1 worker", "3 workers".
func Count[N int | int64](n N, one string) string { return numbers.Count(n, one) }

// countIs is "1 worker is", "3 workers are".
func countIs[N int | int64](n N, one string) string { return numbers.CountIs(n, one) }

// word is how a copier's word reads for subjects of another kind.
type word struct {
	from *regexp.Regexp
	to   string
}

// requestWords say of a service what the diagnosis says of a copier: an item is a request. The order counts: phrases
// come before their parts. A path such as file.go:12 or pkg/file is no word.
var requestWords = []word{
	{whole(`transfers? of (\d[\d.]* [KMGT]?i?B) held at the upload's reply`),
		"requests of $1 held at an upstream's reply"},
	{whole(`held at the upload's reply`), "held at an upstream's reply"},
	{whole(`held at the download's header`), "held before an upstream"},
	{whole(`files waiting`), "queued requests"},
	{whole(`waiting files?`), "queued requests"},
	{whole(`distinct files`), "different keys"},
	{whole(`per worker`), "per request in flight"},
	{whole(`listed files?`), "accepted request"},
	{whole(`backlog item`), "queued request"},
	{whole(`different files`), "different keys"},
	{whole(`distinct items`), "different keys"},
	{whole(`distinct item`), "key"},
	{whole(`bytes copied`), "bytes passed"},
	{whole(`requests? between`), "requests to upstreams between"},
	{whole(`holds files in memory`), "holds bodies in memory"},
	{whole(`of the files in flight`), "of the bodies in flight"},
	{whole(`transfers`), "requests"},
	{whole(`transfer`), "request"},
	{whole(`files`), "requests"},
	{whole(`file`), "request"},
	{whole(`Files`), "Requests"},
}

// whole matches a phrase that is no part of a path.
func whole(phrase string) *regexp.Regexp { return regexp.MustCompile(`\b` + phrase + `\b`) }

// pathWord finds what looks like a path or a name with dots or hyphens, which no word is replaced in.
var pathWord = regexp.MustCompile(`[^\s()]*[\w*)](?:\.go:\d+|/[\w.]+|\.[\w(*]+|-[a-z]\w*)[^\s()]*`)

// say returns a text in the words of the item.
func say(item, text string) string {
	if item != record.ItemRequest {
		return text
	}
	out, at := "", 0
	for _, m := range pathWord.FindAllStringIndex(text, -1) {
		out += replaceWords(text[at:m[0]]) + text[m[0]:m[1]]
		at = m[1]
	}
	return out + replaceWords(text[at:])
}

func replaceWords(text string) string {
	for _, w := range requestWords {
		text = w.from.ReplaceAllString(text, w.to)
	}
	return text
}

// Speak puts all sentences of a verdict into the words of the trial's item. Nothing is decided by them.
func Speak(item string, v *record.Verdict) {
	if item != record.ItemRequest {
		return
	}
	for i := range v.Findings {
		f := &v.Findings[i]
		f.Summary = say(item, f.Summary)
		sayAll(item, f.Evidence)
	}
	for i := range v.Hypotheses {
		v.Hypotheses[i].Needs = say(item, v.Hypotheses[i].Needs)
	}
	sayAll(item, v.Warnings)
}

// workerWords are for a service without a setting of its workers: the count there is requests in flight.
var workerWords = []word{
	{whole(`one worker`), "one request in flight"},
	{whole(`workers`), "requests in flight"},
	{whole(`worker`), "request in flight"},
}

// sayCapacity returns a sentence of a capacity in the subject's words. A command stays as it has to be typed.
func sayCapacity(w record.Words, text string) string {
	if command, ok := strings.CutPrefix(text, decidesPrefix); ok {
		if w.InFlight {
			command = strings.ReplaceAll(command, "--axis workers=", "--axis concurrency=")
		}
		return decidesPrefix + command
	}
	if text = say(w.Item, text); w.InFlight {
		for _, r := range workerWords {
			text = r.from.ReplaceAllString(text, r.to)
		}
	}
	return text
}

// SpeakCapacity puts what a capacity assumes, warns of and binds first into the subject's words.
func SpeakCapacity(c *record.Capacity) {
	for _, texts := range [][]string{c.Assumes, c.Warnings, c.Settings, c.Unknown, c.Extrapolated} {
		for i := range texts {
			texts[i] = sayCapacity(c.Words, texts[i])
		}
	}
	c.Binds, c.FitsUnknown = sayCapacity(c.Words, c.Binds), sayCapacity(c.Words, c.FitsUnknown)
	c.Decides = strings.TrimPrefix(sayCapacity(c.Words, decidesPrefix+c.Decides), decidesPrefix)
}

// sayAll puts texts into the words of the item, in place.
func sayAll(item string, texts []string) {
	for i := range texts {
		texts[i] = say(item, texts[i])
	}
}
