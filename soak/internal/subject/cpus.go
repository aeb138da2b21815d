package subject

import (
	"fmt"
	"strconv"
	"strings"
)

// maxCPU is the highest processor number that a list may name, as Linux builds have it.
const maxCPU = 1023

// ParseCPUs reads a list of processors as Linux writes it: "0-1,3".
func ParseCPUs(s string) ([]int, error) {
	var out []int
	for _, part := range strings.Split(s, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(from)
		b := a
		if err == nil && isRange {
			b, err = strconv.Atoi(to)
		}
		if err != nil || a < 0 || b < a || b > maxCPU {
			return nil, fmt.Errorf("%q is not a list of processors; write for example 0-1,3", s)
		}
		for i := a; i <= b; i++ {
			out = append(out, i)
		}
	}
	return out, nil
}
