package gate

import (
	"context"
	"os/exec"
	"strconv"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

// Locate makes the culprits' files paths of the git repository in the working directory, so that annotations land on
// them. A culprit outside the repository, in a library, is replaced by the nearest frame of its stack that is inside;
// one that can't be found stays as it is.
func (r *Report) Locate(ctx context.Context) {
	out, err := exec.CommandContext(ctx, "git", "ls-files", "-z", "-co", "--exclude-standard", "--full-name",
		":/").Output()
	if err != nil {
		return // no repository: nothing to annotate
	}
	files := newTree(strings.Split(strings.TrimRight(string(out), "\x00"), "\x00"))
	for i := range r.Results {
		if r.Results[i].Culprit != nil {
			f := files.locate(*r.Results[i].Culprit)
			r.Results[i].Culprit = &f
		}
	}
}

// tree finds the files of a repository by the end of their path.
type tree struct {
	exact  map[string]bool
	byBase map[string][]string
}

func newTree(files []string) tree {
	t := tree{exact: map[string]bool{}, byBase: map[string][]string{}}
	for _, f := range files {
		t.exact[f] = true
		base := f[strings.LastIndexByte(f, '/')+1:]
		t.byBase[base] = append(t.byBase[base], f)
	}
	return t
}

func (t tree) locate(f record.Finding) record.Finding {
	if path, ok := t.find(f.Site); ok {
		f.Site.File = path
		return f
	}
	for _, frame := range f.Stack {
		s, ok := parseFrame(frame)
		if !ok {
			continue
		}
		if path, ok := t.find(s); ok {
			s.File = path
			f.Site = s
			return f
		}
	}
	return f
}

// find returns the one file of the repository that the site can mean. The files of a main package are recorded with
// folders of the machine that built it before them, so there shorter ends are tried as well.
func (t tree) find(s record.Site) (string, bool) {
	main := strings.HasPrefix(s.Function, "main.")
	for end := s.File; end != ""; {
		if t.exact[end] {
			return end, true
		}
		var found []string
		for _, f := range t.byBase[end[strings.LastIndexByte(end, '/')+1:]] {
			if strings.HasSuffix(f, "/"+end) {
				found = append(found, f)
			}
		}
		if len(found) > 0 {
			return found[0], len(found) == 1
		}
		if !main {
			return "", false
		}
		_, end, _ = strings.Cut(end, "/")
	}
	return "", false
}

// parseFrame reads "function file:line", as findings have their stacks.
func parseFrame(text string) (record.Site, bool) {
	i, j := strings.LastIndexByte(text, ' '), strings.LastIndexByte(text, ':')
	if i < 0 || j < i {
		return record.Site{}, false
	}
	line, err := strconv.Atoi(text[j+1:])
	return record.Site{Function: text[:i], File: text[i+1 : j], Line: line}, err == nil
}
