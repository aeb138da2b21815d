package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/memsoak/memsoak/internal/setting"
)

// input is one wrong command line.
type input struct {
	kind, program string
	args          []string
}

// generator makes wrong inputs.
type generator struct {
	dir   string
	rng   *rand.Rand
	flags []flagOf // the flags with a row in the registry, of all commands
	files int
}

// flagOf is a flag of a command.
type flagOf struct {
	program string
	command []string
	row     setting.Setting
}

// commands are those that the programs have, with arguments that leave only the flag to be wrong.
var commands = []struct {
	program string
	command []string
	args    []string
}{
	{"soak", []string{"run"}, []string{"--dry-run"}},
	{"soak", []string{"limit"}, nil},
	{"soak", []string{"record"}, nil},
	{"soak", []string{"plan"}, []string{"run"}},
	{"soak", []string{"gate"}, []string{"run"}},
	{"soak", []string{"diagnose"}, []string{"run"}},
	{"soak", []string{"holders"}, nil},
	{"soak", []string{"bisect"}, nil},
	{"soak", []string{"verify"}, nil},
	{"soak", []string{"push"}, []string{"run"}},
	{"soak", []string{"report"}, []string{"run"}},
	{"soak", []string{"view"}, []string{"run"}},
	{"soak", []string{"merge"}, []string{"run"}},
	{"soak", []string{"k8s"}, nil},
	{"soak", []string{"canary"}, nil},
	{"soak", []string{"init"}, nil},
	{"soak", []string{"gateway"}, nil},
	{"soak", []string{"baseline", "accept"}, []string{"run"}},
	{"soak", []string{"subject", "check"}, []string{"x.yaml"}},
	{"soak", []string{"fakes3", "serve"}, nil},
	{"migrator", []string{"copy"}, []string{"--bucket=b", "root"}},
	{"migrator", []string{"serve"}, nil},
	{"migrator", []string{"discover"}, []string{"root"}},
	{"migrator", []string{"upload"}, nil},
	{"migrator", []string{"verify"}, []string{"root"}},
	{"migrator", []string{"status"}, nil},
	{"migrator", []string{"forget"}, nil},
	{"fakedrive", []string{"serve"}, nil},
	{"fakedrive", []string{"corpus", "show"}, []string{"tiny"}},
}

// flagLine is a line of --help that names a flag with a value.
var flagLine = regexp.MustCompile(`(?m)^ +(?:-., )?--([a-z0-9-]+) [a-zA-Z]`)

func newGenerator(bin, dir string, rng *rand.Rand) (*generator, error) {
	g := &generator{dir: dir, rng: rng}
	for _, c := range commands {
		out, err := exec.Command(filepath.Join(bin, c.program), append(append([]string{}, c.command...),
			"--help")...).Output()
		if err != nil {
			return nil, fmt.Errorf("%s %s --help: %w", c.program, strings.Join(c.command, " "), err)
		}
		for _, m := range flagLine.FindAllStringSubmatch(string(out), -1) {
			if row, ok := setting.Find(m[1]); ok {
				g.flags = append(g.flags, flagOf{c.program, append(append([]string{}, c.command...), c.args...), row})
			}
		}
	}
	if len(g.flags) == 0 {
		return nil, fmt.Errorf("no command in %s has a flag of the registry", bin)
	}
	return g, nil
}

// next makes the next input. The kinds come in turn, so that a short form has all of them.
func (g *generator) next() (input, error) {
	kinds := []func() (input, error){g.outside, g.outside, g.unknown, g.config, g.config, g.folder}
	g.files++
	return kinds[g.files%len(kinds)]()
}

func pick[T any](g *generator, list []T) T { return list[g.rng.IntN(len(list))] }

// noise is a text that no setting means.
func (g *generator) noise() string {
	return pick(g, []string{
		"-1", "nope", "99999999999999999999999", "-99999999999999999999999", "1e400", "NaN", "Inf", "\x1b[31mred", "a\nb\nc",
		"javascript:alert(1)",
		"../../etc/passwd", strings.Repeat("9", 5000), strings.Repeat("x", 20_000), "\xff\xfe", "0x7fffffffffffffff",
		"{{range 1000000000000}}x{{end}}",
		fmt.Sprintf("-%d", g.rng.Uint64()), fmt.Sprintf("%d%d", g.rng.Uint64(), g.rng.Uint64()), fmt.Sprintf("%dQiB",
			g.rng.IntN(1000)), fmt.Sprintf("%dfortnights", g.rng.IntN(100)),
	})
}

// outside gives a flag a value outside its range.
func (g *generator) outside() (input, error) {
	f := pick(g, g.flags)
	value := g.noise()
	for f.row.Check(value) == nil {
		value = g.noise()
	}
	return input{"flag", f.program, append(append([]string{}, f.command...), "--"+f.row.Name+"="+value)}, nil
}

