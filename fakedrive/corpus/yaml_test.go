package corpus

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseSpecReadsEveryKey(t *testing.T) {
	spec, err := ParseSpec([]byte(`
name: mine
seed: 18446744073709551615
files: 1_000_000
folders: 20
depth: 3
fan_out: 4
spread: even
place: deepest
size:
  classes:
    - {share: 1, fixed: 1.5MiB}
    - {share: 2.5, uniform: {max: 10kB}}
    - {share: 3, pareto: {min: 1KiB, alpha: 1.1, max: 1GiB}}
export_size: fixed 11MiB
kinds: {documents: 1%, spreadsheets: 2, presentations: 3, shortcuts: 0.5%, dangling: 4}
flags: {starred: 5, shared_with_me: 6, trashed: 7, trashed_folders: 1}
names: {duplicates: 1, slashes: 2, quotes: 3, emoji: 4, long: 5, spaces: 6%}
shared_drive: Team
`))
	require.NoError(t, err)
	require.Equal(t, &Spec{
		Name: "mine", Seed: 1<<64 - 1, Files: 1_000_000, Folders: 20, Depth: 3, FanOut: 4, Spread: Even, Place: Deepest,
		Size:       Mixed(Class{1, Fixed(3 << 19)}, Class{2.5, Uniform(0, 10_000)}, Class{3, Pareto(1<<10, 1.1, 1<<30)}),
		ExportSize: Fixed(11 << 20),
		Documents:  Amount{Percent: 1}, Spreadsheets: Amount{Count: 2}, Presentations: Amount{Count: 3},
		Shortcuts: Amount{Percent: 0.5}, Dangling: Amount{Count: 4},
		Starred: Amount{Count: 5}, SharedWithMe: Amount{Count: 6}, Trashed: Amount{Count: 7},
		TrashedFolders: Amount{Count: 1},
		Names: Names{Amount{Count: 1}, Amount{Count: 2}, Amount{Count: 3}, Amount{Count: 4}, Amount{Count: 5},
			Amount{Percent: 6}},
		SharedDrive: "Team",
	}, spec)
}

func TestParseSpecReadsSmallWaves(t *testing.T) {
	for text, want := range map[string]Spec{
		"files: 120\nsize: fixed 64KiB\nfolders: 1": {Files: 120, Folders: 1, Size: Fixed(64 << 10)},
		"files: 120\nsize: 64KiB":                   {Files: 120, Size: Fixed(64 << 10)},
		"folders: 200":                              {Folders: 200},
		`{"files": 3, "size": {"fixed": "1MiB"}}`:   {Files: 3, Size: Fixed(1 << 20)},
		"size: {lognormal: {median: 1KiB, sigma: 2, max: 1MiB}}": {
			Size: Lognormal(1<<10, 2, 0, 1<<20)},
	} {
		spec, err := ParseSpec([]byte(text))
		require.NoError(t, err, text)
		require.Equal(t, &want, spec)
		tree, err := New(spec, 0)
		require.NoError(t, err)
		require.Equal(t, 1+want.Files+want.Folders, tree.Len())
	}
}

