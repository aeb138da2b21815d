// Package units reads the sizes that people write in flags and files: "2Gi", "1800MiB", "64k", "off".
package units

import (
	"fmt"
	"math"
	"strings"

	"github.com/dustin/go-humanize"
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
	n, err := humanize.ParseBytes(t)
	if err != nil || n > math.MaxInt64 || strings.HasPrefix(t, "-") {
		return 0, fmt.Errorf("%q is not a size; write for example 512MiB, 2Gi or off", s)
	}
	return int64(n), nil
}

// FormatBytes writes a size for people, with three digits: "1.76 GiB".
func FormatBytes(n int64) string {
	if n < 0 {
		return "-" + humanize.IBytes(uint64(-n))
	}
	return humanize.IBytes(uint64(n))
}

// Bytes is a size that reads itself from YAML, as a number or as text.
type Bytes int64

// UnmarshalYAML implements yaml.BytesUnmarshaler.
func (b *Bytes) UnmarshalYAML(text []byte) error {
	var s string
	if err := yaml.Unmarshal(text, &s); err != nil {
		return err
	}
	n, err := ParseBytes(s)
	if err != nil {
		return err
	}
	*b = Bytes(n)
	return nil
}

// MarshalYAML implements yaml.BytesMarshaler. The exact number of bytes is written when it is no whole unit.
func (b Bytes) MarshalYAML() ([]byte, error) {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if b != 0 && int64(b)%u.size == 0 {
			return fmt.Appendf(nil, "%d%s", int64(b)/u.size, u.name), nil
		}
	}
	return fmt.Appendf(nil, "%d", int64(b)), nil
}

// Count is a number of things: "1 cell", "3 cells".
func Count[N int | int64](n N, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(int64(n)) + " " + one + "s"
}

// CountIs begins a sentence about a number of things: "1 worker is", "3 workers are".
func CountIs[N int | int64](n N, one string) string {
	if n == 1 {
		return "1 " + one + " is"
	}
	return Count(n, one) + " are"
}
