package main

import "embed"

//go:embed cases/*.go.txt
var sources embed.FS

//go:embed harness.go.txt
var harness string

// class is what a library leaks, as memtest names it.
type class string

const (
	heap        class = "heap"
	goroutines  class = "goroutines"
	connections class = "connections"
	fills       class = "none: a cache that fills"
	buffers     class = "none: pooled buffers"
	churns      class = "none: keys come and go"
)

// leaks reports whether an alarm is right.
func (c class) leaks() bool { return c == heap || c == goroutines || c == connections }

// libraryCase is a library at two versions. Its source is cases/NAME.go.txt; there a comment "leak" ends the line of
// the user that leads to it.
type libraryCase struct {
	name, module    string
	leaking, mended string
	class           class
	known           string // the leak in a few words
}

var cases = []libraryCase{
	{
		"ants", "github.com/panjf2000/ants/v2", "v2.7.0", "v2.7.1",
		goroutines, "Release leaves the pool's clock running",
	},
	{
		"memdb", "github.com/hashicorp/go-memdb", "v1.3.2", "v1.3.4",
		goroutines, "WatchCtx of many channels leaves watchers behind",
	},
	{"gocron", "github.com/go-co-op/gocron/v2", "v2.16.2", "v2.16.4", heap, "a refused job keeps its context"},
	{
		"fsnotify", "github.com/fsnotify/fsnotify", "v1.6.0", "v1.7.0",
		heap, "a renamed file stays in the watcher's tables",
	},
	{
		"prometheus", "github.com/prometheus/client_golang", "v1.11.0", "v1.11.1",
		heap, "CVE-2022-21698: a label for each method",
	},
	{
		"sessions", "github.com/gorilla/sessions", "v1.1.1", "v1.2.0",
		heap, "a registry for each request in a global map",
	},
	{
		"openai", "github.com/openai/openai-go/v2", "v2.1.1", "v2.3.0",
		connections, "a retried response's body stays open",
	},
	{"ristretto", "github.com/dgraph-io/ristretto/v2", "v2.0.0", "v2.1.0", fills, ""},
	{"lru", "github.com/hashicorp/golang-lru/v2", "v2.0.6", "v2.0.7", fills, ""},
	{"bytebufferpool", "github.com/valyala/bytebufferpool", "v1.0.0", "v1.0.0", buffers, ""},
	{"bigcache", "github.com/allegro/bigcache/v3", "v3.0.0", "v3.1.0", fills, ""},
	{"zstd", "github.com/klauspost/compress", "v1.17.11", "v1.18.0", buffers, ""},
}

// freshCases are libraries that memtest met after it was finished. README.md has what it said the first time.
var freshCases = []libraryCase{
	{"yamux", "github.com/hashicorp/yamux", "v0.1.1", "v0.1.2", churns, ""},
	{"progressbar", "github.com/schollz/progressbar/v3", "v3.18.0", "v3.19.1", buffers, ""},
	{
		"groupcache", "github.com/golang/groupcache",
		"v0.0.0-20200121045136-8c9f03a8e57e", "v0.0.0-20210331224755-41bb18bfe9da",
		fills, "",
	},
}