func TestParseSpecSaysWhereTheProblemIs(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "line 1, column 1: the spec is empty",
		"# nothing":                   "line 1, column 1: the spec is empty",
		"files: [":                    "line 1, column 8: ",
		"seed: 1\n files: 3":          "line 1, column 7: mapping value is not allowed",
		"- 1":                         "line 1, column 1: want a mapping, have sequence",
		"seed: 1\nfils: 3":            `line 2, column 1: unknown key "fils"; there are depth, export_size, fan_out, files`,
		"files: many":                 `line 1, column 8: files: want a whole number, have "many"`,
		"files: 1.5":                  `line 1, column 8: files: want a whole number, have "1.5"`,
		"files: -1":                   "line 1, column 1: files: want 0 to 1000000000, have -1",
		"files:":                      "line 1, column 8: null where a value belongs: ",
		"files: 2000000000":           "line 1, column 1: files: want 0 to 1000000000",
		"files: 99999999999999999999": "line 1, column 8: files: want a whole number",
		"files: 1\nfiles: 2":          "line 2, column 1: ",
		"seed: -1":                    "line 1, column 7: seed: want a whole number from 0 on",
		"size: 5 parsecs":             `line 1, column 7: size: want a size such as 64KiB or a distribution, have "5 `,
		"size: 2TiB":                  "line 1, column 1: size: want 0 to 1TiB",
		"size: 17.5GiB":               "line 1, column 1: size: above 16GiB a size is a whole number of GiB",
		"size: {}": "line 1, column 1: size: want one distribution, have 0; there are " +
			"classes, fixed",
		"size: {fixed: 1, uniform: {max: 2}}":                      "line 1, column 1: size: want one distribution, have 2",
		"size:\n  normal: 3":                                       `line 2, column 3: size: unknown key "normal"; `,
		"size:\n  uniform: {min: 1KiB}":                            "line 2, column 3: size.uniform: max is missing",
		"size:\n  uniform: {min: 2, max: 1}":                       "line 2, column 21: size.max: want min to 1TiB",
		"size:\n  lognormal: {median: 1KiB, sigma: -1, max: 1MiB}": "line 2, column 29: size.sigma: want more than 0",
		"size:\n  lognormal: {median: 1KiB, sigma: .nan, max: 1MiB}": "line 2, column 36: size.lognormal.sigma: want a " +
			"number",
		"size:\n  lognormal: {median: 1TiB, sigma: 0.1, max: 1KiB}": "line 1, column 1: size: hardly any size",
		"size:\n  pareto: {min: 0, alpha: 1, max: 1}":               "line 2, column 12: size.min: want 1 byte or more",
		"size: {classes: 3}":  "line 1, column 17: size.classes: want a list",
		"size: {classes: []}": "line 1, column 8: size.classes: want 1 to 64 classes",
		"size:\n  classes: [" + strings.Repeat("{share: 1, fixed: 3},", 65) + "]": "line 2, column 3: size.classes: want 1 " +
			"to 64 classes, have 65",
		"size:\n  lognormal: {min: 1, median: 1KiB, max: 1MiB}": "line 2, column 3: size.lognormal: sigma is missing",
		"files: 1\nfan_out: 0": "line 2, column 1: fan_out: want 1 to 20000000, have 0; leave it out for the " +
			"default",
		"size:\n  classes:\n    - {fixed: 3}":           "line 3, column 7: size.classes[0]: share is missing",
		"size:\n  classes:\n    - {share: 0, fixed: 3}": "line 3, column 8: size.classes[0].share: want more than 0",
		"size: {classes: [{share: 1, classes: []}]}":    `unknown key "classes"`,
		"files: 9\nkinds: {documents: 10}": "line 2, column 9: kinds.documents: 10 are more than the 9 files " +
			"there are",
		"files: 9\nkinds: {documents: 80%, dangling: 5}": "line 2, column 25: kinds.dangling: 12 are more than the 9 files " +
			"there are",
		"files: 9\nkinds: {documents: 101%}": "line 2, column 9: kinds.documents: want a number from 0 on or a " +
			"percentage",
		"files: 9\nkinds: {shortcuts: 9}": "line 2, column 9: kinds.shortcuts: there is no binary file",
		"files: 9\nflags: {starred: x%}":  `line 2, column 18: flags.starred: want a number or a percentage, have "x%"`,
		"folders: 9\nflags: {trashed_folders: 99}": "line 2, column 9: flags.trashed_folders: 99 are more than the 9 " +
			"folders of the deepest level",
		"spread: wide":         `line 1, column 9: spread: want even or varied, have "wide"`,
		"folders: 3\ndepth: 4": "line 2, column 1: depth: 4 levels need as many folders, have 3",
		"folders: 31\ndepth: 4\nfan_out: 2": "line 1, column 1: folders: 31 don't fit into depth 4 with a fan-out of 2 (30 " +
			"at most)",
		"folders: 30000\nfan_out: 1":    "line 2, column 1: fan_out: a fan-out of 1 makes a chain of 30000 folders",
		"files: 1000000000\nsize: 1TiB": "line 2, column 1: size: 1000000000 files of up to 1099511627776 bytes",
		"seed: 1\n---\nseed: 2":         "line 2, column 1: one document only",
		"size:":                         "line 1, column 7: null where a value belongs: ",
		"kinds:":                        "line 1, column 8: null where a value belongs: ",
		"1: 3":                          "line 1, column 1: a key is a text, and this is of the kind integer: ",
		"<<: {files: 3}":                "line 1, column 1: anchors, aliases, merge keys",
		"seed: &a 1\nfiles: *a":         "line 1, column 7: anchors, aliases, merge keys",
		strings.Repeat("#", 64<<10+1):   "line 1, column 1: too large: a corpus spec has at most 65536 bytes",
	} {
		_, err := ParseSpec([]byte(text))
		var at *SpecError
		if assert.ErrorAs(t, err, &at, text) {
			assert.Contains(t, err.Error(), want, text)
			assert.NotContains(t, err.Error(), "\n", text)
		}
	}
}

