// Command get prints where programs are that tests need, and installs those that are missing, where it may:
//
//	go run ./internal/needs/get npm redis-server
//
// Without names it does so for all; with -list it installs nothing and prints each place of each program that doesn't
// build. It exits with 1 where a program is missing.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/needs"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if slices.Equal(args, []string{"-list"}) {
		for _, p := range needs.Programs {
			if p.Builds {
				continue
			}
			for _, path := range p.All() {
				fmt.Fprintln(stdout, path)
			}
		}
		return exitcode.OK
	}
	if len(args) == 0 {
		for _, p := range needs.Programs {
			args = append(args, p.Name)
		}
	}
	code := exitcode.OK
	for _, name := range args {
		path, err := needs.Find(context.Background(), name)
		if err != nil {
			fmt.Fprintln(stderr, err)
			code = exitcode.Error
			continue
		}
		fmt.Fprintln(stdout, path)
	}
	return code
}
