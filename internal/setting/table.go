package setting

import (
	"math"
	"time"
)

const (
	day   = 24 * time.Hour
	mib   = 1 << 20
	tib   = 1 << 40
	most  = 1_000_000_000
	files = "files"
	never = "is never"
)

// All is the table.
var All = []Setting{
	// How much is run.
	{Name: "repeats", Min: 1, Max: 1000, Unit: "trials of each kind"},
	{Name: "tries", Min: 1, Max: 100, Unit: "trials"},
	{Name: "shards", Min: 1, Max: 10_000, Unit: "pods"},
	{Name: "workers", Min: 1, Max: 10_000, Unit: "transfers at once"},
	{Name: "max-workers", Min: 1, Max: 10_000, Unit: "transfers at once"},
	{Name: "discovery-workers", Min: 1, Max: 1000, Unit: "folders at once"},
	{Name: "seed", Min: -math.MaxUint64, Max: math.MaxUint64, Unit: "number"},
	{Name: "generation", Min: 0, Max: math.MaxUint64, Unit: "number"},
	{Name: "leak-bytes", Min: 0, Max: mib, Unit: "bytes a file"},
	{Name: "leak-goroutines", Min: 0, Max: 1000, Unit: "goroutines a file"},
	{Name: "sample", Min: 0, Max: 1_000_000, Unit: "items"},
	{Name: "files", Min: 1, Max: 1_000_000_000_000, Unit: files},

	// How long.
	{Name: "budget", Kind: Time, Min: float64(time.Millisecond), Max: float64(7 * day), Zero: "is the default"},
	{Name: "duration", Kind: Time, Min: float64(time.Second), Max: float64(30 * day), Zero: "is once"},
	{Name: "every", Kind: Time, Min: float64(time.Millisecond), Max: float64(time.Hour)},
	{Name: "for", Kind: Time, Min: float64(time.Millisecond), Max: float64(365 * day), Zero: "is until Ctrl-C"},
	{Name: "progress-interval", Kind: Time, Min: float64(10 * time.Millisecond), Max: float64(day)},
	{Name: "lease", Kind: Time, Min: float64(50 * time.Millisecond), Max: float64(day)},
	{Name: "queue-patience", Kind: Time, Min: float64(time.Millisecond), Max: float64(7 * day)},
	{Name: "others-within", Kind: Time, Min: float64(time.Millisecond), Max: float64(7 * day), Zero: "is for ever"},
	{Name: "stop-timeout", Kind: Time, Min: 0, Max: float64(day)},
	{Name: "backoff", Kind: Time, Min: 1, Max: float64(time.Hour)},
	{Name: "backoff-max", Kind: Time, Min: 1, Max: float64(day)},
	{Name: "idle-timeout", Kind: Time, Min: float64(time.Millisecond), Max: float64(day)},
	{Name: "sink-timeout", Kind: Time, Min: float64(time.Millisecond), Max: float64(day)},
	{Name: "idle-conn-timeout", Kind: Time, Min: float64(time.Millisecond), Max: float64(day), Zero: never},
	{Name: "daily-pause", Kind: Time, Min: float64(time.Millisecond), Max: float64(7 * day),
		Zero: "is until midnight Pacific time"},
	{Name: "token-ttl", Kind: Time, Min: 1, Max: float64(365 * day)},
	{Name: "page-token-ttl", Kind: Time, Min: 1, Max: float64(365 * day)},

	// How many bytes.
	{Name: "limit", Kind: Size, Min: mib, Max: 64 * tib, Zero: "or off is no limit"},
	{Name: "gomemlimit", Kind: Size, Min: 1, Max: 64 * tib},
	{Name: "node", Kind: Size, Min: mib, Max: 64 * tib, Zero: "or off is no limit"},
	{Name: "max", Kind: Size, Min: mib, Max: 64 * tib},
	{Name: "step", Kind: Size, Min: 4 << 10, Max: tib},
	{Name: "largest-file", Kind: Size, Min: 1, Max: 64 * tib},
	{Name: "memory", Kind: Size, Min: mib, Max: 64 * tib},
	{Name: "max-memory", Kind: Size, Min: 1, Max: 64 * tib, Zero: "keeps all on disk"},
	{Name: "max-disk", Kind: Size, Min: 1, Max: 1024 * tib},
	{Name: "min-part", Kind: Size, Min: 1, Max: 5 << 30},
	{Name: "max-put", Kind: Size, Min: 1, Max: 64 * tib},
	{Name: "part-size", Kind: Size, Min: 4 << 10, Max: 5 << 30}, // S3 itself wants 5 MiB, scaled-down trials do not
	{Name: "multipart-threshold", Kind: Size, Min: 0, Max: 5 << 30},
	{Name: "read-buffer", Kind: Size, Min: 512, Max: 1 << 30, Zero: "is the library's own"},
	{Name: "write-buffer", Kind: Size, Min: 512, Max: 1 << 30, Zero: "is the library's own"},
	{Name: "bandwidth", Kind: Size, Min: 1, Max: tib, Zero: "is unlimited"},
	{Name: "min-size", Kind: Size, Min: 0, Max: 64 * tib},
	{Name: "max-size", Kind: Size, Min: 1, Max: 64 * tib, Zero: "is no bound"},

	// Requests and connections.
	{Name: "attempts", Min: 1, Max: 1000, Unit: "tries"},
	{Name: "deliveries", Min: 1, Max: 1_000_000, Unit: "times"},
	{Name: "queue-limit", Min: 1, Max: most, Unit: files},
	{Name: "page-size", Min: 1, Max: 1000, Unit: "entries"},
	{Name: "max-idle-conns", Min: 0, Max: 100_000, Unit: "connections"},
	{Name: "max-idle-conns-per-host", Min: 0, Max: 100_000, Unit: "connections"},
	{Name: "max-conns-per-host", Min: 1, Max: 100_000, Unit: "connections", Zero: "is no bound"},
	{Name: "call-rate", Min: 0.001, Max: 1_000_000, Unit: "requests a second", Zero: "is as many as Drive allows"},
	{Name: "shortcut-depth", Min: 0, Max: 100, Unit: "shortcuts"},
	{Name: "max-files", Min: 1, Max: most, Unit: files},
	{Name: "abusive-every", Min: 1, Max: most, Unit: files, Zero: never},

	// Processes, addresses and choices.
	{Name: "pid", Min: 1, Max: 1 << 22, Unit: "process"},
	{Name: "port", Min: 1, Max: 65535, Unit: "port"},
	{Name: "pyroscope", Kind: URL},
	{Name: "pyroscope-shown", Kind: URL},
	{Name: "pyroscope-url", Kind: URL},
	{Name: "grafana", Kind: URL},
	{Name: "drive-endpoint", Kind: URL},
	{Name: "s3-endpoint", Kind: URL},
	{Name: "s3", Kind: URL},
	{Name: "pprof", Kind: URL},
	{Name: "sse", Kind: Choice, Choices: []string{"AES256", "aws:kms", "aws:kms:dsse"}},
}
