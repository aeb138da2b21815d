package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/accuracy"
)

// kills are scores of this machine's kind that came with the source: the kills and the survivals, so that rules
// that have changed are judged without killing again. They need a matrix of the subject alone.
//
//go:embed kills
var kills embed.FS

// buildFile is what a matrix was recorded by, in its directory.
const buildFile = "recorded-by"

func recordedBy(matrix string) string {
	text, _ := os.ReadFile(filepath.Join(matrix, buildFile))
	return string(text)
}

// buildOf names what a subject's answer rests on: this program, in which runner, protocol and rules are, and the
// subject's own.
func (b *bench) buildOf(q question) (string, error) {
	self, err := accuracy.ThisBuild()
	if err != nil || q.program == "" {
		return self, err
	}
	program, err := os.ReadFile(filepath.Join(b.bin, q.program))
	return fmt.Sprintf("%s+%.6x", self, sha256.Sum256(program)), err
}

// one measures a question below a limit. Kills of the same question that are kept, or came with the source, are not
// made again; the answer beside them is that of this build, or with recorded the kept one.
func (b *bench) one(ctx context.Context, q question, limit int64) (*score, error) {
	name := strings.NewReplacer(" ", "-", "(", "", ")", "", ",", "", "%", "").Replace(q.name)
	dir, file := filepath.Join(b.out, name), fmt.Sprintf("%dMiB.json", limit/mib)
	kept := filepath.Join(dir, file)
	s, err := readScore(os.ReadFile(kept))
	if errors.Is(err, fs.ErrNotExist) {
		s, err = readScore(kills.ReadFile(path.Join("kills", name, file)))
	}
	if err == nil && (s.Subject != q.subject || s.Size != q.size) {
		fmt.Fprintf(b.say, "%s: its kills are of other files or another subject, and not taken\n", q.name)
		err = fs.ErrNotExist
	}
	absent := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !absent:
		return nil, fmt.Errorf("%s: %w", kept, err)
	case absent && b.recorded:
		return nil, nil
	case absent:
		s = &score{Name: q.name, Asks: q.asks, Limit: limit, Subject: q.subject, Size: q.size}
	}
	if q.asks == smallestLimit {
		err = b.smallest(ctx, q, dir, s)
	} else {
		err = b.hold(ctx, q, dir, s)
	}
	if err != nil {
		return nil, err
	}
	if b.recorded {
		return s, nil
	}
	return s, record.Write(kept, s)
}

// hold answers a question of soak plan, and kills where that was not done.
func (b *bench) hold(ctx context.Context, q question, dir string, s *score) error {
	c, err := b.answer(ctx, q, dir, s)
	if err == nil && !b.recorded && s.answers() && !s.killed() {
		err = b.kill(ctx, q, dir, s, c)
	}
	if q.asks == files {
		s.settle()
	}
	return err
}

// killed reports whether the kills are there that the answer is held to: of a bound from below none need be.
func (s *score) killed() bool {
	return len(s.Tried) > 0 && (s.AtLeast || s.Truth >= mostTried ||
		slices.ContainsFunc(s.Tried, func(t soak.Tried) bool { return !t.Survived }))
}

func readScore(text []byte, err error) (*score, error) {
	s := &score{}
	if err == nil {
		err = json.Unmarshal(text, s)
	}
	return s, err
}
