package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/memsoak/memsoak/internal/units"
)

// shown is how many files of each outcome the summary names.
const shown = 20

// maxReasons bounds the reasons that are counted apart.
const maxReasons = 100

// parkedLine is a line of the parked file.
type parkedLine struct {
	Outcome string `json:"outcome"`
	ID      string `json:"id"`
	Path    string `json:"path"`
	Reason  string `json:"reason"`
	Detail  string `json:"detail,omitempty"`
}

// eachParked calls f with each line of a parked file; there need be none.
func eachParked(path string, f func(parkedLine)) error {
	in, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var p parkedLine
		if err := json.Unmarshal(line, &p); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		f(p)
	}
}

// reasons counts a parked file's lines by "outcome: reason".
func reasons(path string) (map[string]int64, error) {
	n := map[string]int64{}
	err := eachParked(path, func(p parkedLine) {
		key := p.Outcome + ": " + p.Reason
		if _, known := n[key]; !known && len(n) >= maxReasons {
			key = p.Outcome + ": other"
		}
		n[key]++
	})
	return n, err
}

// summary prints how a job ended, for people.
func (j *job) summary(w io.Writer, parked string) error {
	t := j.Totals
	took := time.Since(j.Started)
	if j.Finished != nil {
		took = j.Finished.Sub(j.Started)
	}
	fmt.Fprintf(w, "%s: %s in %v\n", j.State, j.what(), took.Round(time.Millisecond))
	fmt.Fprintf(w, "  %-12s %d of %d (%s)\n", j.verb(), t.Copied, t.Files, units.FormatBytes(max(t.Bytes, 0)))
	for _, l := range []struct {
		name string
		n    int64
	}{{"unchanged", t.Skipped}, {"left out", t.Filtered}, {"unavailable", t.Unavailable}, {"failed", t.Failed}} {
		if l.n > 0 {
			fmt.Fprintf(w, "  %-12s %d\n", l.name, l.n)
		}
	}
	count := map[string]int{}
	err := eachParked(parked, func(p parkedLine) {
		if p.Outcome == "filtered" {
			return
		}
		// What verify finds is its result, and its list goes with its temporary folder: all of it is printed.
		if count[p.Outcome]++; count[p.Outcome] <= shown || j.Kind == kindVerify {
			fmt.Fprintf(w, "  %s: %s (%s): %s\n", p.Outcome, p.Path, p.Reason, p.Detail)
		}
	})
	for _, o := range slices.Sorted(maps.Keys(count)) {
		if more := count[o] - shown; more > 0 && j.Kind != kindVerify {
			fmt.Fprintf(w, "  ... and %d more %s: see %s\n", more, o, parked)
		}
	}
	return err
}

func (j *job) what() string {
	return fmt.Sprintf("%s -> %s/%s", j.Root, j.Bucket, j.Prefix)
}

func (j *job) verb() string {
	switch j.Kind {
	case kindVerify:
		return "verified"
	case kindDryRun:
		return "would copy"
	}
	return "copied"
}
