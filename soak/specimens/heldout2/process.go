package heldout2

import (
	"context"
	"sync"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// newNested runs each transfer below many calls, as a walk of nested filters does.
func newNested(*copier.Engine) copier.Hooks {
	return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, f copier.File, next func() error) error {
		_, err := nest(nestDepth, f.Size, next)
		return err
	}}
}

const nestDepth = 700

// nest keeps a kibibyte on the stack for each level: 700 levels need a stack of one mebibyte.
//
//go:noinline
func nest(level int, seed int64, next func() error) (int64, error) {
	var scratch [128]int64
	for i := range scratch {
		scratch[i] = seed + int64(i*level)
	}
	if level == 0 {
		return scratch[seed&127], next()
	}
	below, err := nest(level-1, seed, next) // fault:stacks-nested
	return below + scratch[below&127], err
}

// geoTable maps the head of an id to a region. It is filled once, at the start.
type geoTable struct {
	regions []uint64
	mu      sync.Mutex
	found   uint64
}

const geoEntries = 3 << 20 // 24 MiB

func newGeoTable(*copier.Engine) copier.Hooks {
	g := &geoTable{}
	h := onDone(g.look)
	h.Start = func(context.Context) { g.fill() }
	return h
}

func (g *geoTable) fill() {
	g.regions = make([]uint64, geoEntries) // fault:static-geotable
	for i := range g.regions {
		g.regions[i] = uint64(i) * 0x9e3779b97f4a7c15
	}
}

func (g *geoTable) look(f copier.File) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.found += g.regions[f.Size%geoEntries]
}

// clock is a cache of first blocks by file, with room for 180. A block in use since the hand's last turn is spared.
type clock struct {
	mu    sync.Mutex
	slots []*slot
	byID  map[string]*slot
	hand  int
}

const clockSlots = 180

type slot struct {
	id    string
	block [16352]byte
	used  bool
}

func newClock(*copier.Engine) copier.Hooks {
	c := &clock{byID: map[string]*slot{}}
	return onDone(c.get)
}

func (c *clock) get(f copier.File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.byID[f.ID]; s != nil {
		s.used = true
		return
	}
	s := newSlot(f.ID)
	c.byID[f.ID] = s
	if len(c.slots) < clockSlots {
		c.slots = append(c.slots, s)
		return
	}
	for ; c.slots[c.hand].used; c.hand = (c.hand + 1) % clockSlots {
		c.slots[c.hand].used = false
	}
	delete(c.byID, c.slots[c.hand].id)
	c.slots[c.hand] = s
	c.hand = (c.hand + 1) % clockSlots
}

func newSlot(id string) *slot {
	return &slot{id: id} // fault:cache-clock
}
