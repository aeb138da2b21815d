package report

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/memsoak/memsoak/profiles/blame"
)

// routineGroup is goroutines that wait at the same place.
type routineGroup struct {
	Count int64
	// Own is the subject's function that they are in, or the function they were started with.
	Own, Where string
	// At is the function in which they wait.
	At string
}

// maxGroups is how many groups of goroutines the page shows.
const maxGroups = 8

// routines groups the goroutines of a profile by the place that a reader knows: the subject's own frame and the leaf.
func routines(path, module string) ([]routineGroup, error) {
	p, err := readProfile(path)
	if err != nil {
		return nil, err
	}
	blamer := blame.NewBlamer(module)
	groups := map[routineGroup]int64{}
	for _, s := range p.Sample {
		frames := blame.Stack(s)
		if len(frames) == 0 || len(s.Value) == 0 {
			continue
		}
		i := slices.IndexFunc(frames, blamer.User)
		if i < 0 {
			i = max(0, len(frames)-2) // below runtime.goexit
		}
		g := routineGroup{Own: blame.CleanName(frames[i].Function), Where: fmt.Sprintf("%s:%d",
			filepath.Base(frames[i].File), frames[i].Line),
			At: blame.CleanName(waitsAt(frames).Function)}
		groups[g] += s.Value[0]
	}
	out := make([]routineGroup, 0, len(groups))
	for g, n := range groups {
		g.Count = n
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b routineGroup) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Own, b.Own), cmp.Compare(a.At, b.At))
	})
	return out[:min(len(out), maxGroups)], nil
}

// waitsAt is the frame that says what a goroutine waits for: the leaf without the scheduler's own frames.
func waitsAt(frames []blame.Frame) blame.Frame {
	for _, f := range frames {
		switch f.Function {
		case "runtime.gopark", "runtime.goparkunlock", "runtime.netpollblock", "runtime.semacquire1", "runtime.chanrecv",
			"runtime.chansend", "runtime.selectgo":
			continue
		}
		return f
	}
	return frames[0]
}
