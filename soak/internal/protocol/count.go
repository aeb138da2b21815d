package protocol

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// Count is a number of transfers: a number, or a part or multiple of M, the subject's number of concurrent transfers:
// "8", "M", "M/2", "2M".
type Count string

// UnmarshalYAML implements yaml.BytesUnmarshaler and refuses what Of could not evaluate.
func (c *Count) UnmarshalYAML(text []byte) error {
	var s string
	if err := yaml.Unmarshal(text, &s); err != nil {
		return err
	}
	v := Count(strings.TrimSpace(s))
	if _, err := v.eval(1); err != nil {
		return err
	}
	*c = v
	return nil
}

// Of returns the count for a subject with m concurrent transfers, at least 1.
func (c Count) Of(m int) int {
	n, err := c.eval(m)
	if err != nil {
		return 1
	}
	return max(n, 1)
}

func (c Count) eval(m int) (int, error) {
	factor, divisor, isM := strings.Cut(string(c), "M")
	num := func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n <= 0 {
			return 0, fmt.Errorf("%q is not a count; write a number, M, M/2 or 2M", string(c))
		}
		return n, nil
	}
	if !isM {
		return num(factor)
	}
	f, d := 1, 1
	var err error
	if factor != "" {
		if f, err = num(factor); err != nil {
			return 0, err
		}
	}
	if divisor != "" {
		rest, ok := strings.CutPrefix(divisor, "/")
		if !ok {
			return num("")
		}
		if d, err = num(rest); err != nil {
			return 0, err
		}
	}
	return (f*m + d - 1) / d, nil
}
