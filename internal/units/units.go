// Package units reads the sizes that people write in flags and files: "2Gi", "1800MiB", "64k", "off".
package units

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// ParseBytes reads a size. "off", "none" and "0" are 0. The units of Kubernetes (Gi), Go (GiB) and SI (GB) are
// all understood.
func ParseBytes(s string) (int64, error) {
	t := strings.TrimSpace(s)
	switch strings.ToLower(t) {
	case "off", "none", "0":
		return 0, nil
	}
	end := strings.IndexFunc(t, func(c rune) bool { return c != '.' && c != ',' && (c < '0' || c > '9') })
	if end < 0 {
		end = len(t)
	}
	unit, known := sizes[strings.ToLower(strings.TrimSpace(t[end:]))]
	digits := strings.ReplaceAll(t[:end], ",", "")
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil && known && n <= math.MaxInt64/unit {
		return n * unit, nil // exactly: a float64 has 53 bits
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !known || n*float64(unit) >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is not a size; write for example 512MiB, 2Gi or off", s)
	}
	return int64(n * float64(unit)), nil
}

// sizes has the units in small letters: "ki" and "kib" are 1,024, "k" and "kb" 1,000.
var sizes = func() map[string]int64 {
	m := map[string]int64{"": 1, "b": 1}
	binary, decimal := int64(1), int64(1)
	for _, p := range strings.Split("kmgtpe", "") {
		binary, decimal = binary<<10, decimal*1000
		m[p+"i"], m[p+"ib"], m[p], m[p+"b"] = binary, binary, decimal, decimal
	}
	return m
}()

// FormatBytes writes a size for people, with two or three digits: "1.8 GiB", "17 MiB".
func FormatBytes(n int64) string {
	if n < 0 {
		return "-" + FormatBytes(-max(n, -math.MaxInt64))
	}
	v, unit := float64(n), 0
	for v >= 1024 {
		v, unit = v/1024, unit+1
	}
	name := [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}[unit]
	if unit > 0 && v < 9.95 {
		return fmt.Sprintf("%.1f %s", math.Floor(v*10+0.5)/10, name)
	}
	return fmt.Sprintf("%.0f %s", math.Floor(v+0.5), name)
}

// Comma writes a whole number with commas between thousands: "1,234,567".
func Comma(n int64) string { return group(strconv.FormatInt(n, 10)) }

// CommaFloat does so for a number with at most some digits behind the point: "1,234.5".
func CommaFloat(v float64, digits int) string {
	whole, rest, _ := strings.Cut(strconv.FormatFloat(v, 'f', digits, 64), ".")
	if rest = strings.TrimRight(rest, "0"); rest == "" {
		return group(whole)
	}
	return group(whole) + "." + rest
}

func group(s string) string {
	first := 0 // a digit that no comma stands before
	if s[0] < '0' || s[0] > '9' {
		first = 1 // behind the sign
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Bytes is a size that reads itself from YAML, as a number or as text, and from a flag.
type Bytes int64

// String writes the size exactly: in the largest unit that divides it, else in bytes.
func (b Bytes) String() string {
	for _, u := range []struct {
		size Bytes
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// Set reads a size, as a flag does.
func (b *Bytes) Set(text string) error {
	n, err := ParseBytes(text)
	if err == nil {
		*b = Bytes(n)
	}
	return err
}

// Type names the kind of flag.
func (b *Bytes) Type() string { return "size" }

// UnmarshalYAML implements yaml.BytesUnmarshaler.
func (b *Bytes) UnmarshalYAML(text []byte) error {
	var s string
	if err := yaml.Unmarshal(text, &s); err != nil {
		return err
	}
	return b.Set(s)
}

// MarshalYAML implements yaml.BytesMarshaler.
func (b Bytes) MarshalYAML() ([]byte, error) { return []byte(b.String()), nil }

// Count is a number of things: "1 cell", "3 cells".
func Count[N int | int64](n N, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return Comma(int64(n)) + " " + one + "s"
}

// CountIs begins a sentence about a number of things: "1 worker is", "3 workers are".
func CountIs[N int | int64](n N, one string) string {
	if n == 1 {
		return "1 " + one + " is"
	}
	return Count(n, one) + " are"
}
