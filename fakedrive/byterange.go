package fakedrive

import (
	"errors"
	"strconv"
	"strings"
)

// errUnsatisfiable says that a range lies outside of the content.
var errUnsatisfiable = errors.New("range not satisfiable")

// byteRange is a part of a content.
type byteRange struct{ start, length int64 }

// parseRange reads a Range header over a content of size bytes. ok is false where there is none to honour: no header,
// another unit, more than one range, or one that is malformed, all of which get the whole content. The error is
// errUnsatisfiable.
func parseRange(header string, size int64) (r byteRange, ok bool, err error) {
	spec, found := strings.CutPrefix(header, "bytes=")
	if !found || strings.Contains(spec, ",") {
		return r, false, nil
	}
	first, last, found := strings.Cut(strings.TrimSpace(spec), "-")
	if !found {
		return r, false, nil
	}
	if first == "" { // the last n bytes
		n, valid := parseOffset(last)
		if !valid {
			return r, false, nil
		}
		if n == 0 || size == 0 {
			return r, false, errUnsatisfiable
		}
		n = min(n, size)
		return byteRange{size - n, n}, true, nil
	}
	start, valid := parseOffset(first)
	if !valid {
		return r, false, nil
	}
	end := size - 1
	if last != "" {
		e, valid := parseOffset(last)
		if !valid || e < start {
			return r, false, nil
		}
		end = min(e, end)
	}
	if start >= size {
		return r, false, errUnsatisfiable
	}
	return byteRange{start, end - start + 1}, true, nil
}

// parseOffset reads digits; a number beyond 63 bits becomes the largest one.
func parseOffset(s string) (n int64, ok bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil || n > 0
}
