package record

import "time"

// Schemas, one per kind of file. A reader refuses what it does not know.
const (
	RunSchema        = "memsoak/run/v1"
	TrialSchema      = "memsoak/trial/v1"
	VerdictSchema    = "memsoak/verdict/v1"
	RunVerdictSchema = "memsoak/run-verdict/v1"
)

// Outcome is how a trial ended. The zero value is no outcome: the trial is not finished.
type Outcome string

// The outcomes of a trial.
const (
	OK         Outcome = "ok"
	OOMKilled  Outcome = "oom-killed"
	Crashed    Outcome = "crashed"
	WaveFailed Outcome = "wave-failed"
	Timeout    Outcome = "timeout"
)

// TrialKind says what a trial is for. Verdicts come from attribution and passive trials, throughput and peak RSS
// from speed trials.
type TrialKind string

// The kinds of trial.
const (
	Attribution TrialKind = "attribution" // steered states, forced collections, fine sampling rate
	Speed       TrialKind = "speed"       // default sampling rate, no forced collection, free run
	Passive     TrialKind = "passive"     // sampled only: subjects that cannot be steered, recordings
)

// Trial is trial.json: one run of a cell.
type Trial struct {
	Schema   string            `json:"schema"`
	Kind     TrialKind         `json:"kind"`
	Cell     Cell              `json:"cell"`
	Settings map[string]string `json:"settings"` // axes and fixed settings, resolved
	Index    int               `json:"index"`    // 1 for trial-1
	Seed     int64             `json:"seed"`

	// Item is what the work is counted in: empty for files that are copied, or ItemRequest. The covariates and units of a
	// service keep a copier's names: a file is a request, a distinct item a key, a request one to an upstream.
	Item string `json:"item,omitempty"`

	Subject    Subject   `json:"subject"`
	Isolation  Isolation `json:"isolation"`
	SampleRate int64     `json:"memprofilerate"` // heap sampling rate in bytes, 0 = the subject's own
	GOMAXPROCS int       `json:"gomaxprocs"`
	// PageSize is in what pieces anonymous memory becomes resident, bytes: with huge pages for all, one of them.
	PageSize int64 `json:"page_size,omitempty"`
	// Protocol and Targets are what the trial was asked for: nil in records from before there were targets, and where
	// nothing is judged. Effort is how far it went.
	Protocol string   `json:"protocol,omitempty"`
	Targets  *Targets `json:"targets,omitempty"`
	Effort   *Effort  `json:"effort,omitempty"`

	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	Outcome Outcome   `json:"outcome"`
	Reason  string    `json:"reason,omitempty"` // one line, for any outcome but ok
	Exit    *Exit     `json:"exit,omitempty"`
	OOM     *OOM      `json:"oom,omitempty"`

	Phases    []Phase    `json:"phases"`
	Snapshots []Snapshot `json:"snapshots"`
	Peak      Peak       `json:"peak"`
	Work      Work       `json:"work"`
	Warnings  []string   `json:"warnings,omitempty"`
}

// ItemRequest is the item of a service.
const ItemRequest = "request"

// Subject is the process under test.
type Subject struct {
	Name    string   `json:"name"`
	Command []string `json:"command"`           // as started, placeholders filled in
	Module  string   `json:"module"`            // module path whose frames may be blamed
	Version string   `json:"version,omitempty"` // revision or module version, when known
	BuildID string   `json:"build_id,omitempty"`
	Go      string   `json:"go,omitempty"`
	Pprof   string   `json:"pprof,omitempty"` // URL of net/http/pprof, of a recording
}

// Isolation is what the subject ran inside.
type Isolation struct {
	Kind      string `json:"kind"`                 // "cgroup-v1", "cgroup-v2" or "none"
	Limit     int64  `json:"limit"`                // memory limit in bytes, 0 = none
	NodeLimit int64  `json:"node_limit,omitempty"` // of the parent cgroup that stands for a node
	Why       string `json:"why,omitempty"`        // why there is no limit
}

// Exit is how the subject's process ended.
type Exit struct {
	Code   int    `json:"code"` // -1 when a signal ended it
	Signal string `json:"signal,omitempty"`
}

// OOM describes a kill by the cgroup's limit.
type OOM struct {
	Time  time.Time `json:"time"`
	Limit int64     `json:"limit"`
	Kills int64     `json:"kills"`
	Node  bool      `json:"node,omitempty"` // it was the node's limit, not the subject's own
	// FilesDone is how many files the sink had when it happened.
	FilesDone int64 `json:"files_done"`
}

