package leaks

import (
	"context"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/handy"
	"github.com/memsoak/memsoak/soak/specimens/specimen"
)

// PlantPrefix begins the names of plants: plant-KIND-N keeps N millionths of a byte for each unit of the kind.
const PlantPrefix = "plant-"

// Plant is the specimen of that name, if it is a plant's: growth of a known size, by which detection limits are judged.
func Plant(name string) (specimen.Specimen, bool) {
	kind, bytes, ok := parsePlant(name)
	if !ok {
		return specimen.Specimen{}, false
	}
	p := &plant{bytes: bytes}
	hooks := map[string]copier.Hooks{
		"doubling": {Done: func(context.Context, *copier.Worker, copier.File) { p.keep(1, true) }},
		"byte":     {Done: func(_ context.Context, _ *copier.Worker, f copier.File) { p.keep(float64(f.Size), false) }},
		"distinct": {Done: func(_ context.Context, _ *copier.Worker, f copier.File) { p.keep(p.fresh(f.ID), false) }},
		"second": {Start: func(ctx context.Context) {
			handy.Every(ctx, HeartbeatPeriod, func() { p.keep(HeartbeatPeriod.Seconds(), false) })
		}},
	}
	h, ok := hooks[kind]
	return specimen.Specimen{Name: name, Hooks: func(*copier.Engine) copier.Hooks { return h }}, ok
}

// parsePlant reads the kind of growth and its bytes per unit, which may be less than one, from a plant's name.
func parsePlant(name string) (kind string, bytes float64, ok bool) {
	rest, found := strings.CutPrefix(name, PlantPrefix)
	kind, size, cut := strings.Cut(rest, "-")
	n, err := strconv.ParseInt(size, 10, 64)
	return kind, float64(n) / 1e6, found && cut && err == nil
}

// plant keeps cells of one size, or bytes in a slice that doubles.
type plant struct {
	bytes float64 // per unit

	mu      sync.Mutex
	owed    float64
	cells   *cell
	doubles []byte
	hash    maphash.Hash
	seen    [1 << 17]byte // a bit for each hash of a file: one in 200 of 5,000 files is taken for another
}

// cell is as large as one of the runtime's size classes.
type cell struct {
	next *cell
	_    [cellSize - 8]byte
}

const cellSize = 96

func (p *plant) keep(units float64, doubling bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owed += units * p.bytes
	if doubling {
		p.doubles = append(p.doubles, make([]byte, int(p.owed))...)
		p.owed -= float64(int(p.owed))
		return
	}
	for ; p.owed >= cellSize; p.owed -= cellSize {
		p.cells = &cell{next: p.cells}
	}
}

// fresh is 1 for a file that has not come before, else 0.
func (p *plant) fresh(id string) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hash.Reset()
	_, _ = p.hash.WriteString(id)
	bit := p.hash.Sum64() % (8 * uint64(len(p.seen)))
	if p.seen[bit/8]&(1<<(bit%8)) != 0 {
		return 0
	}
	p.seen[bit/8] |= 1 << (bit % 8)
	return 1
}
