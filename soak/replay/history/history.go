// Package history is the record of the service that memsoak began with, as data: the settings of each of its versions
// and what became of it. What the history doesn't tell is assumed, and marked so. The package knows nothing of how the
// service is built (package service) nor of how it is run (package study).
package history

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/units"
)

// Size is a number of bytes. As text it has a unit: 10MiB.
type Size int64

// Units of sizes.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	MB  Size = 1e6
	GB  Size = 1e9
)

// String writes the size exactly.
func (s Size) String() string { return units.Bytes(s).String() }

// By divides the size by the scale, but never down to nothing.
func (s Size) By(scale int) Size {
	if s == 0 {
		return 0
	}
	return max(1, s/Size(scale))
}

// The ways to hold what discovery found until it is uploaded.
const (
	DiscoveryMemory = "memory" // a list, and a goroutine per file: what the history describes
	DiscoverySpool  = "spool"  // the migrator's queue on disk
	DiscoveryBroker = "broker" // the migrator's queue on a broker, which uploads don't wait for the end of
)

// The ways to upload what isn't read whole.
const (
	UploadSDK    = "sdk"    // parts that AWS's transfer manager buffers: assumed of the history's service
	UploadPut    = "put"    // one PutObject, streamed: what that service does
	UploadChunks = "chunks" // parts that are streamed and taken up again where they broke off, as the migrator does
)

// Traits are what decides the service's memory, each a setting of its own. Start from a Preset's.
type Traits struct {
	Workers          int    // concurrent uploads
	DiscoveryWorkers int    // concurrent listings
	BufferBelow      Size   // files below it are read whole before the upload; 0: none
	PartSize         Size   // of the SDK's uploader
	PartConcurrency  int    // parts of one file that the SDK sends concurrently
	MaxIdle          int    // idle connections, in total
	MaxIdlePerHost   int    // and per host
	StreamWindow     Size   // what HTTP/2 lets Drive send of one file before it is read
	ForceGCAbove     Size   // a collection is forced each second while the heap is larger; 0: never
	Discovery        string // DiscoveryMemory, DiscoverySpool or DiscoveryBroker
	Upload           string // UploadSDK, UploadPut or UploadChunks

	Timeout  time.Duration // of a whole request, its body included; 0: none
	Attempts int           // of a file, each from its first byte
}

// By divides quantities in bytes by the scale. Workers, pools and times stay as they are.
func (t Traits) By(scale int) Traits {
	t.BufferBelow, t.PartSize = t.BufferBelow.By(scale), t.PartSize.By(scale)
	t.StreamWindow, t.ForceGCAbove = t.StreamWindow.By(scale), t.ForceGCAbove.By(scale)
	return t
}

// Validate reports an error in the traits.
func (t Traits) Validate() error {
	switch {
	case t.Workers < 1 || t.DiscoveryWorkers < 1 || t.PartConcurrency < 1 || t.Attempts < 1:
		return fmt.Errorf("workers %d, discovery workers %d, part concurrency %d and attempts %d must be at least 1",
			t.Workers, t.DiscoveryWorkers, t.PartConcurrency, t.Attempts)
	case t.MaxIdle < 0 || t.MaxIdlePerHost < 0 || t.Timeout < 0 || t.PartSize < 1:
		return fmt.Errorf("pool sizes %d and %d and timeout %s must not be below 0, and a part has at least a byte",
			t.MaxIdle, t.MaxIdlePerHost, t.Timeout)
	case t.Discovery != DiscoveryMemory && t.Discovery != DiscoverySpool && t.Discovery != DiscoveryBroker:
		return fmt.Errorf("discovery %q: want %s, %s or %s", t.Discovery, DiscoveryMemory, DiscoverySpool, DiscoveryBroker)
	case t.Upload != UploadSDK && t.Upload != UploadPut && t.Upload != UploadChunks:
		return fmt.Errorf("upload %q: want %s, %s or %s", t.Upload, UploadSDK, UploadPut, UploadChunks)
	}
	return nil
}

// Preset is a version of the service.
type Preset struct {
	Name string
	Traits
	Limit      Size   // memory limit of its pod
	GOMEMLIMIT Size   // 0: not set
	GOGC       int    // in percent
	Happened   string // what the history says became of it
	Outcome    string // the same as a word: one of the Outcome constants
	// Assumed are the settings that the history doesn't tell for this version, by their names in Settings.
	Assumed []string
}

// What became of versions.
const (
	NodeCrashed = "node crashed"
	OOMKilled   = "oom-killed"
	Unknown     = "not told"
)

// Node is the memory of the nodes that the pods ran on.
const Node = 8 * GB

// The history's expectations of the last version.
const (
	ExpectedPerWorkerMin, ExpectedPerWorkerMax = 200 * MB, 400 * MB
	ExpectedTotalMin, ExpectedTotalMax         = 600 * MB, 800 * MB
	ExpectedRateMin, ExpectedRateMax           = 5 * MB, 15 * MB // a second
)