// Phase is a named stretch of a trial. Kinds: idle, warm-up, wave (equal waves with floors), hold, repeat, folders,
// free, idle-again, errors (a wave in which the fakes fail some requests), drain, quiesce. A hold of a
// series of growing sizes is a phase by itself.
type Phase struct {
	Name  string    `json:"name"`
	Kind  string    `json:"kind"`
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Work given in this phase: number of files, size of each in bytes (0: mixed), folders, and whether the tree
	// had been served before in this trial.
	Files    int64 `json:"files,omitempty"`
	FileSize int64 `json:"file_size,omitempty"`
	Folders  int64 `json:"folders,omitempty"`
	Repeat   bool  `json:"repeat,omitempty"`
	// Failed is why the phase's wave failed.
	Failed string `json:"failed,omitempty"`

	// What came of it, as the fakes saw it: files and bytes that arrived, and transfers that failed, from the phase's
	// start to its end. Counted says that these were read: then Files above 0 and Copied 0 is a wave that copied nothing.
	Counted     bool  `json:"counted,omitempty"`
	Copied      int64 `json:"copied,omitempty"`
	CopiedBytes int64 `json:"copied_bytes,omitempty"`
	Errors      int64 `json:"errors,omitempty"`
	// Hold is what a hold came to; nil for other phases, and where it was never reached.
	Hold *Hold `json:"hold,omitempty"`
	// CutOff says that the work was broken off when the phase's time was up.
	CutOff bool `json:"cut_off,omitempty"`
	// LeftOut is why the phase did not run: then it has no work and no time.
	LeftOut LeftOut `json:"left_out,omitempty"`
	// Added is the number of the block that added the phase beyond those of the protocol, 0 for none.
	Added int `json:"added,omitempty"`
}

// CopiedNothing reports that the phase had work and nothing of it arrived.
func (p Phase) CopiedNothing() bool {
	return p.Counted && p.Files > 0 && p.Copied == 0 && p.Failed == "" && !p.CutOff
}

// State is what the subject was doing when a snapshot was taken.
type State string

// The states of a snapshot.
const (
	StateIdle   State = "idle"        // before any work
	StateFloor  State = "floor"       // at a quiesce: no work, idle connections closed, two collections
	StateReply  State = "hold-reply"  // transfers held at the upload's reply
	StateHeader State = "hold-header" // transfers held at the download's header, a backlog behind them
	StateBody   State = "hold-body"   // transfers held in mid-body
	StateList   State = "hold-list"   // a listing held before its page
	StateFree   State = "free"        // running freely
	StateHigh   State = "high-water"  // running freely, at a new maximum of memory
	StatePress  State = "pressure"    // running freely, near the limit: maybe the last before a kill
)

// Held reports whether the state is frozen by a hold.
func (s State) Held() bool {
	return s == StateReply || s == StateHeader || s == StateBody || s == StateList
}

// Snapshot is one heap profile, the state of the process at that moment, and where the files are.
type Snapshot struct {
	Seq   int    `json:"seq"`
	Phase string `json:"phase"` // Phase.Name
	State State  `json:"state"`
	// ForcedGC is how many collections were forced before the profile.
	ForcedGC int `json:"forced_gc"`
	// Exact says that Runtime was read by the request that forced the last collection, before it allocated anything: its
	// HeapAlloc is the live heap to a few kilobytes, whatever the profile's sampling rate.
	Exact bool `json:"exact,omitempty"`
	// Heap and Goroutine are paths below the trial's directory; empty when not taken.
	Heap      string `json:"heap,omitempty"`
	Goroutine string `json:"goroutine,omitempty"`
	// HeapLive is the live heap of the profile in bytes: the sum over its sites without pprof's own frames. Unlike
	// Runtime.HeapAlloc it has no garbage in it.
	HeapLive int64 `json:"heap_live,omitempty"`
	// HeapBefore is the runtime's HeapAlloc when a floor began, before its collections were forced: what it has beyond
	// HeapLive was garbage waiting for the collector. 0 when it was not read.
	HeapBefore int64 `json:"heap_before,omitempty"`
	// Hold is what the hold had come to when the snapshot was taken; nil where nothing was held.
	Hold *Hold `json:"hold,omitempty"`
	Sample
}

// Sample is one reading of everything, a line of samples.jsonl. Parts that could not be read are nil.
type Sample struct {
	Time       time.Time          `json:"time"`
	PhaseName  string             `json:"phase_name,omitempty"` // in samples.jsonl
	Process    *Process           `json:"process,omitempty"`
	Cgroup     *Cgroup            `json:"cgroup,omitempty"`
	Runtime    *Runtime           `json:"runtime,omitempty"`
	Covariates *Covariates        `json:"covariates,omitempty"`
	Metrics    map[string]float64 `json:"metrics,omitempty"` // the subject's own, when there are any
}

