// Package broker has what the queues on brokers have in common: a migration that many processes share is described in
// the broker itself, so that any of them can join it. It has no queue of its own.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/memsoak/memsoak/migrator"
)

// Migration describes the work that a queue holds.
type Migration struct {
	ID       string    `json:"id"` // the same for the same work
	Root     string    `json:"root"`
	Bucket   string    `json:"bucket"`
	Endpoint string    `json:"endpoint,omitempty"`
	Prefix   string    `json:"prefix"`
	Fresh    bool      `json:"fresh"` // nothing was stored below the prefix when it began
	Started  time.Time `json:"started"`
}

// Status is how far a migration is, over all processes.
type Status struct {
	Migration Migration        `json:"migration"`
	Totals    migrator.Totals  `json:"totals"`
	Folders   int64            `json:"folders_left"` // pages of folders not yet listed
	Files     int64            `json:"files_left"`   // files queued or being copied
	Workers   int64            `json:"processes"`    // that were alive a lease ago
	Reasons   map[string]int64 `json:"reasons,omitempty"`
}

// Done says that nothing is left and nothing can come.
func (s *Status) Done() bool { return s.Folders == 0 && s.Files == 0 }

// Queue is a migrator.Queue that many processes have open.
type Queue interface {
	migrator.Queue
	migrator.Counter
	// Begin begins a migration with its root, or returns the one that is there already. restart forgets that first.
	Begin(ctx context.Context, m Migration, root migrator.Item, restart bool) (Migration, error)
	// Migration returns what the queue holds; ErrNone when it holds nothing.
	Migration(ctx context.Context) (Migration, error)
	Status(ctx context.Context) (Status, error)
	// Parked returns the items given up or left out with an outcome, oldest first and at most max.
	Parked(ctx context.Context, o migrator.Outcome, max int64) ([]migrator.Parked, error)
	// Forget removes a migration that is done, and all that is known of it, from the broker; ErrUnfinished, and it stays,
	// when it isn't done, unless that is wanted.
	Forget(ctx context.Context, unfinished bool) error
	// Close returns what this process holds to the others.
	Close() error
}

// Options are the settings of a queue on a broker. Start from [DefaultOptions].
type Options struct {
	Name string // several migrations share a broker under different names
	// Limit bounds the broker's memory: above as many queued files, discovery waits for uploads.
	Limit int64
	// Lease is how long an item stays with a process that gives no sign of life.
	Lease time.Duration
	// Deliveries is how often an item is handed out. One that outlives as many processes is parked.
	Deliveries int64
	// Prefetch is how many files a process takes at a time while many are queued; its number of workers is a good
	// value.
	Prefetch int
	// Patience is how long calls wait for a broker that has become unreachable.
	Patience time.Duration
}

// DefaultOptions returns the defaults.
func DefaultOptions() Options {
	return Options{Name: "migrator", Limit: 100_000, Lease: 30 * time.Second, Deliveries: 10, Prefetch: 8,
		Patience: time.Minute}
}

var nameRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Validate returns an error that names the wrong option.
func (o *Options) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(nameRE.MatchString(o.Name), "queue name %q: want letters, digits, dots, dashes and underscores, at most 100",
		o.Name)
	check(o.Limit >= 1000, "queue limit: need at least 1000 files, have %d", o.Limit)
	check(o.Lease >= 100*time.Millisecond, "lease: need at least 100ms, have %v", o.Lease)
	check(o.Deliveries >= 1, "deliveries: need at least 1, have %d", o.Deliveries)
	check(o.Prefetch >= 1, "prefetch: need at least 1, have %d", o.Prefetch)
	check(o.Patience >= 0, "patience: need 0 or more, have %v", o.Patience)
	return errors.Join(errs...)
}

var (
	// ErrNone means that no migration was begun in the queue.
	ErrNone = errors.New("no migration was begun here: start one with 'migrator discover'")
	// ErrUnfinished means that a migration isn't done.
	ErrUnfinished = errors.New("the migration isn't finished")
	// ErrSchema means that the queue isn't one of this version's.
	ErrSchema = errors.New("not a queue of this version of the migrator: give another --queue-name, or remove it from " +
		"the broker")
	// ErrLost means that a migration that was there is gone.
	ErrLost = errors.New("the broker has lost the migration, or somebody has removed it: see that it is persistent and " +
		"begin anew with 'migrator discover --restart'; what was copied is skipped")
)

// Redact returns a broker's URL without its password, for messages.
func Redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}
