// Command genstates computes the table of checksum states that package content embeds: an hour of hashing. It continues
// where an earlier run stopped.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/memsoak/memsoak/fakedrive/corpus/internal/content"
	"github.com/memsoak/memsoak/internal/replace"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("genstates", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("out", "states.bin", "the table to write or to complete")
	if flags.Parse(args) != nil {
		return 2
	}
	if err := generate(*out, stderr); err != nil {
		fmt.Fprintln(stderr, "genstates:", err)
		return 1
	}
	return 0
}

// generate fills the file's missing records: all zero, or past its end.
func generate(file string, progress io.Writer) error {
	table, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	whole := make([]byte, content.Records()*content.StateSize)
	copy(whole, table)
	for v := uint32(content.LargeVariants); v > 0; v-- {
		if err := chain(file, whole, v-1, progress); err != nil {
			return err
		}
	}
	return nil
}

// chain computes the missing records of one variant, in order, and saves the table every now and then.
func chain(file string, table []byte, variant uint32, progress io.Writer) error {
	var s content.State
	var at, saved int64
	for _, c := range content.Checkpoints(variant) {
		record := table[c.Record*content.StateSize:][:content.StateSize]
		if known := content.State(record); known != (content.State{}) {
			s, at, saved = known, c.Offset, c.Offset
			continue
		}
		s = advance(variant, s, at, c.Offset)
		at = c.Offset
		copy(record, s[:])
		if at-saved >= 8<<30 {
			if err := replace.File(file, table, 0o644); err != nil {
				return err
			}
			saved = at
			fmt.Fprintf(progress, "variant %d: %d GiB\n", variant, (at+content.Lag)>>30)
		}
	}
	return replace.File(file, table, 0o644)
}

// advance is content.Advance on two cores: MD5 takes as long as the other two.
func advance(variant uint32, s content.State, from, to int64) content.State {
	a, b := s, s
	var wg sync.WaitGroup
	wg.Go(func() { a.Continue(content.NewHasher(), 0, variant, from, to) })
	b.Continue(content.NewHasher(), 1, variant, from, to)
	b.Continue(content.NewHasher(), 2, variant, from, to)
	wg.Wait()
	copy(a[content.MD5Size:], b[content.MD5Size:])
	return a
}
