package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/memsoak/memsoak/profiles/capture/decode"
)

// fileForm is how a profile is written.
type fileForm int

const (
	formNone fileForm = iota
	formProto
	formHeapText      // /debug/pprof/heap?debug=1
	formGoroutineText // /debug/pprof/goroutine?debug=1
	formGoroutineDump // /debug/pprof/goroutine?debug=2, and what a dying program prints
	formFlamebearer   // JSON that Pyroscope's interface exports
)

var dumpLine = regexp.MustCompile(`(?m)^goroutine \d+ (gp=\S+ m=\S+ (mp=\S+ )?)?\[[^\]\n]+\]:`)

// form tells how b is written by its first bytes.
func form(b []byte) fileForm {
	head := b[:min(len(b), 64<<10)]
	switch {
	case bytes.HasPrefix(head, []byte("heap profile: ")):
		return formHeapText
	case bytes.HasPrefix(head, []byte("goroutine profile: ")):
		return formGoroutineText
	case len(head) > 0 && head[0] == '{' && bytes.Contains(head, []byte(`"flamebearer"`)):
		return formFlamebearer
	case bytes.Contains(head, []byte("goroutine ")) && dumpLine.Match(head): // the expression alone is slow on bytes
		return formGoroutineDump
	case isText(head) || bytes.HasPrefix(head, []byte("\x7fELF")):
		return formNone
	}
	return formProto
}

// isText reports whether the bytes are what a person could read.
func isText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == utf8.RuneError && n == 1 && len(b) >= utf8.UTFMax {
			return false
		}
		b = b[n:]
	}
	return true
}

// elsewhere are the beginnings of files that people take for memory profiles, and what to do with each.
var elsewhere = []struct{ begins, says string }{
	{"\x7fELF", "a program; profiles come from its /debug/pprof/heap"},
	{"go 1.", "an execution trace ('go tool trace' reads it); memory is in /debug/pprof/heap"},
	{"--- ", "a profile of contention as text; memory is in /debug/pprof/heap"},
	{"threadcreate profile: ", "a profile of threads; memory is in /debug/pprof/heap"},
	{"<", "a web page, perhaps an error page: check the URL that it was fetched from"},
	{"{", "JSON that is no export of a profile"},
	{"PK\x03\x04", "a zip archive: unpack it and give the folder"},
	{"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it first (zstd -d)"},
}

// elfCore is the type of a core file, at elfType bytes from its beginning.
const (
	elfType = 16
	elfCore = 4
)

// whatElse says what a file is that is no profile.
func whatElse(b []byte) string {
	if bytes.HasPrefix(b, []byte("\x7fELF")) && len(b) > elfType+2 && binary.LittleEndian.Uint16(b[elfType:]) == elfCore {
		return "a core file: 'soak holders --core FILE --exe PROGRAM' reads it"
	}
	for _, e := range elsewhere {
		if bytes.HasPrefix(b, []byte(e.begins)) {
			return e.says
		}
	}
	if isText(b[:min(len(b), 512)]) {
		line, _, _ := strings.Cut(strings.TrimSpace(string(b[:min(len(b), 120)])), "\n")
		return fmt.Sprintf("text that begins with %q", line)
	}
	return "neither protocol buffers of pprof nor any other form that is known here"
}

// affordable walks over the outermost fields of a profile and counts what would be allocated for them. Where b isn't
// the whole of it, the last field may be cut off.
func affordable(b []byte, whole bool) error {
	entries, references := 0, 0
	for rest := b; len(rest) > 0; {
		num, typ, n := protowire.ConsumeTag(rest)
		if !whole && errors.Is(protowire.ParseError(n), io.ErrUnexpectedEOF) {
			return nil
		}
		if n < 0 {
			return fmt.Errorf("%w: %s", ErrNotProfile, whatElse(b))
		}
		size := protowire.ConsumeFieldValue(num, typ, rest[n:])
		if !whole && errors.Is(protowire.ParseError(size), io.ErrUnexpectedEOF) && len(rest) <= decode.MaxField {
			return nil
		}
		if size < 0 {
			return fmt.Errorf("%w: %s, or cut off in the middle", ErrNotProfile, whatElse(b))
		}
		entries++
		if num == decode.FieldSample && typ == protowire.BytesType {
			references += size // a location takes a byte at least
		}
		if size > decode.MaxField {
			return fmt.Errorf("%w: one of its entries has %d bytes", ErrNotProfile, size)
		}
		if entries > decode.MaxEntries || references > decode.MaxReferences {
			return fmt.Errorf("%w (%d entries)", ErrTooLarge, entries)
		}
		rest = rest[n+size:]
	}
	return nil
}