// unsaid are the settings that the history tells for no version: the SDK's and net/http's own defaults, and a number of
// attempts.
var unsaid = []string{"part_size", "part_concurrency", "stream_window", "attempts"}

// common are the traits that all versions share.
func common() Traits {
	return Traits{
		DiscoveryWorkers: 10, PartSize: 5 * MiB, PartConcurrency: 5, StreamWindow: 4 * MiB, ForceGCAbove: 1000 * MB,
		Discovery: DiscoveryMemory, Upload: UploadSDK, Timeout: 30 * time.Second, Attempts: 3,
	}
}

// Presets returns the versions in their order.
func Presets() []Preset {
	version := func(name string, workers int, buffer Size, idle, perHost int, limit Size, happened, outcome string,
		assumed ...string) Preset {
		t := common()
		t.Workers, t.BufferBelow, t.MaxIdle, t.MaxIdlePerHost = workers, buffer, idle, perHost
		return Preset{Name: name, Traits: t, Limit: limit, GOGC: 100, Happened: happened, Outcome: outcome,
			Assumed: append(assumed, unsaid...)}
	}
	guess := []string{"buffer_below", "pool", "pool_per_host", "gogc"}
	emergency := version("v2.4.0-emergency", 3, 0, 12, 6, 2*GiB, "pod OOM-killed, node survived", OOMKilled,
		"buffer_below", "pool", "pool_per_host", "gomemlimit")
	emergency.GOMEMLIMIT, emergency.GOGC = 1800*MiB, 50
	single := version("v2.4.1-single-worker", 1, 0, 4, 2, 2*GiB, `"testing"`, Unknown)
	single.DiscoveryWorkers, single.GOMEMLIMIT, single.GOGC = 2, 1800*MiB, 50
	return []Preset{
		version("v2.3.6", 50, 10*MiB, 100, 50, 4*GiB, NodeCrashed, NodeCrashed, guess...),
		version("v2.3.7", 25, 10*MiB, 100, 50, 8*GiB, NodeCrashed, NodeCrashed, guess...),
		version("v2.3.8", 10, 5*MiB, 40, 20, 8*GiB, NodeCrashed, NodeCrashed, guess...),
		version("v2.4.0", 3, 0, 12, 6, 8*GiB, NodeCrashed, NodeCrashed, guess...),
		emergency,
		single,
	}
}

// Names lists the presets.
func Names() []string {
	var out []string
	for _, p := range Presets() {
		out = append(out, p.Name)
	}
	return out
}

// Find returns a preset by name.
func Find(name string) (Preset, error) {
	all := Presets()
	if i := slices.IndexFunc(all, func(p Preset) bool { return p.Name == name }); i >= 0 {
		return all[i], nil
	}
	return Preset{}, fmt.Errorf("no preset %q; known: %s", name, strings.Join(Names(), ", "))
}

// Setting is one setting of a preset as the runner of soak writes it.
type Setting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Assumed bool   `json:"assumed,omitempty"` // the history doesn't tell it
}

// Settings lists what a preset sets, at a scale: quantities in bytes are divided by it.
func (p Preset) Settings(scale int) []Setting {
	t := p.By(scale)
	memlimit := "off"
	if p.GOMEMLIMIT > 0 {
		memlimit = p.GOMEMLIMIT.By(scale).goText()
	}
	out := []Setting{
		{Name: "workers", Value: strconv.Itoa(t.Workers)},
		{Name: "discovery_workers", Value: strconv.Itoa(t.DiscoveryWorkers)},
		{Name: "buffer_below", Value: t.BufferBelow.String()},
		{Name: "pool", Value: strconv.Itoa(t.MaxIdle)},
		{Name: "pool_per_host", Value: strconv.Itoa(t.MaxIdlePerHost)},
		{Name: "gomemlimit", Value: memlimit},
		{Name: "gogc", Value: strconv.Itoa(p.GOGC)},
		{Name: "part_size", Value: t.PartSize.String()},
		{Name: "part_concurrency", Value: strconv.Itoa(t.PartConcurrency)},
		{Name: "stream_window", Value: t.StreamWindow.String()},
		{Name: "force_gc_above", Value: t.ForceGCAbove.String()},
		{Name: "timeout", Value: t.Timeout.String()},
		{Name: "attempts", Value: strconv.Itoa(t.Attempts)},
		{Name: "discovery", Value: t.Discovery},
		{Name: "upload", Value: t.Upload},
	}
	for i := range out {
		out[i].Assumed = slices.Contains(p.Assumed, out[i].Name)
	}
	return out
}

// goText writes the size as GOMEMLIMIT takes it: whole KiB.
func (s Size) goText() string { return strconv.FormatInt(int64(s/KiB), 10) + "KiB" }
