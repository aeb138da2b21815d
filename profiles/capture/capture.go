package capture

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"github.com/memsoak/memsoak/profiles/capture/decode"
)

// Kind is what a profile counts.
type Kind int

// The kinds of profiles.
const (
	Other     Kind = iota // CPU, contention, threads: nothing of memory
	Heap                  // live objects, or allocated ones
	Goroutine             // goroutines by stack
)

// Column is the index of a value in each sample of the profile; Missing where the profile has none.
type Column int

// Missing says that a profile has no such value.
const Missing Column = -1

// Capture is one profile with its kind and its properties.
type Capture struct {
	// Path is where it came from.
	Path string
	Kind Kind
	// Profile has every location symbolised: an address without a function is a function of that address's name.
	Profile *profile.Profile
	// Columns of the samples.
	InuseBytes, InuseObjects, AllocBytes, AllocObjects, Count Column
	Notes                                                     []Note
}

// Oddity is a kind of note.
type Oddity string

// The oddities of captures.
const (
	Unsymbolized Oddity = "unsymbolized"   // addresses without functions
	NoAddresses  Oddity = "no-addresses"   // as continuous profilers export
	OneType      Oddity = "one-type"       // one sample type of four
	NoAlloc      Oddity = "no-alloc"       // no allocation counts
	AllocOnly    Oddity = "alloc-only"     // allocation counts only, nothing live
	Difference   Oddity = "difference"     // negative samples, or a stretch of time: a difference of two profiles
	LegacyText   Oddity = "legacy-text"    // ?debug=1 or ?debug=2
	Layered      Oddity = "gzip-in-gzip"   // compressed twice
	NoTime       Oddity = "no-time"        // no time inside
	TestBinary   Oddity = "test-binary"    // of go test
	NoPeriod     Oddity = "no-period"      // the sampling rate isn't known
	Stackless    Oddity = "without-stacks" // samples without a location
)

// Note is one thing that a reader has to know of a capture.
type Note struct {
	Oddity Oddity
	Text   string
}

func (c *Capture) note(o Oddity, format string, args ...any) {
	c.Notes = append(c.Notes, Note{o, fmt.Sprintf(format, args...)})
}

// Has reports whether the capture has the oddity.
func (c *Capture) Has(o Oddity) bool {
	return slices.ContainsFunc(c.Notes, func(n Note) bool { return n.Oddity == o })
}

// Time is the time inside the profile; zero when it has none.
func (c *Capture) Time() time.Time {
	if c.Profile.TimeNanos <= 0 {
		return time.Time{}
	}
	return time.Unix(0, c.Profile.TimeNanos)
}

// ErrNotProfile is returned, wrapped, for a file that is none.
var ErrNotProfile = errors.New("not a profile")

// Read reads a file.
func Read(path string) (*Capture, error) {
	b, err := readFile(path, new(bytes.Buffer))
	if err != nil {
		return nil, err
	}
	return Parse(path, b)
}

// Reader reads profiles one after another into the same memory, as a recording of hundreds needs it: what Read returns
// is good until the next Read, and its samples have no labels. It is for one goroutine.
type Reader struct {
	file    bytes.Buffer
	decoder decode.Decoder
}

// Read reads a file.
func (r *Reader) Read(path string) (*Capture, error) {
	b, err := readFile(path, &r.file)
	if err != nil {
		return nil, err
	}
	return parse(path, b, r.decoder.Decode)
}

// Parse reads a profile from memory; path names it in errors and notes.
func Parse(path string, b []byte) (*Capture, error) {
	return parse(path, b, func([]byte) *profile.Profile { return nil })
}

