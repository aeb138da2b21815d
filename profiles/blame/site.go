package blame

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/memsoak/memsoak/profiles/capture"
	"github.com/memsoak/memsoak/profiles/record"
)

// Owner says whose code a site is blamed on.
type Owner int

// The owners of a site.
const (
	OwnerRuntime    Owner = iota // no frame but the standard library's
	OwnerThirdParty              // a package of another module, without a frame of the user's
	OwnerConnection              // buffers that net/http keeps per connection, without a frame of the user's
	OwnerUser                    // the user's module
)

// Frame is a function at a line, as a profile shows it.
type Frame struct {
	Function string // as the linker has it
	File     string // on the machine that built it
	Line     int
}

// Frames are the calls at a location of a profile, from the innermost inlined one outwards.
func Frames(l *profile.Location) []Frame {
	out := make([]Frame, 0, len(l.Line))
	for _, line := range l.Line {
		if line.Function != nil {
			out = append(out, Frame{Function: line.Function.Name, File: line.Function.Filename, Line: int(line.Line)})
		}
	}
	return out
}

// Stack is a sample's stack, leaf first, inlined frames in place.
func Stack(s *profile.Sample) []Frame {
	var out []Frame
	for _, l := range s.Location {
		out = append(out, Frames(l)...)
	}
	return out
}

// Site is a place to blame: all allocation stacks that lead to the same frame of the user's module.
type Site struct {
	record.Site
	// Owner says whose code it is.
	Owner Owner
	// Container says that the allocation is the growth of a map, slice or channel: this site holds other things.
	Container bool
	// Stack is the stack that had the most bytes, leaf first.
	Stack []Frame
}

// OfRuntime reports whether the runtime allocates for itself here: descriptors of goroutines, of threads and of waits.
// It never gives them back but uses them again, so that they follow the most goroutines so far, which are judged by
// themselves.
func (s *Site) OfRuntime() bool {
	return s.Owner == OwnerRuntime && !slices.ContainsFunc(s.Stack,
		func(f Frame) bool { return PackagePath(f.Function) != "runtime" })
}

// Blamer maps stacks to sites for one module. The zero module stands for "not known": then every frame that is neither
// the standard library's nor a dependency's is the user's.
type Blamer struct{ module string }

// NewBlamer returns a Blamer for the user's module path, which may be empty.
func NewBlamer(module string) Blamer { return Blamer{module: module} }

// Blame finds the frame to blame for an allocation stack, leaf first with inlined frames in place. ok is false for
// stacks that belong to the taking of profiles itself.
func (b Blamer) Blame(stack []Frame) (site Site, ok bool) {
	if len(stack) == 0 || slices.ContainsFunc(stack, IsProfiler) {
		return Site{}, false
	}
	site = Site{Container: isContainer(stack), Stack: stack}
	pick := func(f Frame, o Owner) (Site, bool) {
		site.Owner = o
		site.Site = b.Site(f)
		return site, true
	}
	if i := slices.IndexFunc(stack, b.User); i >= 0 {
		return pick(stack[i], OwnerUser)
	}
	// Without a frame of the user's the one nearest to the allocation decides: a server's handler in a dependency is below
	// (*conn).serve, a connection that a dependency opens is above the dependency's frames.
	for _, f := range stack {
		switch {
		case IsConnection(f):
			return pick(f, OwnerConnection)
		case isThirdParty(f):
			return pick(f, OwnerThirdParty)
		}
	}
	if i := slices.IndexFunc(stack, func(f Frame) bool { return PackagePath(f.Function) != "runtime" }); i >= 0 {
		return pick(stack[i], OwnerRuntime)
	}
	return pick(stack[0], OwnerRuntime)
}

// Site is a frame as findings name it.
func (b Blamer) Site(f Frame) record.Site {
	return record.Site{Function: CleanName(f.Function), File: b.File(f), Line: f.Line}
}

// File is a frame's file below the module's root, or below its package's path.
func (b Blamer) File(f Frame) string { return shortFile(f, b.module) }

// Text is a stack as findings show it, leaf first: "function file:line".
func (b Blamer) Text(stack []Frame) []string {
	out := make([]string, 0, len(stack))
	for _, f := range stack {
		at := b.Site(f)
		out = append(out, fmt.Sprintf("%s %s:%d", at.Function, at.File, at.Line))
	}
	return out
}

// User reports whether the frame belongs to the user's module.
func (b Blamer) User(f Frame) bool {
	pkg := PackagePath(f.Function)
	if pkg == "main" {
		return true
	}
	if b.module != "" {
		return pkg == b.module || strings.HasPrefix(pkg, b.module+"/")
	}
	return !IsStandard(f) && !isThirdParty(f)
}

// isThirdParty knows a dependency by its place: the module cache has a version in the path, a vendor folder its name.
func isThirdParty(f Frame) bool {
	pkg := PackagePath(f.Function)
	first, _, _ := strings.Cut(pkg, "/")
	if strings.Contains(f.File, "@") || strings.Contains(f.File, "/vendor/") {
		return !IsStandard(f)
	}
	return f.File == "" && strings.Contains(first, ".")
}

// IsStandard reports whether the frame is the standard library's: no dot in the first element of its path, and a file
// that ends in that path below a src folder, or is just that path in a binary built with -trimpath.
func IsStandard(f Frame) bool {
	pkg := PackagePath(f.Function)
	if pkg == "main" {
		return false
	}
	if strings.HasPrefix(pkg, "vendor/") || pkg == "runtime" || strings.HasPrefix(pkg, "internal/") || pkg == "" {
		return true
	}
	first, _, _ := strings.Cut(pkg, "/")
	if strings.Contains(first, ".") {
		return false
	}
	if f.File == "" {
		return standardRoots[first]
	}
	dir := path.Dir(f.File)
	return strings.HasSuffix(dir, "/src/"+pkg) || (dir == pkg && standardRoots[first])
}

