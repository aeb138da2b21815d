package record

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/replace"
)

// ErrSchema is returned, wrapped, for a file whose schema is not the one asked for.
var ErrSchema = errors.New("unknown schema")

// Names of the files of a run and of a trial.
const (
	RunFile     = "run.json"
	TrialFile   = "trial.json"
	SamplesFile = "samples.jsonl"
	VerdictFile = "verdict.json"
	LogFile     = "subject.log"
	HeapDir     = "heap"
	RoutineDir  = "goroutine"
)

// ReadRun reads run.json of a run's directory. One of another schema is an error of usage.
func ReadRun(dir string) (*Run, error) {
	run, err := read[Run](filepath.Join(dir, RunFile), RunSchema)
	if errors.Is(err, ErrSchema) {
		err = exitcode.Usage(err)
	}
	return run, err
}

// ReadTrial reads trial.json of a trial's directory.
func ReadTrial(dir string) (*Trial, error) {
	return read[Trial](filepath.Join(dir, TrialFile), TrialSchema)
}

// ReadVerdict reads verdict.json of a trial's directory.
func ReadVerdict(dir string) (*Verdict, error) {
	return read[Verdict](filepath.Join(dir, VerdictFile), VerdictSchema)
}

// ReadRunVerdict reads verdict.json of a run's directory.
func ReadRunVerdict(dir string) (*RunVerdict, error) {
	return read[RunVerdict](filepath.Join(dir, VerdictFile), RunVerdictSchema)
}

func read[T any](path, schema string) (*T, error) {
	b, err := bounded.ReadFile(path, bounded.RunFile)
	if err == nil {
		err = bounded.JSON(b, bounded.RunFile)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if head.Schema != schema {
		return nil, fmt.Errorf("read %s: %w %q, want %q", path, ErrSchema, head.Schema, schema)
	}
	v := new(T)
	if err := json.Unmarshal(b, v); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return v, nil
}

// Write writes v as indented JSON to path, whole or not at all.
func Write(path string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return replace.File(path, append(b, '\n'), 0o644)
}

// ReadSamples calls yield for each line of samples.jsonl of a trial's directory until it returns false. A torn last
// line, as a kill leaves it, ends the reading without an error.
func ReadSamples(dir string, yield func(Sample) bool) error {
	path := filepath.Join(dir, SamplesFile)
	f, err := bounded.Open(path, bounded.Samples)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	var line []byte
	for n := 1; ; n++ {
		line, err = bounded.Line(r, line[:0], bounded.Sample)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		var s Sample
		if err := json.Unmarshal(line, &s); err != nil {
			return fmt.Errorf("read %s line %d: %w", path, n, err)
		}
		if !yield(s) {
			return nil
		}
	}
}
