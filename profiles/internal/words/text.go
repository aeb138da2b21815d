package words

import (
	"fmt"
	"math"
	"strings"
)

// Bytes writes a size the way a person says it: 872 B, 4.0 KiB, 1.2 GiB.
func Bytes(b float64) string {
	a := math.Abs(b)
	for _, u := range []struct {
		size float64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if a >= u.size {
			return fmt.Sprintf("%.1f %s", b/u.size, u.name)
		}
	}
	if a < 10 && b != math.Trunc(b) {
		return fmt.Sprintf("%.2g B", b)
	}
	return fmt.Sprintf("%.0f B", b)
}

// Down is a size rounded down to what Bytes shows of it.
func Down(b int64) int64 {
	unit := 1.0
	for float64(b) >= 1024*unit && unit < 1<<40 {
		unit *= 1024
	}
	return int64(math.Floor(math.Floor(float64(b)/unit*10) * unit / 10))
}

// Item is a unit in words: "backlog item".
func Item(per string) string { return strings.ReplaceAll(per, "-", " ") }

// decidesPrefix begins the sentence that names a command.
const decidesPrefix = "What decides: "

// Share is a share in percent.
func Share(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) }

// Short is the last element of a function's path: what a person calls it.
func Short(fn string) string { return fn[strings.LastIndexByte(fn, '/')+1:] }

// OrUnknown is the text, or "not finished" for an empty one.
func OrUnknown(t string) string {
	if t == "" {
		return "not finished"
	}
	return t
}
