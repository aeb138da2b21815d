package memtest

import (
	"regexp"
	"runtime"
	"slices"
)

// ancestry follows goroutines to the line that started them: a stack alone ends at its own goroutine. What started a
// goroutine is on the stacks of its allocations, such as the goroutine's own closure.
type ancestry struct {
	check   *check
	deep    map[int]stack
	creator map[string]Line // of the goroutines that are alive, by their first function
	waiting map[place]string
	stacks  []stack       // by number of the site
	users   map[Line]Line // what through has found
}

// place is a line without the function, whose name depends on inlining.
type place struct {
	file   string
	number int
}

func (l Line) place() place { return place{l.File, l.Number} }

func (k *check) newAncestry(g *graph) *ancestry {
	a := &ancestry{check: k, deep: g.deep, creator: map[string]Line{}, waiting: map[place]string{}, users: map[Line]Line{}}
	for _, r := range goroutines() {
		if len(r.frames) == 0 || r.creator.Function == "" {
			continue
		}
		a.creator[r.frames[len(r.frames)-1].Function] = r.creator
		at := r.frames[0]
		if i := slices.IndexFunc(r.frames, func(l Line) bool {
			return k.origins.of(l.Function,
				l.File) != standard
		}); i >= 0 {
			at = r.frames[i]
		}
		a.waiting[r.creator.place()] = at.String() + " [" + r.state + "]"
	}
	return a
}

// frames are a site's frames, with those that only the heap dump has.
func (a *ancestry) frames(site int) stack {
	for n := len(a.stacks); n <= site; n++ {
		a.stacks = append(a.stacks, append(framesOf(a.check.ledger.keys[n][:]), a.deep[n]...))
	}
	return a.stacks[site]
}

// user is the line of the module under test that led to a node, through goroutines.
func (a *ancestry) user(n *node) Line {
	if n.site < 0 {
		return a.through(n.kind.creator)
	}
	frames := a.frames(n.site)
	if l := a.through(a.creatorOf(frames)); l.Function != "" {
		return l
	}
	// A worker runs what others handed it: the closure is named after the function that made it.
	for _, f := range frames {
		name := closure.ReplaceAllString(f.Function, "")
		if name == f.Function || a.check.origins.of(f.Function, f.File) != library {
			continue
		}
		if l := a.through(Line{Function: name}); l.Function != "" {
			return l
		}
	}
	return Line{}
}

// creatorOf is what started the goroutine of a stack. Where none of its kind is alive, the first function's name tells:
// the closure of a go statement is named after the function around it.
func (a *ancestry) creatorOf(frames stack) Line {
	for _, f := range slices.Backward(frames) {
		if f.Function == "runtime.goexit" {
			continue
		}
		if c, ok := a.creator[f.Function]; ok {
			return c
		}
		return Line{Function: closure.ReplaceAllString(f.Function, "")}
	}
	return Line{}
}

// closure matches what the compiler adds to the name of the function around a closure.
var closure = regexp.MustCompile(`(\.(func|gowrap|deferwrap)?\d+|-range\d+|-fm)+$`)

// through finds the user's line on stacks that pass the line given, the go statement itself if it can be. It goes up
// one generation of goroutines at a time.
func (a *ancestry) through(started Line) Line {
	if l, ok := a.users[started]; ok {
		return l
	}
	seen := map[Line]bool{started: true}
	found := Line{}
	for todo := []Line{started}; len(todo) > 0 && found.Function == ""; {
		var parents []Line
		for _, l := range todo {
			at, from := a.one(l)
			if at.Function != "" {
				found = at
				break
			}
			for _, p := range from {
				if !seen[p] {
					seen[p] = true
					parents = append(parents, p)
				}
			}
		}
		todo = parents
	}
	a.users[started] = found
	return found
}

// one looks for the user's line on stacks that pass the line given, and returns what started their goroutines where
// there is none.
func (a *ancestry) one(started Line) (at Line, parents []Line) {
	if started.Function == "" {
		return Line{}, nil
	}
	if a.check.origins.of(started.Function, started.File) == user && started.Number > 0 {
		return started, nil
	}
	for n := range a.check.ledger.keys {
		frames := a.frames(n)
		i := slices.IndexFunc(frames, func(f runtime.Frame) bool {
			return f.Function == started.Function || lineOf(f).place() == started.place()
		})
		if i < 0 {
			continue
		}
		l := a.check.origins.read(frames[i:], a.check.ignores).user
		switch {
		case l.Function == "":
			parents = append(parents, a.creatorOf(frames))
		case lineOf(frames[i]).place() == started.place():
			return l, nil
		default:
			at = l
		}
	}
	return at, parents
}