func TestLoadTakesPresetsAndFiles(t *testing.T) {
	spec, err := Load("tiny")
	require.NoError(t, err)
	require.Equal(t, "tiny", spec.Name)
	file := filepath.Join(t.TempDir(), "mine.yaml")
	require.NoError(t, os.WriteFile(file, []byte("files: 3"), 0o600))
	spec, err = Load(file)
	require.NoError(t, err)
	require.Equal(t, &Spec{Name: "mine", Files: 3}, spec)
	require.NoError(t, os.WriteFile(file, []byte("files: x"), 0o600))
	_, err = Load(file)
	require.EqualError(t, err, file+`: line 1, column 8: files: want a whole number, have "x"`)
	_, err = Load("nothing")
	require.ErrorContains(t, err, `no corpus and no file named "nothing"; the corpora are bench-large`)
	_, err = Load(t.TempDir())
	require.Error(t, err)
	_, err = PresetText("../presets/tiny")
	require.Error(t, err)
}

func FuzzParseSpec(f *testing.F) {
	for _, name := range Presets() {
		text, err := PresetText(name)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(everything))
	f.Add([]byte("size: {classes: [{share: 1e12, pareto: {min: 1, alpha: 1e-9, max: 1TiB}}]}\nfiles: 3"))
	f.Fuzz(func(t *testing.T, text []byte) {
		spec, err := ParseSpec(text)
		if err != nil {
			var at *SpecError
			require.True(t, errors.As(err, &at), "%v", err)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		tree, err := New(spec, 1)
		require.NoError(t, err)
		require.Equal(t, 1+spec.Files+spec.Folders, tree.Len())
		for _, n := range []int64{0, tree.Len() / 3, tree.Len() / 2, tree.Len() - 1} {
			it := tree.Item(n)
			require.GreaterOrEqual(t, it.Size, int64(0))
			require.LessOrEqual(t, it.Size, MaxSize)
			first, count := tree.Children(n)
			require.LessOrEqual(t, first+count, tree.Len())
			if n > 0 {
				first, count := tree.Children(it.Parent)
				require.True(t, first <= n && n < first+count)
			}
			back, ok := tree.Ordinal(tree.ID(n))
			require.True(t, ok && back == n)
		}
	})
}

func FuzzParseID(f *testing.F) {
	tree := mustTree(f, everything)
	f.Add(tree.ID(3))
	f.Add("root")
	f.Fuzz(func(t *testing.T, id string) {
		if k, n, ok := ParseID(id); ok {
			require.Equal(t, id, string(idCoder{k}.append(nil, n)), "another spelling of an id")
		}
	})
}
