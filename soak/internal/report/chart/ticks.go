package chart

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/memsoak/memsoak/internal/units"
)

// Label is a text at a value of an axis.
type Label struct {
	At   float64
	Text string
}

// Scale has the labels of an axis from lo to hi.
type Scale func(lo, hi float64) []Label

// BytesTicks labels an axis in binary units, at steps of 1, 2, 4 ... 512 times a power of 1024. Where the axis is so
// short a part of its values that neighbours would read the same, they have the digits that tell them apart.
func BytesTicks(n int) Scale {
	return func(lo, hi float64) []Label {
		step := math.Exp2(math.Ceil(math.Log2(max(1, (hi-lo)/float64(max(1, n))))))
		out := every(lo, hi, step, func(v float64) string { return units.FormatBytes(int64(max(0, v))) })
		if len(slices.CompactFunc(slices.Clone(out), func(a, b Label) bool { return a.Text == b.Text })) < len(out) {
			unit := math.Exp2(10 * math.Floor(math.Log2(hi)/10))
			name := strings.TrimLeft(units.FormatBytes(int64(unit)), "0123456789. ")
			digits := int(math.Ceil(-math.Log10(step / unit)))
			for i, l := range out {
				out[i].Text = strconv.FormatFloat(l.At/unit, 'f', digits, 64) + " " + name
			}
		}
		return out
	}
}

// SecondsTicks labels an axis of seconds as a clock does: 30 s, 1:30, 1:02:00.
func SecondsTicks(n int) Scale {
	return func(lo, hi float64) []Label {
		step := 86400.0
		for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200} {
			if (hi-lo)/s <= float64(max(1, n)) {
				step = s
				break
			}
		}
		return every(lo, hi, step, clock)
	}
}

// CountTicks labels an axis of whole numbers at steps of 1, 2 or 5 times a power of ten.
func CountTicks(n int) Scale {
	return func(lo, hi float64) []Label {
		raw := max(1, (hi-lo)/float64(max(1, n)))
		mag := math.Pow(10, math.Floor(math.Log10(raw)))
		step := 10 * mag
		for _, f := range []float64{1, 2, 5} {
			if raw <= f*mag {
				step = f * mag
				break
			}
		}
		return every(lo, hi, step, func(v float64) string { return units.Comma(int64(v)) })
	}
}

func every(lo, hi, step float64, label func(float64) string) []Label {
	var out []Label
	for v := math.Ceil(lo/step) * step; v <= hi; v += step {
		out = append(out, Label{At: v, Text: label(v)})
	}
	return out
}

func clock(v float64) string {
	s := int(v)
	pad := func(n int) string {
		if n < 10 {
			return "0" + strconv.Itoa(n)
		}
		return strconv.Itoa(n)
	}
	switch {
	case s < 60:
		return strconv.Itoa(s) + " s"
	case s < 3600:
		return strconv.Itoa(s/60) + ":" + pad(s%60)
	default:
		return strconv.Itoa(s/3600) + ":" + pad(s/60%60) + ":" + pad(s%60)
	}
}
