package units

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSizesAreReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]int64{"off": 0, "none": 0, "0": 0, "7": 7, "2Gi": 2 << 30, "2 GiB": 2 << 30,
		"1800MiB": 1800 << 20, "64k": 64_000, "64KB": 64_000, "1.5G": 1_500_000_000, "1,024 b": 1024, " 3m ": 3_000_000,
		"9007199254740993": 9007199254740993, "7Ei": 7 << 60} {
		n, err := ParseBytes(text)
		assert.NoError(t, err, text)
		assert.Equal(t, want, n, text)
	}
	for _, text := range []string{"", "x", "-1", "1 parsec", "8Ei", "1.2.3", "99999999999999999999", "GiB", "1e3", "NaN"} {
		_, err := ParseBytes(text)
		assert.ErrorContains(t, err, "is not a size", text)
	}
}

func TestFiguresForPeople(t *testing.T) {
	for want, n := range map[string]int64{"0 B": 0, "9 B": 9, "1023 B": 1023, "1.0 KiB": 1024, "1.8 GiB": 1932735283,
		"9.9 KiB": 10188, "10 KiB": 10189, "17 MiB": 17 << 20, "-2.0 GiB": -2 << 30, "8.0 EiB": math.MaxInt64,
		"-8.0 EiB": math.MinInt64} {
		assert.Equal(t, want, FormatBytes(n))
	}
	for want, n := range map[string]int64{"0": 0, "999": 999, "1,000": 1000, "1,234,567": 1234567, "-999": -999,
		"-1,000": -1000} {
		assert.Equal(t, want, Comma(n))
	}
	assert.Equal(t, "1,234.5", CommaFloat(1234.5, 3))
	assert.Equal(t, "1,235", CommaFloat(1234.9999, 3))
	assert.Equal(t, "-12", CommaFloat(-12.3, 0))
	assert.Equal(t, "10,200", CommaFloat(10200, 0), "zeros before the point stay")
	assert.Equal(t, "+Inf", CommaFloat(math.Inf(1), 3))
}

func TestCountHasItsPlural(t *testing.T) {
	assert.Equal(t, "1 cell", Count(1, "cell"))
	assert.Equal(t, "0 cells", Count(0, "cell"))
	assert.Equal(t, "1,200 trials", Count(int64(1200), "trial"))
	assert.Equal(t, "1 worker is", CountIs(1, "worker"))
	assert.Equal(t, "2 workers are", CountIs(2, "worker"))
}

func TestSizesReadWhatTheyWrite(t *testing.T) {
	for _, b := range []Bytes{0, 1, 1000, 1 << 10, 5 << 20, 2 << 30, 8e9} {
		var got Bytes
		assert.NoError(t, got.Set(b.String()))
		assert.Equal(t, b, got)
	}
	b := Bytes(7)
	assert.Error(t, b.Set("much"))
	assert.Equal(t, Bytes(7), b, "a wrong text changes nothing")
}