// standardRoots are the first elements of the standard library's package paths, for binaries built with -trimpath.
var standardRoots = func() map[string]bool {
	m := map[string]bool{}
	for p := range strings.FieldsSeq(`archive bufio bytes cmp compress container context crypto database debug embed
		encoding errors expvar flag fmt go hash html image index io iter log maps math mime net os path plugin reflect
		regexp runtime slices sort strconv strings structs sync syscall testing text time unicode unique unsafe weak`) {
		m[p] = true
	}
	return m
}()

// IsProfiler reports whether the frame belongs to the taking of profiles.
func IsProfiler(f Frame) bool { return capture.Reads(f.Function) }

// IsConnection reports whether the frame makes or keeps a connection: what it allocates exists once per connection.
func IsConnection(f Frame) bool {
	pkg := PackagePath(f.Function)
	switch {
	case pkg == "crypto/tls", strings.HasSuffix(pkg, "golang.org/x/net/http2"):
		return true
	case pkg != "net/http" && pkg != "net/http/internal/http2":
		return false
	}
	for _, s := range []string{"(*Transport).dial", "(*Transport).queueForDial", "persistConn", "http2", "(*conn).serve",
		"newBufioReader", "newBufioWriter", "Transport).getConn", "bodyEOFSignal"} {
		if strings.Contains(f.Function, s) {
			return true
		}
	}
	return false
}

// isContainer reports whether the leaf of the stack is the growth of a map or a slice.
func isContainer(stack []Frame) bool {
	for _, f := range stack[:min(len(stack), 4)] {
		pkg := PackagePath(f.Function)
		if pkg == "internal/runtime/maps" || pkg == "runtime" && containerFunc.MatchString(f.Function) {
			return true
		}
		if pkg != "runtime" && pkg != "sync" && pkg != "internal/sync" && pkg != "slices" && pkg != "container/list" {
			return false
		}
		if pkg == "sync" && strings.Contains(f.Function, "(*Map)") || strings.Contains(f.Function, "HashTrieMap") ||
			pkg == "container/list" || strings.HasPrefix(f.Function, "slices.Grow") {
			return true
		}
	}
	return false
}

var containerFunc = regexp.MustCompile(`^runtime\.(mapassign|growslice|makemap|makechan|hashGrow|growWork|evacuate)`)

// PackagePath is the import path in a symbol's name: "a.b/c.(*T).m" is in "a.b/c".
func PackagePath(fn string) string {
	if i := strings.IndexByte(fn, '['); i >= 0 { // type arguments may hold slashes
		fn = fn[:i]
	}
	slash := strings.LastIndexByte(fn, '/') + 1
	if dot := strings.IndexByte(fn[slash:], '.'); dot >= 0 {
		return strings.ReplaceAll(fn[:slash+dot], "%2e", ".")
	}
	return fn
}

var (
	typeArgs   = regexp.MustCompile(`\[[^\[\]]*\]`)
	closureEnd = regexp.MustCompile(`(\.func\d+|\.gowrap\d+|\.deferwrap\d+|-range\d+|-fm|\.\d+|\.init\.\d+)+$`)
)

// CleanName turns a symbol's name into the function a person would look for: without type arguments, method-value and
// go-statement wrappers, and closure numbers; a closure's line still points inside it. What no function of the source
// encloses (an init function, the value of a package variable) keeps the name that pprof prints.
func CleanName(fn string) string {
	for {
		s := typeArgs.ReplaceAllString(fn, "")
		if s == fn {
			break
		}
		fn = s
	}
	pkg := PackagePath(fn)
	if len(fn) <= len(pkg) {
		return fn
	}
	rest := fn[strings.LastIndexByte(fn, '/')+1:]
	_, name, _ := strings.Cut(rest, ".")
	clean := closureEnd.ReplaceAllString("."+name, "")
	if clean == "" || clean == ".init" || clean == ".glob." || clean == ".map" {
		return pkg + "." + name
	}
	return pkg + clean
}

// shortFile cuts the build machine's folders off: the rest starts at the package's own path.
func shortFile(f Frame, module string) string {
	pkg := PackagePath(f.Function)
	base := path.Base(f.File)
	if f.File == "" || base == "." {
		return ""
	}
	if pkg != "main" && pkg != "" {
		if rel, ok := strings.CutPrefix(pkg, module+"/"); ok && module != "" {
			return rel + "/" + base
		}
		if pkg == module {
			return base
		}
		return pkg + "/" + base
	}
	parts := strings.Split(f.File, "/")
	return path.Join(parts[max(0, len(parts)-3):]...)
}

// ThroughNetwork reports whether the stack goes through the packages of the standard library that have connections.
func ThroughNetwork(stack []Frame) bool {
	return slices.ContainsFunc(stack, func(f Frame) bool {
		pkg := PackagePath(f.Function)
		return pkg == "net/http" || pkg == "net" || pkg == "crypto/tls"
	})
}

// MakesRequest reports whether the stack sends a request or dials.
func MakesRequest(stack []Frame) bool {
	return slices.ContainsFunc(stack, func(f Frame) bool {
		name := f.Function
		return strings.HasPrefix(name, "net/http.(*Client).") || strings.HasSuffix(name, ".RoundTrip") ||
			strings.HasPrefix(name, "net.(*Dialer).") ||
			strings.HasPrefix(name, "net.Dial") || strings.HasPrefix(name, "crypto/tls.")
	})
}
