package corpus

import (
	"fmt"
	"math"
	"sort"

	"github.com/memsoak/memsoak/fakedrive/corpus/internal/content"
)

// Distribution names a way of drawing sizes.
type Distribution uint8

// The distributions.
const (
	FixedSize Distribution = iota
	UniformSize
	LognormalSize
	ParetoSize
	MixedSize
)

// Size is a distribution of file sizes in bytes. Make one with Fixed, Uniform, Lognormal, Pareto or Mixed; the zero
// value is files without content. Drawn sizes lie between Min and Max, near lengths whose checksums are known at
// once: within 64 bytes of one of about nine lengths per factor of two.
type Size struct {
	Distribution Distribution
	Bytes        int64   // FixedSize
	Median       int64   // LognormalSize
	Sigma        float64 // LognormalSize: standard deviation of the natural logarithm
	Alpha        float64 // ParetoSize: the exponent
	Min, Max     int64
	Classes      []Class // MixedSize
}

// Class is a part of a mixed distribution: Share is its weight, relative to those of the other classes.
type Class struct {
	Share float64
	Size  Size
}

// MaxSize is the size of the largest possible file.
const MaxSize = int64(content.MaxSize)

// Fixed makes all files n bytes long. Beyond 16 GiB, n has to be a whole number of GiB.
func Fixed(n int64) Size { return Size{Distribution: FixedSize, Bytes: n} }

// Uniform draws sizes from min to max with equal chances.
func Uniform(min, max int64) Size { return Size{Distribution: UniformSize, Min: min, Max: max} }

// Lognormal draws sizes whose logarithm is normally distributed, cut off at min and max.
func Lognormal(median int64, sigma float64, min, max int64) Size {
	return Size{Distribution: LognormalSize, Median: median, Sigma: sigma, Min: min, Max: max}
}

// Pareto draws sizes s with a chance of (min/s)^alpha to be larger, cut off at max.
func Pareto(min int64, alpha float64, max int64) Size {
	return Size{Distribution: ParetoSize, Alpha: alpha, Min: min, Max: max}
}

// Mixed draws from several distributions.
func Mixed(classes ...Class) Size { return Size{Distribution: MixedSize, Classes: classes} }

func (s Size) isZero() bool {
	return s.Distribution == FixedSize && s.Bytes == 0 && s.Min == 0 && s.Max == 0 && len(s.Classes) == 0
}

func (s Size) validate(field string) error {
	switch s.Distribution {
	case FixedSize:
		switch {
		case s.Bytes < 0 || s.Bytes > MaxSize:
			return fieldErrorf(field, "want 0 to 1TiB, have %d bytes", s.Bytes)
		case s.Bytes > content.FineSize && s.Bytes%content.CoarseStep != 0:
			return fieldErrorf(field, "above 16GiB a size is a whole number of GiB, have %d bytes", s.Bytes)
		}
		return nil
	case MixedSize:
		return s.validateClasses(field)
	case UniformSize, LognormalSize, ParetoSize:
	default:
		return fieldErrorf(field, "unknown distribution %d", s.Distribution)
	}
	switch {
	case s.Min < 0:
		return fieldErrorf(field+".min", "want 0 or more, have %d", s.Min)
	case s.Min > content.FineSize && s.Min%content.CoarseStep != 0:
		return fieldErrorf(field+".min", "above 16GiB it is a whole number of GiB, have %d bytes", s.Min)
	case s.Max < s.Min || s.Max > MaxSize:
		return fieldErrorf(field+".max", "want min to 1TiB, have %d bytes", s.Max)
	case s.Distribution == LognormalSize && s.Median < 1:
		return fieldErrorf(field+".median", "want 1 byte or more, have %d", s.Median)
	case s.Distribution == LognormalSize && !(s.Sigma > 0 && s.Sigma <= 20):
		return fieldErrorf(field+".sigma", "want more than 0 and at most 20, have %v", s.Sigma)
	case s.Distribution == ParetoSize && s.Min < 1:
		return fieldErrorf(field+".min", "want 1 byte or more, have %d", s.Min)
	case s.Distribution == ParetoSize && !(s.Alpha > 0 && s.Alpha <= 100):
		return fieldErrorf(field+".alpha", "want more than 0 and at most 100, have %v", s.Alpha)
	case s.reach() < 1e-9:
		return fieldErrorf(field, "hardly any size lies between min and max")
	}
	return nil
}

// maxClasses bounds the classes of a mixed distribution.
const maxClasses = 64

func (s Size) validateClasses(field string) error {
	if len(s.Classes) == 0 || len(s.Classes) > maxClasses {
		return fieldErrorf(field+".classes", "want 1 to %d classes, have %d", maxClasses, len(s.Classes))
	}
	for i, c := range s.Classes {
		at := fmt.Sprintf("%s.classes[%d]", field, i)
		if !(c.Share > 0 && c.Share <= 1e12) {
			return fieldErrorf(at+".share", "want more than 0 and at most 1e12, have %v", c.Share)
		}
		if c.Size.Distribution == MixedSize {
			return fieldErrorf(at, "classes can't be nested")
		}
		if err := c.Size.validate(at); err != nil {
			return err
		}
	}
	return nil
}

// largest returns a bound of the sizes.
func (s Size) largest() int64 {
	switch s.Distribution {
	case FixedSize:
		return s.Bytes
	case MixedSize:
		var most int64
		for _, c := range s.Classes {
			most = max(most, c.Size.largest())
		}
		return most
	default:
		return s.Max
	}
}

