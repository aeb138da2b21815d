package fakedrive_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode"
)

// This file is a second reading of Drive's search language, on the JSON that files.get shows. It shares no code with
// the server: the two are compared by TestDoorsAgree.

// doc is a file as files.get shows it with all fields.
type doc map[string]any

func (d doc) text(name string) string { s, _ := d[name].(string); return s }
func (d doc) flag(name string) bool   { b, _ := d[name].(bool); return b }

func (d doc) time(name string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, d.text(name))
	return t, err == nil
}

// list returns a text of each object in a list.
func (d doc) list(name, of string, keep func(map[string]any) bool) (out []string) {
	all, _ := d[name].([]any)
	for _, x := range all {
		switch x := x.(type) {
		case string:
			out = append(out, x)
		case map[string]any:
			if s, ok := x[of].(string); ok && (keep == nil || keep(x)) {
				out = append(out, s)
			}
		}
	}
	return out
}

// question is a generated query: its text and what it means.
type question struct {
	text  string
	means func(doc) bool
}

// asker generates questions about a set of files.
type asker struct {
	rnd     *rand.Rand
	docs    []doc
	folders []string
	me      string
	people  []string
	root    string
	roles   map[string]doc // by file, what permissions.list shows of them
}

func (a *asker) pick(list []string) string { return list[a.rnd.IntN(len(list))] }
func (a *asker) any() doc                  { return a.docs[a.rnd.IntN(len(a.docs))] }

func quoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// ask makes a question of at most the given depth.
func (a *asker) ask(depth int) question {
	if depth == 0 || a.rnd.IntN(3) == 0 {
		return a.term()
	}
	switch a.rnd.IntN(4) {
	case 0:
		q := a.ask(depth - 1)
		return question{"not (" + q.text + ")", func(d doc) bool { return !q.means(d) }}
	case 1, 2:
		p, q := a.ask(depth-1), a.ask(depth-1)
		return question{"(" + p.text + ") and (" + q.text + ")", func(d doc) bool { return p.means(d) && q.means(d) }}
	}
	p, q := a.ask(depth-1), a.ask(depth-1)
	return question{"(" + p.text + ") or (" + q.text + ")", func(d doc) bool { return p.means(d) || q.means(d) }}
}

func (a *asker) term() question {
	kinds := []func() question{a.flagTerm, a.timeTerm, a.nameTerm, a.parentTerm, a.personTerm, a.mimeTerm, a.otherTerm}
	return kinds[a.rnd.IntN(len(kinds))]()
}

func (a *asker) flagTerm() question {
	name := a.pick([]string{"trashed", "starred", "sharedWithMe"})
	want, op := a.rnd.IntN(2) == 0, a.pick([]string{"=", "!="})
	return question{fmt.Sprintf("%s %s %v", name, op, want), func(d doc) bool {
		have := d.flag(name)
		if name == "sharedWithMe" {
			_, have = d.time("sharedWithMeTime")
		}
		return (have == want) == (op == "=")
	}}
}

func (a *asker) timeTerm() question {
	name := a.pick([]string{"modifiedTime", "createdTime", "viewedByMeTime"})
	at, ok := a.any().time(name)
	if !ok {
		at = time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	op := a.pick([]string{"=", "!=", "<", "<=", ">", ">="})
	return question{fmt.Sprintf("%s %s '%s'", name, op, at.Format(time.RFC3339Nano)), func(d doc) bool {
		t, ok := d.time(name)
		c := t.Compare(at)
		return ok && map[string]bool{"=": c == 0, "!=": c != 0, "<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0}[op]
	}}
}

func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.In(r, unicode.L, unicode.Nd) })
}

func (a *asker) nameTerm() question {
	name := a.any().text("name")
	switch op := a.pick([]string{"=", "!=", "contains"}); op {
	case "contains":
		w := words(name)
		if len(w) == 0 {
			return a.flagTerm()
		}
		part := []rune(w[a.rnd.IntN(len(w))])
		start := string(part[:1+a.rnd.IntN(len(part))])
		return question{"name contains " + quoted(start), func(d doc) bool {
			return slices.ContainsFunc(words(d.text("name")), func(h string) bool { return strings.HasPrefix(h, start) })
		}}
	default:
		return question{"name " + op + " " + quoted(name), func(d doc) bool {
			return strings.EqualFold(d.text("name"),
				name) == (op == "=")
		}}
	}
}

func (a *asker) parentTerm() question {
	id := a.pick(a.folders)
	text := id
	if id == a.root && a.rnd.IntN(2) == 0 {
		text = "root"
	}
	return question{quoted(text) + " in parents", func(d doc) bool {
		return slices.Contains(d.list("parents", "", nil), id)
	}}
}

var rolesFor = map[string][]string{
	"owners":  {"owner"},
	"writers": {"owner", "organizer", "fileOrganizer", "writer"},
	"readers": {"owner", "organizer", "fileOrganizer", "writer", "commenter", "reader"},
}

func (a *asker) personTerm() question {
	field := a.pick([]string{"owners", "writers", "readers"})
	who := a.pick(append([]string{"me"}, a.people...))
	email := who
	if who == "me" {
		email = a.me
	}
	return question{quoted(who) + " in " + field, func(d doc) bool {
		roles := a.roles[d.text("id")].list("permissions", "emailAddress", func(p map[string]any) bool {
			return slices.Contains(rolesFor[field], fmt.Sprint(p["role"]))
		})
		owners := d.list("owners", "emailAddress", nil)
		switch caps, _ := d["capabilities"].(map[string]any); {
		case slices.Contains(roles, email), slices.Contains(owners, email):
			return true
		case email != a.me:
			return false // the account doesn't see it, so it can't search for it
		case field == "readers":
			return true // or files.get would not show the file
		default:
			return field == "writers" && caps["canEdit"] == true
		}
	}}
}

func (a *asker) mimeTerm() question {
	mime := a.any().text("mimeType")
	switch op := a.pick([]string{"=", "!=", "contains"}); op {
	case "contains":
		start := mime[:1+a.rnd.IntN(len(mime))]
		return question{"mimeType contains " + quoted(start), func(d doc) bool {
			return strings.HasPrefix(d.text("mimeType"), start)
		}}
	default:
		return question{"mimeType " + op + " " + quoted(mime),
			func(d doc) bool { return (d.text("mimeType") == mime) == (op == "=") }}
	}
}

func (a *asker) otherTerm() question {
	switch d := a.any(); a.rnd.IntN(3) {
	case 0:
		target := "no-such-id"
		if m, ok := d["shortcutDetails"].(map[string]any); ok {
			target = fmt.Sprint(m["targetId"])
		}
		return question{"shortcutDetails.targetId = " + quoted(target), func(d doc) bool {
			m, _ := d["shortcutDetails"].(map[string]any)
			return m != nil && m["targetId"] == target
		}}
	case 1:
		return question{"properties has { key='k' and value='v' }", func(d doc) bool {
			m, _ := d["properties"].(map[string]any)
			return m["k"] == "v"
		}}
	}
	w := words(a.any().text("name"))
	if len(w) == 0 {
		return a.flagTerm()
	}
	word := w[a.rnd.IntN(len(w))]
	return question{"fullText contains " + quoted(word), func(d doc) bool {
		return slices.Contains(words(d.text("name")+" "+d.text("description")), word)
	}}
}