// unknown names commands, flags and arguments that there are not.
func (g *generator) unknown() (input, error) {
	c := pick(g, commands)
	word := fmt.Sprintf("no-%x", g.rng.Uint32())
	if g.rng.IntN(4) == 0 {
		word += strings.Repeat("\x1b]0;x\a", 1+g.rng.IntN(200))
	}
	args := append([]string{}, c.command...)
	if g.rng.IntN(3) == 0 {
		return input{"unknown", c.program, []string{word}}, nil
	}
	return input{"unknown", c.program, append(args, "--"+word, g.noise())}, nil
}

// broken is the text of a file that no reader accepts.
func (g *generator) broken() string {
	n := 1 << (4 + g.rng.IntN(17)) // up to 1 MiB
	unit := pick(g, []string{"[", "{a: ", "- ", "[{", "a: [", "&a [*a, ", "\x00", "\xff", "%", "? ", "}", "]", "a: b: c\n",
		"\t- x\n", `"`})
	text := strings.Repeat(unit, max(1, n/len(unit)))
	return pick(g, []string{"", "unknown_key: 1\n", "{\"unknown_key\": [1, 2,", "name: [\n"}) + text
}

// readers are the command lines that read a file, by the place of the file.
var readers = []struct {
	program string
	args    []string
}{
	{"soak", []string{"run", "--dry-run", "--subject", "FILE.yaml"}},
	{"soak", []string{"run", "--dry-run", "-f", "FILE.yaml"}},
	{"soak", []string{"run", "--dry-run", "--corpus", "FILE.yaml"}},
	{"soak", []string{"run", "--dry-run", "--protocol", "FILE.yaml"}},
	{"soak", []string{"run", "--dry-run", "--set", "drive_faults=FILE.yaml", "--cells", "((("}},
	{"soak", []string{"subject", "check", "FILE.yaml"}},
	{"soak", []string{"k8s", "-f", "FILE.yaml"}},
	{"soak", []string{"gateway", "--config", "FILE.yaml"}},
	{"soak", []string{"fakes3", "serve", "--faults", "FILE.yaml"}},
	{"soak", []string{"diagnose", "FILE.pb.gz"}},
	{"soak", []string{"diagnose", "FILE.yaml"}},
	{"soak", []string{"verify", "FILE.yaml"}},
	{"migrator", []string{"copy", "--config", "FILE.yaml", "--bucket", "b", "root"}},
	{"migrator", []string{"serve", "--config", "FILE.yaml"}},
	{"migrator", []string{"copy", "--ca-file", "FILE.yaml", "--drive-endpoint", "http://127.0.0.1:1", "--attempts", "1",
		"--bucket", "b", "root"}},
	{"fakedrive", []string{"serve", "--faults", "FILE.yaml"}},
	{"fakedrive", []string{"serve", "--corpus", "FILE.yaml"}},
	{"fakedrive", []string{"corpus", "show", "FILE.yaml"}},
}

// config gives a command a malformed file, a folder, or a path without a file.
func (g *generator) config() (input, error) {
	r := pick(g, readers)
	path := filepath.Join(g.dir, fmt.Sprintf("f%d", g.files))
	args := make([]string, len(r.args))
	for i, a := range r.args {
		if ext, ok := strings.CutPrefix(a[strings.LastIndex(a, "=")+1:], "FILE"); ok {
			path += ext
			a = strings.Replace(a, "FILE"+ext, path, 1)
		}
		args[i] = a
	}
	var err error
	switch g.rng.IntN(8) {
	case 0: // it is not there
	case 1:
		err = os.Mkdir(path, 0o700)
	case 2:
		err = os.Symlink("/dev/zero", path)
	default:
		err = os.WriteFile(path, []byte(g.broken()), 0o600)
	}
	return input{"file", r.program, args}, err
}

// folders are the command lines that read a recorded run.
var folders = [][]string{
	{"report", "DIR"}, {"gate", "DIR"}, {"plan", "DIR", "--limit", "2Gi"}, {"view", "DIR"}, {"push", "DIR", "--pyroscope",
		"http://127.0.0.1:1"},
	{"merge", "DIR", "DIR", "--out", "joined"}, {"baseline", "accept", "DIR"}, {"diagnose", "DIR", "--strict"},
	{"verify", "DIR"},
	{"run", "--resume", "--out", "DIR"},
}

// folder gives a command a folder that is no run, or a damaged one.
func (g *generator) folder() (input, error) {
	dir := filepath.Join(g.dir, fmt.Sprintf("d%d", g.files))
	args := append([]string{}, pick(g, folders)...)
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "DIR", dir)
	}
	how := g.rng.IntN(6)
	if how == 0 { // it is not there
		return input{"folder", "soak", args}, nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return input{}, err
	}
	run := filepath.Join(dir, "run.json")
	var err error
	switch how {
	case 1: // empty
	case 2:
		err = os.Symlink("/dev/zero", run)
	case 3:
		err = os.WriteFile(run, []byte(pick(g, []string{"", "null", "[]", "{}", `{"schema":"memsoak/run/v99"}`,
			`{"schema":"memsoak/run/v1","cells":7}`})), 0o600)
	case 4:
		err = os.WriteFile(filepath.Join(dir, "holiday.txt"), []byte("no run"), 0o600)
	default:
		err = os.WriteFile(run, []byte(g.broken()), 0o600)
	}
	return input{"folder", "soak", args}, err
}