// Process is the subject's memory and resources as the kernel sees them, /proc/PID/smaps split by mapping.
type Process struct {
	RSS       int64 `json:"rss"`
	Anon      int64 `json:"anon"`
	File      int64 `json:"file"`
	Shmem     int64 `json:"shmem"`
	HeapArena int64 `json:"heap_arena"` // resident anonymous pages in Go heap arenas
	// ArenaSize is the part of the arenas' address space that may be read and written, resident or not: by the runtime's
	// account it is HeapSys + StackInuse. 0 when it was not read.
	ArenaSize int64 `json:"arena_size,omitempty"`
	OtherAnon int64 `json:"other_anon"` // resident anonymous pages elsewhere: runtime metadata, thread stacks, mmap, cgo
	Swap      int64 `json:"swap,omitempty"`

	CPUSeconds float64        `json:"cpu_seconds"`
	Threads    int            `json:"threads"`
	FDs        int            `json:"fds"`
	FDLimit    int            `json:"fd_limit,omitempty"` // descriptors that it may have; 0: not read, or no limit
	Sockets    map[string]int `json:"sockets,omitempty"`  // TCP sockets of the process by state, lower case
}

// fewFDs is the part of its descriptors from which a process has run out of them: idle ones were closed since.
const fewFDs = 0.95

// OutOfFDs says that the process has nearly all the descriptors that it may have: what it would have opened besides it
// couldn't. False where the limit isn't known.
func (p *Process) OutOfFDs() bool {
	return p != nil && p.FDLimit > 0 && float64(p.FDs) >= fewFDs*float64(p.FDLimit)
}

// Cgroup is the subject's memory cgroup.
type Cgroup struct {
	Usage  int64 `json:"usage"`
	Peak   int64 `json:"peak"`
	Limit  int64 `json:"limit"`
	Anon   int64 `json:"anon"`
	File   int64 `json:"file"`
	Shmem  int64 `json:"shmem"`
	Kernel int64 `json:"kernel"`
	OOMs   int64 `json:"ooms"`
}

// Runtime is the Go runtime's own account (runtime.MemStats by /debug/pprof/heap?debug=1, or go_* metrics).
type Runtime struct {
	HeapAlloc    int64   `json:"heap_alloc"` // live and not yet swept objects
	HeapInuse    int64   `json:"heap_inuse"`
	HeapIdle     int64   `json:"heap_idle"`
	HeapReleased int64   `json:"heap_released"`
	HeapObjects  int64   `json:"heap_objects"`
	StackInuse   int64   `json:"stack_inuse"`
	StackSys     int64   `json:"stack_sys"`
	Metadata     int64   `json:"metadata"`            // MSpanSys + MCacheSys + BuckHashSys + GCSys + OtherSys
	Profiling    int64   `json:"profiling,omitempty"` // BuckHashSys, which is part of Metadata
	Sys          int64   `json:"sys"`
	NextGC       int64   `json:"next_gc"`
	NumGC        int64   `json:"num_gc"`
	TotalAlloc   int64   `json:"total_alloc"`
	Mallocs      int64   `json:"mallocs"`
	GCCPU        float64 `json:"gc_cpu"` // fraction of the CPU since the start
	Goroutines   int     `json:"goroutines"`
}

// Covariates are what the fakes saw, from the start of the trial: the regressors of the diagnosis.
type Covariates struct {
	FilesListed int64 `json:"files_listed"`
	FilesDone   int64 `json:"files_done"`
	Distinct    int64 `json:"distinct"` // distinct files done
	BytesDone   int64 `json:"bytes_done"`
	Pages       int64 `json:"pages"`
	Folders     int64 `json:"folders"`
	Requests    int64 `json:"requests"`
	Failed      int64 `json:"failed"`
	Largest     int64 `json:"largest"` // largest file begun so far
	Waves       int64 `json:"waves"`

	// Gauges.
	Backlog       int64 `json:"backlog"`         // listed and not yet downloaded, those in flight not counted
	InFlight      int64 `json:"in_flight"`       // transfers begun and not ended, on either side
	WithBody      int64 `json:"with_body"`       // of those: the whole body has been sent to the subject
	AtHeader      int64 `json:"at_header"`       // of those: waiting for the response header
	BytesInFlight int64 `json:"bytes_in_flight"` // sum of the full sizes of the transfers in flight whose body has begun
	BytesSent     int64 `json:"bytes_sent"`      // sum of the bytes already sent of the transfers in flight
	ConnsOpen     int64 `json:"conns_open"`
	ConnsIdle     int64 `json:"conns_idle"`
	ConnsTotal    int64 `json:"conns_total"`
	ConnsIn       int64 `json:"conns_in,omitempty"` // of a service: open connections of its clients
	// ConnsBeforeClose is ConnsOpen before idle connections were closed for a floor.
	ConnsBeforeClose int64 `json:"conns_before_close,omitempty"`
}

// Work is what a trial got done, for rates.
type Work struct {
	Files   int64   `json:"files"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"` // of the waves, holds not counted
	CPU     float64 `json:"cpu_seconds"`
}
