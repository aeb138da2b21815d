package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak/replay/history"
)

func TestWrongUsageIsOneLineAndCode2(t *testing.T) {
	endpoints := []string{"--drive-endpoint=http://127.0.0.1:1", "--s3-endpoint=http://127.0.0.1:2", "--bucket=b"}
	for want, args := range map[string][]string{
		`no preset "v9"`:    append([]string{"serve", "--preset=v9"}, endpoints...),
		"--scale 0":         append([]string{"serve", "--scale=0"}, endpoints...),
		`"much"`:            append([]string{"serve", "--part-size=much"}, endpoints...),
		"no bucket":         {"serve", "--drive-endpoint=http://127.0.0.1:1"},
		"no broker":         append([]string{"serve", "--discovery=broker"}, endpoints...),
		"unknown flag":      {"serve", "--nope"},
		"want at least 1":   {"presets", "--scale=-1"},
		`unknown command "`: {"nope"},
	} {
		var out, errs bytes.Buffer
		assert.Equal(t, exitcode.UsageError, run(args, &out, &errs), args)
		assert.Contains(t, errs.String(), want)
		assert.Equal(t, 1, strings.Count(errs.String(), "\n"), errs.String())
	}
}

func TestPresetsMarkWhatIsAssumed(t *testing.T) {
	var out, errs bytes.Buffer
	require.Equal(t, exitcode.OK, run([]string{"presets"}, &out, &errs), errs.String())
	for _, name := range history.Names() {
		assert.Contains(t, out.String(), name)
	}
	assert.Contains(t, out.String(), "10MiB *")
	out.Reset()
	require.Equal(t, exitcode.OK, run([]string{"presets", "--json", "--scale=16"}, &out, &errs))
	var got []struct {
		Name     string
		Limit    int64
		Settings []history.Setting
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	require.Len(t, got, 6)
	assert.EqualValues(t, 256<<20, got[0].Limit)
	assert.NotEmpty(t, got[0].Settings)
}

// TestAFlagWinsOverThePreset for every trait, so that none is a flag without effect.
func TestAFlagWinsOverThePreset(t *testing.T) {
	values := map[string]string{"timeout": "7s", "discovery": "spool", "upload": "chunks"}
	names := 0
	(&serveFlags{}).flags().VisitAll(func(flag *pflag.Flag) {
		names++
		value := values[flag.Name]
		if value == "" {
			value = "7"
		}
		f := serveFlags{preset: "v2.3.6", scale: 16}
		fl := f.flags()
		plain, err := f.resolve(fl)
		require.NoError(t, err)
		require.NoError(t, fl.Set(flag.Name, value))
		changed, err := f.resolve(fl)
		require.NoError(t, err)
		assert.NotEqual(t, plain, changed, "--%s", flag.Name)
	})
	assert.Equal(t, 13, names)
}

// flags are those of the traits alone.
func (f *serveFlags) flags() *pflag.FlagSet {
	fl := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.register(fl)
	return fl
}
