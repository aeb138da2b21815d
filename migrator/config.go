package migrator

import (
	"errors"
	"fmt"
	"maps"
	"time"
)

// Mode is what a Copier does with the files it finds.
type Mode uint8

// The modes.
const (
	ModeCopy   Mode = iota
	ModeDryRun      // say what would be copied
	ModeVerify      // compare the stored objects with the source
)

// Export says how a kind of Google document leaves Drive.
type Export struct {
	MIME string // what to export to
	Ext  string // appended to the name, with its dot
}

// Config is what a Copier needs to know. Start from [DefaultConfig].
type Config struct {
	Root   string // id of the folder to copy, "root", or SharedWithMe
	Prefix string // what keys begin with; a slash is added if it is missing
	Mode   Mode

	Workers          int // files copied in parallel; default 8
	DiscoveryWorkers int // folders listed in parallel; default 2

	// MultipartThreshold is the largest size, in bytes, that is stored by one request. Above it a file goes in parts
	// and can be taken up again in the middle. Default 1 GiB.
	MultipartThreshold int64
	PartSize           int64 // smallest part, in bytes; grows where 10,000 parts don't suffice. Default 64 MiB

	Attempts    int           // tries of one request; waiting for rate limits takes four times as many. Default 8
	Backoff     time.Duration // longest pause before the second try; doubles for each further one. Default 500 ms
	BackoffMax  time.Duration // Default 30 s
	IdleTimeout time.Duration // a source that sends nothing for as long is given up and asked again. Default 2 min
	SinkTimeout time.Duration // the same for a sink that neither reads nor replies. Default 15 min
	// DailyPause is how long to wait when the day's quota is used up; 0 waits until midnight Pacific time, when
	// Google renews it.
	DailyPause time.Duration

	CallRate  float64 // requests to the source per second; 0 is as many as it allows
	Bandwidth int64   // content bytes per second of all workers; 0 is unlimited

	Filter        Filter
	Exports       map[string]Export // by MIME type of the document; what isn't there is left out and reported
	ShortcutDepth int               // shortcuts to folders followed on the way to a file. Default 1
	Force         bool              // copy unchanged files, too
	SpoolDir      string            // where exports, whose length isn't known before, wait for it; default the system's

	// OnEvent receives every event, from many goroutines in parallel. Optional.
	OnEvent func(Event)
	// Stats counts; share one among several Copiers. Optional.
	Stats *Stats
}

// SharedWithMe as Config.Root copies what others share with the user.
const SharedWithMe = "shared-with-me"

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Workers: 8, DiscoveryWorkers: 2,
		MultipartThreshold: 1 << 30, PartSize: 64 << 20,
		Attempts: 8, Backoff: 500 * time.Millisecond, BackoffMax: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, SinkTimeout: 15 * time.Minute,
		Exports: DefaultExports(), ShortcutDepth: 1,
	}
}

const office = "application/vnd.openxmlformats-officedocument."

var defaultExports = map[string]Export{
	"application/vnd.google-apps.document":     {office + "wordprocessingml.document", ".docx"},
	"application/vnd.google-apps.spreadsheet":  {office + "spreadsheetml.sheet", ".xlsx"},
	"application/vnd.google-apps.presentation": {office + "presentationml.presentation", ".pptx"},
	"application/vnd.google-apps.drawing":      {"image/png", ".png"},
	"application/vnd.google-apps.script":       {"application/vnd.google-apps.script+json", ".json"},
	"application/vnd.google-apps.jam":          {"application/pdf", ".pdf"},
}

// DefaultExports returns the formats that Google documents are exported to, by MIME type of the document.
func DefaultExports() map[string]Export { return maps.Clone(defaultExports) }

// Validate returns an error that names the wrong setting.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Root != "", "no root: say which Drive folder to copy")
	check(c.Workers >= 1, "workers: need at least 1, have %d", c.Workers)
	check(c.DiscoveryWorkers >= 1, "discovery workers: need at least 1, have %d", c.DiscoveryWorkers)
	check(c.PartSize >= 5<<20 && c.PartSize <= 5<<30, "part size: S3 takes 5 MiB to 5 GiB, have %d bytes", c.PartSize)
	check(c.MultipartThreshold >= 0 && c.MultipartThreshold <= 5<<30,
		"multipart threshold: S3 stores at most 5 GiB by one request, have %d bytes", c.MultipartThreshold)
	check(c.Attempts >= 1, "attempts: need at least 1, have %d", c.Attempts)
	check(c.Backoff > 0 && c.BackoffMax >= c.Backoff, "backoff: need 0 < backoff <= longest backoff, have %v and %v",
		c.Backoff, c.BackoffMax)
	check(c.IdleTimeout > 0 && c.SinkTimeout > 0, "timeouts: need more than 0")
	check(c.CallRate >= 0 && c.Bandwidth >= 0, "rates: need 0 (unlimited) or more")
	check(len(c.Prefix) <= MaxKey/2, "prefix: at most %d bytes, have %d", MaxKey/2, len(c.Prefix))
	return errors.Join(append(errs, c.Filter.validate())...)
}
