// Command pack writes this checkout as a version of its module into a directory that the go command can use as a proxy:
//
//	go run ./internal/checkout/pack DIR && GOPROXY=file://DIR,... go install MODULE/soak/cmd/soak@latest
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/memsoak/memsoak/internal/checkout"
	"github.com/memsoak/memsoak/internal/exitcode"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintln(stderr, "pack: give the directory")
		return exitcode.UsageError
	}
	ctx := context.Background()
	root, err := checkout.Root(ctx)
	if err == nil {
		var module, version string
		if module, version, err = checkout.Pack(ctx, root, args[0]); err == nil {
			fmt.Fprintf(stdout, "%s@%s\n", module, version)
			return exitcode.OK
		}
	}
	fmt.Fprintln(stderr, "pack:", err)
	return exitcode.Error
}
