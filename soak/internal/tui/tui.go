package tui

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/memsoak/memsoak/internal/foreign"
	"github.com/memsoak/memsoak/internal/screen"
	"github.com/memsoak/memsoak/soak"
)

// Start shows the events of a run on out: as a live table when out is a terminal that can draw one, else as lines.
// verbose asks for lines with phases. Call stop when the run has returned: it leaves the last state of the table on the
// screen. sink is safe for concurrent use until then.
func Start(out io.Writer, verbose bool) (sink func(soak.Event), stop func()) {
	if verbose || !drawable(out) {
		return Lines(out, verbose), func() {}
	}
	out = foreign.Raw(out)
	events, ended := make(chan soak.Event), make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(ended)
		show(out, events, over)
	}()
	sink = func(e soak.Event) {
		select {
		case events <- e:
		case <-ended:
		}
	}
	return sink, sync.OnceFunc(func() {
		close(over)
		<-ended
	})
}

// show draws the table until over: each second, and soon after an event.
func show(out io.Writer, events <-chan soak.Event, over <-chan struct{}) {
	m, block := newModel(time.Now), screen.NewBlock(out)
	draw := func() {
		m.resize(screen.Size(out))
		block.Draw(m.view())
	}
	second, frame := time.NewTicker(time.Second), time.NewTicker(time.Second/10)
	defer second.Stop()
	defer frame.Stop()
	changed := false
	for {
		select {
		case e := <-events:
			m.apply(e)
			changed = true
		case <-second.C:
			changed = true
		case <-frame.C:
			if changed {
				draw()
				changed = false
			}
		case <-over:
			draw()
			return
		}
	}
}

// drawable reports whether out is a terminal on which lines can be redrawn.
func drawable(out io.Writer) bool {
	return screen.IsTerminal(foreign.Raw(out)) && os.Getenv("CI") == ""
}
