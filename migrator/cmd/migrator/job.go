package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/replace"
	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/wire"
)

// job is one migration's record, written to its directory when it begins and when it ends.
type job struct {
	ID       string          `json:"id"`
	Kind     string          `json:"kind"`
	Root     string          `json:"root"`
	Bucket   string          `json:"bucket"`
	Endpoint string          `json:"endpoint,omitempty"`
	Prefix   string          `json:"prefix"`
	State    string          `json:"state"` // running, done, failed, stopped
	Error    string          `json:"error,omitempty"`
	Started  time.Time       `json:"started"`
	Finished *time.Time      `json:"finished,omitempty"`
	Totals   migrator.Totals `json:"totals"`
	// Reasons counts what wasn't copied by "outcome: reason".
	Reasons map[string]int64 `json:"reasons,omitempty"`
}

// The kinds of jobs.
const (
	kindCopy   = "copy"
	kindVerify = "verify"
	kindDryRun = "dry-run"
)

// newJob begins the record of a migration.
func (s *settings) newJob(root, prefix string) job {
	kind := map[migrator.Mode]string{migrator.ModeCopy: kindCopy, migrator.ModeVerify: kindVerify,
		migrator.ModeDryRun: kindDryRun}[s.copy.Mode]
	return job{ID: jobID(s, root, prefix), Kind: kind, Root: root, Bucket: s.wire.Bucket, Endpoint: s.wire.S3Endpoint,
		Prefix: prefix, State: "running", Started: time.Now().UTC()}
}

// jobID is the same for the same work, so that the same command finds its queue again.
func jobID(s *settings, root, prefix string) string {
	h := sha256.New()
	for _, v := range []string{s.wire.DriveEndpoint, s.wire.DriveID, root, s.wire.S3Endpoint, s.wire.Bucket, prefix} {
		fmt.Fprintf(h, "%d %s\n", len(v), v)
	}
	return hex.EncodeToString(h.Sum(nil)[:idBytes])
}

// idBytes is how much of a hash is a job's id; its hexadecimal digits name the job's directory.
const idBytes = 8

// Files of a job's directory.
const (
	queueDir   = "queue"
	jobFile    = "job.json"
	parkedFile = "parked.ndjson" // of a job that is done; before, the queue has it
)

// runJob runs a migration in a directory of its own. A queue that an earlier run left there is continued. stop ends
// the run gracefully. The returned job, which its file has too, tells how it ended, whatever the error. Of a directory
// whose queue doesn't open, another process's perhaps, the file is left as it is.
func runJob(ctx context.Context, stop <-chan struct{}, dir string, e *wire.Engine, cfg migrator.Config,
	j job) (job, error) {
	q, resumed, err := wire.OpenQueue(filepath.Join(dir, queueDir))
	if err != nil {
		j.State, j.Error = "failed", err.Error()
		return j, err
	}
	if err = j.write(dir); err == nil {
		err = j.migrate(ctx, stop, e, cfg, q, resumed)
	}
	if err == nil {
		err = retire(dir, q)
	} else {
		err = errors.Join(err, q.Close())
	}
	now := time.Now().UTC()
	j.Finished, j.State = &now, "done"
	if err != nil {
		j.State, j.Error = "failed", err.Error()
	}
	if errors.Is(err, migrator.ErrStopped) {
		j.State = "stopped"
	}
	if werr := j.write(dir); err == nil {
		err = werr // after another error, which may well have the same cause, it would say nothing new
	}
	return j, err
}

// migrate copies what the queue has, and counts it.
func (j *job) migrate(ctx context.Context, stop <-chan struct{}, e *wire.Engine, cfg migrator.Config, q wire.Queue,
	resumed bool) error {
	c, err := migrator.New(cfg, e.Source, e.Sink, q)
	if err != nil {
		return exitcode.Usage(err)
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-stop:
			c.Stop()
		case <-done:
		}
	}()
	err = c.Start(ctx, resumed)
	if err == nil {
		err = c.Run(ctx)
	}
	j.Totals, _ = q.Totals(ctx)
	return err
}

// retire removes the queue of a finished job and keeps the list of the items left out.
func retire(dir string, q wire.Queue) error {
	if err := q.Close(); err != nil {
		return err
	}
	err := os.Rename(filepath.Join(dir, queueDir, parkedFile), filepath.Join(dir, parkedFile))
	if errors.Is(err, os.ErrNotExist) {
		err = os.Remove(filepath.Join(dir, parkedFile))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.RemoveAll(filepath.Join(dir, queueDir))
}

// write replaces the job's file atomically.
func (j *job) write(dir string) error {
	b, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	return replace.File(filepath.Join(dir, jobFile), append(b, '\n'), 0o600)
}

// defaultStateDir is where jobs are kept when no flag names a directory.
func defaultStateDir() (string, error) {
	if d := os.Getenv("XDG_STATE_HOME"); d != "" {
		return filepath.Join(d, "migrator"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", exitcode.Usage(fmt.Errorf("no home directory: give --state-dir: %w", err))
	}
	return filepath.Join(home, ".local", "state", "migrator"), nil
}