// below returns the chance of a size below x, before the cuts at Min and Max.
func (s Size) below(x float64) float64 {
	switch s.Distribution {
	case UniformSize:
		return min(max((x-float64(s.Min))/(float64(s.Max-s.Min)+1), 0), 1)
	case LognormalSize:
		if x <= 0 {
			return 0
		}
		return 0.5 * math.Erfc(-math.Log(x/float64(s.Median))/(s.Sigma*math.Sqrt2))
	default:
		if x <= float64(s.Min) {
			return 0
		}
		return 1 - math.Pow(float64(s.Min)/x, s.Alpha)
	}
}

// reach returns the chance of a size from Min to Max.
func (s Size) reach() float64 { return s.below(float64(s.Max)+1) - s.below(float64(s.Min)) }

// sizeClass is a run of files with one prefix. The r-th of them has prefix + tail + r mod span bytes.
type sizeClass struct {
	prefix   int64
	tail     int64 // length of the shortest tail
	span     int64
	variants int64
	from     int64 // rank of the first file among all that the distribution was dealt to
	count    int64
}

// A file has a tail of its own of minTail to minTail+63 bytes behind the shared prefix, so that files differ and its
// hashes are two blocks away. Files of less than 80 bytes are all tail.
const (
	minTail   = 16
	shortTail = 55
)

// prefixOf returns the length of the shared prefix of a file of n bytes.
func prefixOf(n int64) int64 {
	if n < minTail+64 {
		return 0
	}
	return (n - minTail) / 64 * 64
}

// classes deals n files to size classes.
func (s Size) classes(n int64) []sizeClass {
	var all []sizeClass
	switch s.Distribution {
	case FixedSize:
		all = []sizeClass{exact(s.Bytes, n)}
	case MixedSize:
		shares := make([]float64, len(s.Classes))
		for i, c := range s.Classes {
			shares[i] = c.Share
		}
		for i, k := range deal(n, shares) {
			all = append(all, s.Classes[i].Size.classes(k)...)
		}
	default:
		all = s.quantize(n)
	}
	var from int64
	some := all[:0]
	for _, c := range all {
		if c.count > 0 {
			c.from, from = from, from+c.count
			c.variants = int64(content.Variants(c.prefix))
			some = append(some, c)
		}
	}
	return some
}

func exact(size, count int64) sizeClass {
	p := prefixOf(size)
	return sizeClass{prefix: p, tail: size - p, span: 1, count: count}
}

// deal splits n by shares; the parts are whole and add up to n.
func deal(n int64, shares []float64) []int64 {
	var total, seen float64
	for _, x := range shares {
		total += x
	}
	parts, dealt := make([]int64, len(shares)), int64(0)
	for i, x := range shares {
		seen += x
		upTo := int64(math.Round(float64(n) * (seen / total)))
		if i == len(shares)-1 {
			upTo = n
		}
		parts[i], dealt = upTo-dealt, upTo
	}
	return parts
}

// quantize deals n files to the prefixes whose checksums are known, each taking the sizes nearest to it.
func (s Size) quantize(n int64) []sizeClass {
	prefixes := content.Prefixes(s.Max - minTail)
	first := sort.Search(len(prefixes), func(i int) bool { return prefixes[i] >= s.Min }) - 1
	prefixes = prefixes[max(first, 0):]
	shares := make([]float64, len(prefixes))
	lo := s.below(float64(s.Min))
	for i := range prefixes {
		hi := s.below(float64(s.Max) + 1)
		if i+1 < len(prefixes) {
			mid := float64(prefixes[i]+prefixes[i+1])/2 + minTail + 32
			hi = min(max(s.below(mid), lo), hi)
		}
		shares[i], lo = hi-lo, hi
	}
	all := make([]sizeClass, 0, len(prefixes))
	for i, count := range deal(n, shares) {
		all = append(all, s.around(prefixes[i], count))
	}
	return all
}

// around returns the class of count files with sizes near a prefix and from Min to Max. Tails of up to shortTail bytes
// are preferred: they are one block to all three hashes.
func (s Size) around(prefix, count int64) sizeClass {
	least := int64(minTail)
	if prefix == 0 {
		least = 0
	}
	least = max(least, s.Min-prefix)
	for _, most := range []int64{shortTail, minTail + 63} {
		if most = min(most, s.Max-prefix); least <= most {
			return sizeClass{prefix: prefix, tail: least, span: most - least + 1, count: count}
		}
	}
	return exact(s.Min, count) // Min is above what this prefix reaches
}

// size returns the length of the r-th file of the class.
func (c *sizeClass) size(r int64) int64 { return c.prefix + c.tail + r%c.span }

// variant returns which of the shared contents the r-th file of the class has.
func (c *sizeClass) variant(r int64) uint32 { return uint32(r % c.variants) }

// largest returns the largest size of the class.
func (c *sizeClass) largest() int64 { return c.prefix + c.tail + min(c.span, c.count) - 1 }

// sum adds up a function of the sizes of the class.
func (c *sizeClass) sum(f func(size int64) int64) (total int64) {
	full, rest := c.count/c.span, c.count%c.span
	for i := range c.span {
		n := full
		if i < rest {
			n++
		}
		total += n * f(c.prefix+c.tail+i)
	}
	return total
}

// bytes returns the sum of the sizes of the class.
func (c *sizeClass) bytes() int64 {
	full, rest := c.count/c.span, c.count%c.span
	return c.count*(c.prefix+c.tail) + full*(c.span*(c.span-1)/2) + rest*(rest-1)/2
}
