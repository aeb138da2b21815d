package view

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/driver"
	"github.com/google/pprof/profile"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/memsoak/memsoak/profiles/capture"
)

// pprofUI makes pprof's web interface for profiles and keeps the last ones used. It is safe for concurrent use.
type pprofUI struct {
	mu    sync.Mutex // pprof's driver keeps its flags in globals
	cache *lru.Cache[string, map[string]http.Handler]
}

func newPprofUI() *pprofUI {
	cache, err := lru.New[string, map[string]http.Handler](12)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &pprofUI{cache: cache}
}

// withheld are the pages of pprof that would write settings to the user's home or run tools on what a profile names.
var withheld = []string{"/saveconfig", "/deleteconfig", "/disasm"}

// handlers are the pages of the interface by path, for a snapshot or, with a base, for the difference to it.
func (u *pprofUI) handlers(s, base *snapshot) (map[string]http.Handler, error) {
	id, err := identity(s, base)
	if err != nil {
		return nil, err
	}
	if h, ok := u.cache.Get(id); ok {
		return h, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	flags := &pprofFlags{FlagSet: flag.NewFlagSet("pprof", flag.ContinueOnError)}
	flags.SetOutput(io.Discard)
	flags.args = []string{"-http=127.0.0.1:0", "-no_browser", "-symbolize=none", "profile"}
	profiles := fetcher{"profile": s}
	if base != nil {
		profiles["base"] = base
		flags.args = slices.Insert(flags.args, 0, "-diff_base=base")
	}
	var pages map[string]http.Handler
	err = driver.PProf(&driver.Options{
		Flagset: flags, Fetch: profiles, UI: silent{}, Obj: noObjects{},
		HTTPServer: func(a *driver.HTTPServerArgs) error {
			pages = a.Handlers
			return nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("open %s in pprof: %w", s.path, err)
	}
	for _, p := range withheld {
		delete(pages, p)
	}
	u.cache.Add(id, pages)
	return pages, nil
}

// identity changes when a profile's file does.
func identity(snaps ...*snapshot) (string, error) {
	var b strings.Builder
	for _, s := range snaps {
		if s == nil {
			continue
		}
		st, err := s.run.root.Stat(filepath.FromSlash(s.path))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s\x00%s\x00%d\x00%d\x01", s.run.dir, s.path, st.Size(), st.ModTime().UnixNano())
	}
	return b.String(), nil
}

// fetcher gives the driver the snapshots by the names on its command line.
type fetcher map[string]*snapshot

// Fetch reads a profile through the run's root and takes away what could make pprof open other files.
func (f fetcher) Fetch(src string, _, _ time.Duration) (*profile.Profile, string, error) {
	s := f[src]
	if s == nil {
		return nil, "", errUnknown
	}
	file, err := s.run.root.Open(filepath.FromSlash(s.path))
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	p, err := capture.ParseProfile(s.path, file)
	if err != nil {
		return nil, "", err
	}
	tame(p, sourceRoots(), s.text)
	if slices.ContainsFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == "inuse_space" }) {
		p.DefaultSampleType = "inuse_space"
		capture.DropReadings(p)
	}
	return p, "", nil
}

// tame removes from a profile the names of binaries and of files that are no source below the roots: pprof's source
// view opens what a profile names. title takes the place of the binary's name.
func tame(p *profile.Profile, roots []string, title string) {
	if len(p.Mapping) == 0 {
		p.Mapping = []*profile.Mapping{{ID: 1}}
		for _, l := range p.Location {
			l.Mapping = p.Mapping[0]
		}
	}
	for _, m := range p.Mapping {
		m.File, m.BuildID = strings.ReplaceAll(title, "/", " "), ""
	}
	for _, f := range p.Function {
		if !isSource(f.Filename, roots) {
			f.Filename = ""
		}
	}
	p.Comments = nil
	p.DocURL = ""
}

func isSource(name string, roots []string) bool {
	if !slices.Contains([]string{".go", ".s", ".c", ".h", ".cc", ".cpp"}, filepath.Ext(name)) {
		return false
	}
	if !filepath.IsAbs(name) {
		return filepath.IsLocal(name)
	}
	clean := filepath.Clean(name)
	return slices.ContainsFunc(roots, func(r string) bool {
		return strings.HasPrefix(clean,
			r+string(filepath.Separator))
	})
}

// sourceRoots are the folders whose sources may be shown: the working directory, Go's own and the module cache.
func sourceRoots() []string {
	roots := []string{os.Getenv("GOROOT"), "/usr/local/go", os.Getenv("GOMODCACHE")}
	if wd, err := os.Getwd(); err == nil {
		roots = append(roots, wd)
	}
	if home, err := os.UserHomeDir(); err == nil {
		roots = append(roots, filepath.Join(home, "go", "pkg", "mod"), filepath.Join(home, "sdk", runtime.Version()))
	}
	return slices.DeleteFunc(roots, func(r string) bool { return r == "" || r == string(filepath.Separator) })
}

// pprofFlags gives the driver its command line.
type pprofFlags struct {
	*flag.FlagSet
	args []string
}

// StringList implements driver.FlagSet. The list is filled when the flags are parsed.
func (f *pprofFlags) StringList(name, _, usage string) *[]*string {
	list := &[]*string{}
	f.Func(name, usage, func(v string) error {
		*list = append(*list, &v)
		return nil
	})
	return list
}

// ExtraUsage implements driver.FlagSet.
func (*pprofFlags) ExtraUsage() string { return "" }

// AddExtraUsage implements driver.FlagSet.
func (*pprofFlags) AddExtraUsage(string) {}

// Parse implements driver.FlagSet.
func (f *pprofFlags) Parse(usage func()) []string {
	if err := f.FlagSet.Parse(f.args); err != nil {
		usage()
		return nil
	}
	return f.Args()
}

// silent is a user interface without a user.
type silent struct{}

func (silent) ReadLine(string) (string, error)       { return "", io.EOF }
func (silent) Print(...any)                          {}
func (silent) PrintErr(...any)                       {}
func (silent) IsTerminal() bool                      { return false }
func (silent) WantBrowser() bool                     { return false }
func (silent) SetAutoComplete(_ func(string) string) {}

// noObjects refuses to open any binary.
type noObjects struct{}

func (noObjects) Open(string, uint64, uint64, uint64, string) (driver.ObjFile, error) {
	return nil, errUnknown
}

func (noObjects) Disasm(string, uint64, uint64, bool) ([]driver.Inst, error) {
	return nil, errUnknown
}
