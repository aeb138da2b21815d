package tui

import (
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/term"

	"github.com/memsoak/memsoak/internal/foreign"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/progress"
)

// Start shows the events of a run on out: as a live table when out is a terminal that can draw one, else as lines.
// verbose asks for lines with phases. Call stop when the run has returned: it leaves the last state of the table on the
// screen. sink is safe for concurrent use until then.
func Start(out io.Writer, verbose bool) (sink func(soak.Event), stop func()) {
	if verbose || !drawable(out) {
		return progress.Lines(out, verbose), func() {}
	}
	p := tea.NewProgram(newModel(time.Now), tea.WithOutput(foreign.Raw(out)), tea.WithInput(nil),
		tea.WithoutSignalHandler())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = p.Run() // without a terminal to draw on there is nothing to show; the record is on disk
	}()
	return func(e soak.Event) { p.Send(eventMsg{e}) }, func() {
		p.Quit()
		<-ended
	}
}

// drawable reports whether out is a terminal on which lines can be redrawn.
func drawable(out io.Writer) bool {
	f, ok := foreign.Raw(out).(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" && os.Getenv("CI") == ""
}
