package profiles

import (
	"fmt"
	"math"
)

// bytesText writes a size the way a person says it: 872 B, 4.0 KiB, 1.2 GiB.
func bytesText(b float64) string {
	a := math.Abs(b)
	for _, u := range []struct {
		size float64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if a >= u.size {
			return fmt.Sprintf("%.1f %s", b/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.0f B", b)
}
