package study

import (
	"fmt"
	"strings"
	"time"

	"github.com/memsoak/memsoak/soak/replay/history"
)

// Corpus is a tree, at its full size, and how it is copied.
type Corpus struct {
	Name string
	// Tells says which hypothesis the corpus would show.
	Tells string
	// Files, Folders and Depth are those of the tree. What makes many of them is divided by the scale.
	Files, Folders int64
	Depth          int
	Many           bool // files and folders are divided by the scale, not the size of a file
	Size           history.Size
	// Huge of the files have HugeSize instead.
	Huge      int64
	HugeSize  history.Size
	Transport string       // http or h2
	SinkRate  history.Size // bytes a second of all uploads, not divided by the scale; 0: as fast as it can
	// Cut says that the copy is ended after the bench's time: what it is about is decided once the tree is listed, and the
	// copy of so many files would take minutes. All others are copied to their end.
	Cut bool
}

// Corpora returns the corpora of the matrix. At 1:16 all but the first are copied within some ten seconds.
func Corpora() []Corpus {
	return []Corpus{
		{Name: Decisive, Tells: "metadata, if discovery gathers it", Files: 4_000_000, Folders: 16_000, Many: true,
			Size: history.KiB, Transport: "http", Cut: true},
		{Name: huge, Tells: "large files, if they are held", Files: 60, Folders: 4, Size: 128 * history.MiB, Huge: 2,
			HugeSize: 4 * history.GiB, Transport: "http"},
		{Name: "deep-tree", Tells: "metadata of folders and paths", Files: 80_000, Folders: 80_000, Depth: 100, Many: true,
			Size: history.KiB, Transport: "http"},
		{Name: "slow-sink", Tells: "HTTP responses that wait to be read, over HTTP/2", Files: 60, Folders: 4,
			Size: 32 * history.MiB, Transport: "h2", SinkRate: 40 * history.MB},
	}
}

// Decisive is the corpus on which the history's service was killed, and huge the one on which its expectations are
// measured.
const (
	Decisive = "many-small"
	huge     = "few-huge"
)

// At is the corpus scaled down. Sizes of files, or numbers of files and folders, are divided by scale.
func (c Corpus) At(scale int) Corpus {
	if c.Many {
		c.Files, c.Folders = max(1, c.Files/int64(scale)), max(1, c.Folders/int64(scale))
		c.Depth = int(min(int64(c.Depth), c.Folders))
		return c
	}
	c.Size, c.HugeSize = c.Size.By(scale), c.HugeSize.By(scale)
	return c
}

// Largest is the size of the largest file.
func (c Corpus) Largest() int64 { return int64(max(c.Size, c.HugeSize)) }

// Bytes is the size of all files.
func (c Corpus) Bytes() int64 { return (c.Files-c.Huge)*int64(c.Size) + c.Huge*int64(c.HugeSize) }

// Spec is the corpus file for fakedrive.
func (c Corpus) Spec() []byte {
	out := fmt.Appendf(nil, "seed: 1\nfiles: %d\nfolders: %d\n", c.Files, c.Folders)
	if c.Huge > 0 {
		out = fmt.Appendf(out, "size: {classes: [{share: %d, fixed: %d}, {share: %d, fixed: %d}]}\n", c.Huge,
			int64(c.HugeSize), c.Files-c.Huge, int64(c.Size))
	} else {
		out = fmt.Appendf(out, "size: %d\n", int64(c.Size))
	}
	if c.Depth > 0 {
		out = fmt.Appendf(out, "depth: %d\nspread: even\n", c.Depth)
	}
	return out
}

// Protocol is the experiment of a trial: the states that tell causes apart, with files around the sizes at which the
// service changes its ways, and then the corpus, unhindered, until so long after all is listed, or free at most. It is
// the same for all subjects, but that no more bytes are held together than a third of the limit, since the kill is to
// come from the corpus, and that the backlogs are backlog files and parts of that: the less a subject keeps of a file,
// the more it takes to see it. Of the budget for the states before the corpus the copy itself takes nothing.
// The holds are in no order of size or backlog, so that nothing looks as if it grew with their number. But a subject
// that keeps the buffers it once had shows what they grow with only while sizes rise.
func (c Corpus) Protocol(row Row, scale int, budget, free, listed time.Duration) []byte {
	part, whole := (5 * history.MiB).By(scale), (10 * history.MiB).By(scale)
	most, backlog := row.Limit/3, row.backlog()
	replies := []string{
		fmt.Sprintf("  - {name: reply-large, kind: hold, point: upload-reply, transfers: M, size: %d, max_bytes: %d}\n",
			12*part, most),
		fmt.Sprintf("  - {name: reply-small, kind: hold, point: upload-reply, transfers: M, then: [M/2], size: %d}\n",
			whole/8),
		fmt.Sprintf("  - {name: reply-above, kind: hold, point: upload-reply, transfers: M, size: %d, max_bytes: %d}\n",
			8*part, most),
		fmt.Sprintf("  - {name: reply-below, kind: hold, point: upload-reply, transfers: M, then: [M/2], size: %d, "+
			"max_bytes: %d}\n", whole/2, most),
	}
	if row.keepsBuffers() {
		replies = []string{replies[1], replies[3], replies[2], replies[0]}
	}
	more := ""
	if listed > 0 {
		more = fmt.Sprintf(", listed: %s", listed)
	}
	if c.SinkRate > 0 {
		more += fmt.Sprintf(", sink_rate: %d", int64(c.SinkRate))
	}
	return fmt.Appendf(nil, `name: replay
trials: [attribution]
memprofilerate: 4096
budget: %[8]s
wave_timeout: 5m
settle: 200ms
targets: {item: 256, count: 0.05, byte: 0.05, second: 65536}
phases:
  - {name: idle, kind: idle, for: 100ms}
  - {name: warm-up, kind: warm-up, files: [{count: 2, size: %[1]d}, {count: 30, size: 4096}]}
  - {name: wave, kind: wave, times: 10, files: [{count: 30, size: 4096}]}
  - {name: header-most, kind: hold, point: download-header, transfers: M, backlog: %[4]d, size: 1024}
  - {name: header-few, kind: hold, point: download-header, transfers: M, backlog: %[5]d, size: 1024}
  - {name: header-third, kind: hold, point: download-header, transfers: M, backlog: %[6]d, size: 1024}
  - {name: folders, kind: folders, folders: 100}
%[7]s  - {name: header-late, kind: hold, point: download-header, transfers: M, after: 800, backlog: 100, size: 1024}
  - {name: sink-stops, kind: hold, point: upload-body, transfers: M, offset: 1024, size: %[2]d, max_bytes: %[3]d}
  - {name: repeat, kind: repeat, of: header-third}
  - {name: free, kind: free, at_most: %[9]s%[10]s}
more:
  - per: [listed-file]
    phases:
      - {name: more-header-late, kind: hold, point: download-header, transfers: M, after: 2000, backlog: 100,
         size: 1024}
  - phases: [{name: more-wave, kind: wave, times: 3, files: [{count: 100, size: 4096}]}]
`, int64(whole), int64(12*part), most, backlog, backlog/15, backlog/3, strings.Join(replies, ""),
		budget+free, free, more)
}
