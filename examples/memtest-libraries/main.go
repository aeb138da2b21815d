// Command memtest-libraries tries memtest on real libraries: at a version whose leak is known, and at a later one
// without. Each is required by a module of its own, as a user would, and comes from the Go module proxy.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// The exit codes of every command of memsoak.
const (
	exitOK           = 0
	exitError        = 1
	exitUsage        = 2
	exitInconclusive = 3
	exitFailed       = 99
)

const usage = `usage: memtest-libraries [-only NAME] [-fresh] [-memtest DIR] [-json]

Runs memtest on real libraries and prints what it found. Example:

	go run . -only ants

`

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("memtest-libraries", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage); flags.PrintDefaults() }
	only := flags.String("only", "", "run the cases whose name has this part")
	fresh := flags.Bool("fresh", false, "run the libraries that memtest met after it was finished instead")
	dir := flags.String("memtest", "../../profiles/memtest", "directory of the module memtest")
	asJSON := flags.Bool("json", false, "print rows as JSON, one a line")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return exitOK
	} else if err != nil {
		return exitUsage
	}
	memtest, err := filepath.Abs(*dir)
	if err == nil {
		_, err = os.Stat(filepath.Join(memtest, "go.mod"))
	}
	if err != nil {
		fmt.Fprintf(stderr, "memtest-libraries: %v: give the module's directory with -memtest\n", err)
		return exitUsage
	}
	var rows []row
	for _, c := range map[bool][]libraryCase{false: cases, true: freshCases}[*fresh] {
		if !strings.Contains(c.name, *only) {
			continue
		}
		r, err := try(c, memtest)
		if err != nil {
			fmt.Fprintf(stderr, "memtest-libraries: %s: %v\n", c.name, err)
			return exitError
		}
		rows = append(rows, r)
		if *asJSON {
			if err := json.NewEncoder(stdout).Encode(r); err != nil {
				fmt.Fprintf(stderr, "memtest-libraries: %v\n", err)
				return exitError
			}
		} else {
			fmt.Fprintf(stderr, "%s: %.1f s and %.1f s\n", c.name, r.Leaking.Seconds, r.Mended.Seconds)
		}
	}
	if len(rows) == 0 {
		fmt.Fprintf(stderr, "memtest-libraries: no case has %q in its name\n", *only)
		return exitUsage
	}
	more, err := added(cases[0], memtest)
	if err != nil {
		fmt.Fprintf(stderr, "memtest-libraries: %v\n", err)
		return exitError
	}
	if !*asJSON {
		printTable(stdout, rows)
		fmt.Fprintf(stdout, "%-42s %d (asked for: 1)\n", "modules that requiring memtest adds", more)
	}
	if more != 1 {
		return exitFailed
	}
	return totals(rows).exit()
}