// parse is Parse with a quick way to read protocol buffers, which returns nil for those that it doesn't take.
func parse(path string, b []byte, quick func([]byte) *profile.Profile) (*Capture, error) {
	c := &Capture{Path: path, InuseBytes: Missing, InuseObjects: Missing, AllocBytes: Missing, AllocObjects: Missing,
		Count: Missing}
	if err := c.parse(b, quick); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// ParseProfile is profile.Parse with a bound on the unpacked size. name is that of the source in errors.
func ParseProfile(name string, r io.Reader) (*profile.Profile, error) {
	b, err := readAll(r, new(bytes.Buffer))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c, err := Parse(name, b)
	if err != nil {
		return nil, err
	}
	return c.Profile, nil
}

func (c *Capture) parse(b []byte, quick func([]byte) *profile.Profile) error {
	if len(b) == 0 {
		return fmt.Errorf("%w: the file is empty", ErrNotProfile)
	}
	u := unpackers.Get().(*unpacker)
	defer u.giveBack()
	plain, layers, err := u.unpack(b)
	if err != nil {
		return err
	}
	if layers > 1 {
		c.note(Layered, "gzip inside gzip, %d times: unpacked", layers)
	}
	if len(plain) == 0 {
		return fmt.Errorf("%w: nothing is in it once it is unpacked", ErrNotProfile)
	}
	if c.Profile, err = c.decode(plain, quick); err != nil {
		return err
	}
	c.classify()
	c.symbolize()
	c.describe()
	return nil
}

// decode sniffs the form of unpacked bytes and parses them.
func (c *Capture) decode(b []byte, quick func([]byte) *profile.Profile) (*profile.Profile, error) {
	f := form(b)
	if len(b) > usual && (f == formHeapText || f == formGoroutineText || f == formFlamebearer) {
		return nil, ErrLongText
	}
	switch f {
	case formHeapText:
		c.note(LegacyText, "text of ?debug=1: its counts are the sampled ones and were scaled by its sampling rate")
		return parseHeapText(b)
	case formGoroutineText:
		return parseGoroutineText(b)
	case formGoroutineDump:
		return parseGoroutineDump(b)
	case formFlamebearer:
		return parseFlamebearer(b)
	case formProto:
		if p := quick(b); p != nil {
			return p, nil
		}
		return parseProto(b)
	}
	return nil, fmt.Errorf("%w: %s", ErrNotProfile, whatElse(b))
}

// parseProto parses protocol buffers whose size in memory is bounded.
func parseProto(b []byte) (*profile.Profile, error) {
	if err := affordable(b, true); err != nil {
		return nil, err
	}
	p, err := profile.ParseUncompressed(b)
	if err == nil {
		err = p.CheckValid()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s (%w)", ErrNotProfile, whatElse(b), err)
	}
	return p, nil
}

// classify finds out what the samples count.
func (c *Capture) classify() {
	columns := map[string]*Column{
		"inuse_space": &c.InuseBytes, "inuse_objects": &c.InuseObjects, "alloc_space": &c.AllocBytes,
		"alloc_objects": &c.AllocObjects,
		"goroutine":     &c.Count, "goroutines": &c.Count, "space": &c.InuseBytes, "objects": &c.InuseObjects,
	}
	for i, t := range c.Profile.SampleType {
		if to := columns[t.Type]; to != nil && *to == Missing {
			*to = Column(i)
		}
	}
	switch {
	case c.InuseBytes != Missing || c.AllocBytes != Missing:
		c.Kind = Heap
	case c.Count != Missing:
		c.Kind = Goroutine
	}
}

// Value is a sample's value; 0 where the column is missing or the sample is short.
func (c *Capture) Value(s *profile.Sample, at Column) int64 {
	if at == Missing || int(at) >= len(s.Value) {
		return 0
	}
	return s.Value[at]
}

// Binary names the program that a profile is of: its build id, or else its file. Empty when the profile does not say.
func Binary(p *profile.Profile) string {
	if len(p.Mapping) == 0 {
		return ""
	}
	m := p.Mapping[0]
	if m.BuildID == "" && m.File != "" {
		return filepath.Base(m.File)
	}
	return m.BuildID
}

// Files lists the regular files below dir that may be profiles: all but those whose first bytes say otherwise, hidden
// ones and those that this tool writes itself. They are ordered by name, numbers in them by their value.
func Files(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case !d.Type().IsRegular() || strings.HasPrefix(d.Name(), ".") || !mayBeProfile(path):
			return nil
		}
		out = append(out, path)
		return nil
	})
	slices.SortFunc(out, byNumbers)
	return out, err
}

// byNumbers compares names so that heap.9 is before heap.10.
func byNumbers(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x == "" || y == "" {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		a, b = a[len(x):], b[len(y):]
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// digits is the number at the beginning of s.
func digits(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}

// mayBeProfile looks at the beginning of a file.
func mayBeProfile(path string) bool {
	switch filepath.Ext(path) {
	case ".csv", ".jsonl", ".md", ".html", ".yaml", ".yml", ".log", ".xml", ".svg", ".go":
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 512)
	n, _ := io.ReadFull(f, head)
	head = head[:n]
	if len(head) > 2 && head[0] == 0x1f && head[1] == 0x8b {
		return true
	}
	switch form(head) {
	case formNone:
		return false
	case formProto: // nearly anything that is no text: the sample types come first in what Go writes
		return len(head) > 0 && (head[0] == 0x0a || head[0] == 0x12) && !bytes.Contains(head[:min(64, len(head))],
			[]byte("\x00\x00\x00\x00"))
	}
	return true
}
