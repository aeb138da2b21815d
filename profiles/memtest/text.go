package memtest

import (
	"fmt"
	"runtime/debug"
	"strings"
)

func setGC(percent int) int { return debug.SetGCPercent(percent) }

// String says it in one line, with details on the lines below.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(f.headline())
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "\n\t%-13s %s", name, value)
		}
	}
	if f.Open {
		row("undecided", "it grew in the last waves only: raise Budget, or let it fill with Warmup")
	}
	if f.Stopped {
		row("stopped", fmt.Sprintf("after %d %ss: enough has leaked (see MaxLeak)", f.Ops, f.unit))
	}
	if f.User != f.Site && f.Kind != Connections {
		row("your line", f.User.String())
	}
	row("waits at", f.Waits)
	for i, p := range f.With {
		if i == partsShown {
			row("", fmt.Sprintf("and %d more lines", len(f.With)-i))
			break
		}
		row([]string{"with it", " "}[min(i, 1)], p.text(f.unit))
	}
	for i, l := range f.Stack {
		if i == framesShown {
			row("", fmt.Sprintf("and %d more frames", len(f.Stack)-i))
			break
		}
		row([]string{"stack", " "}[min(i, 1)], l.String())
	}
	return b.String()
}

// heldBy names the table that grows. It is often the culprit: what it holds may come from its caller.
func (f Finding) heldBy() string {
	if f.Holder.Function == "" || f.Holder == f.Site {
		return ""
	}
	return ", held by what grows at " + f.Holder.String()
}

func (f Finding) headline() string {
	switch f.Kind {
	case Goroutines:
		return fmt.Sprintf("%.4g goroutines left per %s (%d after %d; %.4g allowed)%s, started at %s",
			f.PerOp, f.unit, f.Total, f.Ops, f.Limit, f.holding(), f.Site)
	case Connections:
		at := ", not opened by package net"
		if f.Site.Function != "" {
			at = ", opened at " + f.at()
		}
		return fmt.Sprintf("%.4g connections left open per %s (%d after %d; %.4g allowed)%s%s",
			f.PerOp, f.unit, f.Total, f.Ops, f.Limit, f.holding(), at)
	case PeakHeap:
		return fmt.Sprintf("the heap rose %s above its floor; %s allowed; most was allocated at %s",
			size(float64(f.Total)), size(f.Limit), f.Site)
	}
	at := "at " + f.Site.String()
	if f.Site.Function == "" {
		at = "scattered over many lines"
	}
	return fmt.Sprintf("%s in %.3g objects retained per %s (%s after %d; %.4g B allowed), allocated %s%s",
		size(f.PerOp), f.Objects, f.unit, size(float64(f.Total)), f.Ops, f.Limit, at, f.heldBy())
}

// at is the user's line of a connection where there is one: the library's is often deep inside package net/http.
func (f Finding) at() string {
	if f.User.Function != "" {
		return f.User.String()
	}
	return f.Site.String()
}

// holding is the heap that comes with goroutines or connections.
func (f Finding) holding() string {
	var what []string
	each := max(f.PerOp, 1e-9)
	if f.Bytes >= 1 {
		what = append(what, fmt.Sprintf("%s in %.3g objects", size(f.Bytes/each), f.Objects/each))
	}
	if f.StackBytes >= 1 {
		what = append(what, size(f.StackBytes/each)+" of stack")
	}
	if len(what) == 0 {
		return ""
	}
	return ", each with " + strings.Join(what, " and ")
}

func (p Part) text(unit string) string {
	var what []string
	if p.Goroutines > 0 {
		what = append(what, fmt.Sprintf("%.3g goroutines", p.Goroutines))
	}
	if p.Bytes > 0 {
		what = append(what, size(p.Bytes))
	}
	if p.Objects > 0 {
		what = append(what, fmt.Sprintf("%.3g objects", p.Objects))
	}
	s := strings.Join(what, ", ") + " per " + unit + ": " + p.Site.String()
	if p.Note != "" {
		s += " (" + p.Note + ")"
	}
	return s
}
