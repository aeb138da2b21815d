package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/needs"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/migrator/internal/rig"
)

// flat is how much more anonymous memory ten times the files may take.
const flat = 4 * mib

// scalePart is one part of scale: what it costs with a tenth of the files and with all.
type scalePart struct {
	name, what string
	files      int64
	run        func(files int64) (result, error)
}

// scaled is the record of a part that is done. A run that was broken off continues after it.
type scaled struct {
	Files   int64         `json:"files"`
	Took    time.Duration `json:"took_ns"`
	Anon    int64         `json:"anon"`     // bytes
	AnonLow int64         `json:"anon_low"` // with a tenth of the files
}

// scale lists, copies and verifies very many files. The figures of parts that are done are in b.scaleDir.
func (b *bench) scale() error {
	if b.scaleBy < 1 {
		return fmt.Errorf("-scale %d: want 1 or more", b.scaleBy)
	}
	million := 1_000_000 / b.scaleBy
	if million < 10_000 {
		return fmt.Errorf("-scale %d: want at most 100: smaller trees show the start of the heap alone", b.scaleBy)
	}
	embedded := &copier{b: b}
	redis := &copier{b: b}
	defer func() { redis.stop() }()
	for _, p := range []scalePart{
		{"listed", "files listed into the embedded queue", 10 * million, b.scaleList},
		{"copied", "files copied through the embedded queue", million, embedded.copy},
		{"verified", "files verified", million, embedded.verify},
		{"copied-redis", "files listed and copied through Redis by one lister and four uploaders (the largest)", million,
			redis.onRedis},
		{"verified-redis", "files of that verified", million, redis.verify},
	} {
		if err := b.scalePart(&p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// scalePart runs a part, unless its figures are there, and prints them.
func (b *bench) scalePart(p *scalePart) error {
	what := fmt.Sprintf("%s %s: anonymous RSS above that at %s", units.Comma(p.files), p.what, units.Comma(p.files/10))
	at := filepath.Join(b.scaleDir, fmt.Sprintf("%s-%d.json", p.name, p.files))
	var s scaled
	text, err := os.ReadFile(at)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		low, err := p.run(p.files / 10)
		if errors.Is(err, needs.ErrMissing) {
			b.skip(what, "<= 4 MiB", err.Error())
			return nil
		}
		if err != nil {
			return err
		}
		all, err := p.run(p.files)
		if err != nil {
			return err
		}
		s = scaled{p.files, all.wall, all.anon, low.anon}
		if text, err = json.Marshal(s); err != nil {
			return err
		}
		if err := errors.Join(os.MkdirAll(b.scaleDir, 0o755), os.WriteFile(at, text, 0o644)); err != nil {
			return err
		}
	}
	grew := s.Anon - s.AnonLow
	b.add(what, "<= 4 MiB", fmt.Sprintf("%s (%s, %s), in %s, %.0f/s", size(grew), size(s.AnonLow), size(s.Anon),
		s.Took.Round(time.Second), float64(s.Files)/s.Took.Seconds()), grew <= flat)
	return nil
}

// scaleSpec is a tree of small files, a thousand in a folder.
func scaleSpec(files int64) string {
	return fmt.Sprintf("seed: 1\nfiles: %d\nfolders: %d\nsize: 4KiB\n", files, max(1, files/1000))
}

func (b *bench) scaleList(files int64) (result, error) { return b.listTree("", scaleSpec(files)) }

// copier copies trees, and verifies those that it copied.
type copier struct {
	b      *bench
	redis  *rig.RedisServer
	copied map[int64]copied // by files
}

// copied is where a tree was copied from and to.
type copied struct{ root, prefix string }

func (c *copier) root(files int64) (string, error) {
	r, err := c.b.drive.Root(c.b.ctx, "", scaleSpec(files), uint64(c.b.n)+1)
	return r.ID, err
}

func (c *copier) keep(files int64, to copied) {
	if c.copied == nil {
		c.copied = map[int64]copied{}
	}
	c.copied[files] = to
}

func (c *copier) copy(files int64) (result, error) {
	root, err := c.root(files)
	if err != nil {
		return result{}, err
	}
	r, err := c.b.measure(c.b.migrator(root, workers))
	c.keep(files, copied{root, fmt.Sprintf("m%d", c.b.n)})
	return r, err
}

func (c *copier) onRedis(files int64) (r result, err error) {
	if c.redis == nil {
		dir := filepath.Join(c.b.dir, "scale-redis")
		if err := os.Mkdir(dir, 0o700); err != nil {
			return r, err
		}
		if c.redis, err = rig.Redis(c.b.ctx, dir, "--appendfsync", "everysec"); err != nil {
			return r, err
		}
	}
	root, err := c.root(files)
	if err != nil {
		return r, err
	}
	r.wall, r.anon, err = c.b.parts(&server{name: "Redis", url: c.redis.URL()}, root, workers/processes, 1)
	c.keep(files, copied{root, fmt.Sprintf("q%d", c.b.n)})
	return r, err
}

// verify compares each file with its object; the migrator fails where one is missing or differs. The copy of a run that
// was broken off is gone with its store, and is made again.
func (c *copier) verify(files int64) (result, error) {
	at, ok := c.copied[files]
	if !ok {
		if _, err := c.copy(files); err != nil {
			return result{}, err
		}
		at = c.copied[files]
	}
	b := c.b
	r, err := b.measure(exec.CommandContext(b.ctx, b.bins.Migrator, "verify", "--drive-endpoint", b.drive.HTTPS,
		"--s3-endpoint", b.sink.HTTPS, "--ca-file", b.ca, "--bucket", bucket, "--prefix", at.prefix, at.root))
	if err == nil && !strings.Contains(r.out, strconv.FormatInt(files, 10)+" of "+strconv.FormatInt(files, 10)) {
		err = fmt.Errorf("not all of %d files are verified: %s", files, tail(r.out))
	}
	return r, err
}

func (c *copier) stop() {
	if c.redis != nil {
		c.redis.Kill()
	}
}
