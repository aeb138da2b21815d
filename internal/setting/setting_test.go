package setting

import (
	"math"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryRowHasARangeAndAUnit(t *testing.T) {
	names := map[string]bool{}
	for _, s := range All {
		assert.False(t, names[s.Name], "two rows %s", s.Name)
		names[s.Name] = true
		switch s.Kind {
		case Number:
			assert.NotEmpty(t, s.Unit, s.Name)
			fallthrough
		case Time, Size:
			assert.Less(t, s.Min, s.Max, s.Name)
		case Choice:
			assert.NotEmpty(t, s.Choices, s.Name)
		}
		assert.NotEmpty(t, s.Range(), s.Name)
	}
}

func TestValuesOutsideTheirRangesAreRefused(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"repeats", "9999999999", `out of range: repeats: want 1 to 1000 trials of each kind, have "9999999999"`},
		{"repeats", "0", "want 1 to 1000"},
		{"repeats", "NaN", "want 1 to 1000"},
		{"abusive-every", "-1", "want 1 to 1000000000 files, 0 is never"},
		{"abusive-every", "0", ""},
		{"workers", "99999999999", "want 1 to 10000"},
		{"workers", "8", ""},
		{"limit", "off", ""},
		{"limit", "2Gi", ""},
		{"limit", "1", "want 1MiB to 65536GiB, 0 or off is no limit"},
		{"limit", "-1", "want 1MiB"},
		{"every", "0s", "want 1ms to 1h0m0s"},
		{"every", "9223372036s", "want 1ms to 1h0m0s"},
		{"pyroscope", "nope", "want http://host:port or https://host:port"},
		{"grafana", "javascript:alert(1)", "want http://host:port"},
		{"grafana", "https://grafana.example.com/d", ""},
		{"pyroscope", "http://127.0.0.1:99999", "want http://host:port"},
		{"pyroscope", "http://127.0.0.1:0", "want http://host:port"},
		{"pyroscope", "http://:4040", "want http://host:port"},
		{"pyroscope", "http://[::1]:4040", ""},
		{"sse", "rot13", "want AES256 or aws:kms"},
		{"sse", "aws:kms", ""},
		{"seed", "-5", ""},
		{"a name without a row", "x", ""},
	} {
		err := Text(c.name, c.value)
		if c.want == "" {
			require.NoError(t, err, c.name)
			continue
		}
		require.ErrorIs(t, err, ErrRange)
		require.ErrorContains(t, err, c.want)
	}
	require.Error(t, Int("a name without a row", 1))
	require.ErrorIs(t, Int("repeats", math.MaxInt64), ErrRange)
}

func TestFlagsAreCheckedWhereTheyWereGiven(t *testing.T) {
	fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
	fs.Int("repeats", 0, "how often")
	fs.Duration("every", time.Second, "how often")
	fs.Bool("workers", false, "a switch of the same name")
	require.NoError(t, Flags(fs), "a default may stand for something else")
	require.NoError(t, fs.Parse([]string{"--repeats", "-1", "--every", "2s", "--workers"}))
	err := Flags(fs)
	require.ErrorIs(t, err, ErrRange)
	assert.Equal(t, `--repeats: want 1 to 1000 trials of each kind, have "-1"`, err.Error())
	Document(fs)
	assert.Equal(t, "how often (1 to 1000 trials of each kind)", fs.Lookup("repeats").Usage)
	assert.True(t, Numeric(fs.Lookup("every")))
	assert.False(t, Numeric(fs.Lookup("workers")))
}
