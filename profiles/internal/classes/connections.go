package classes

// Connections that stay: open ones that are never closed, idle ones in pools that are never used again, their buffers.

import (
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// Connections is how many connections were open, at floors before the idle ones were closed.
func Connections(n *series.Snapshot) (float64, bool) {
	if n.Covariates == nil {
		return 0, false
	}
	c := n.Covariates
	if n.State == record.StateFloor && c.ConnsBeforeClose > 0 {
		return float64(c.ConnsBeforeClose), true
	}
	return float64(c.ConnsOpen), true
}

// Sockets is how many TCP connections the process itself has, whatever the other side thinks of them.
func Sockets(n *series.Snapshot) (float64, bool) {
	if n.Process == nil || n.Process.Sockets == nil {
		return 0, false
	}
	sum := 0
	for state, c := range n.Process.Sockets {
		if state != "listen" {
			sum += c
		}
	}
	return float64(sum), true
}

// unlimited reads nothing of a process that is out of descriptors: it would have opened more.
func unlimited(read func(n *series.Snapshot) (float64, bool)) func(n *series.Snapshot) (float64, bool) {
	return func(n *series.Snapshot) (float64, bool) {
		if n.Process.OutOfFDs() {
			return 0, false
		}
		return read(n)
	}
}

// judgeConnections looks for connections that stay open: with a body never closed, or idle in a pool of their own.
func judgeConnections(s *series.Series, u *fit.Units) []*finding.Judged {
	q, rest := fit.Read(s, 2, unlimited(Connections)), fit.Read(s, 2, unlimited(Sockets))
	if !reaches(rest, 1) {
		rest = q
	}
	var out []*finding.Judged
	for _, t := range fit.Retained(s, rest, u.Retained) {
		if t.Running || t.T() < threshold.MinT || t.Amount < threshold.MinConns || t.Slope < threshold.MinConnsPerFile ||
			t.Name == "byte" ||
			t.Name == "second" {
			continue
		}
		a, b := rest.Values[t.From[0]], rest.Values[t.From[1]]
		j := connectionFinding(s, t, false)
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("%.0f connections open at the first floor, %.0f at the last, with no work under way: %.3g per %s", a, b,
				t.Slope, t.Name))
		if p := s.Snaps[t.From[1]].Process; p != nil && float64(p.Sockets["close-wait"]+p.Sockets["close"]) > b/2 {
			j.Evidence = append(j.Evidence,
				"most wait to be closed: the other side has gone, the process has not closed its end")
		} else {
			j.Evidence = append(j.Evidence, "closing idle connections does not cure it: they count as in use")
		}
		out = append(out, j)
	}
	if len(out) > 0 {
		return out
	}
	if t, ok := idleGrowth(s, q); ok {
		j := connectionFinding(s, t, true)
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("%.0f connections with %s; since the floor before, with all idle ones closed, %.3g more per file, "+
				"beyond those of the transfers in flight",
				q.Values[t.From[1]], finding.Describe(s, t.From[1]), t.Slope),
			"closing idle connections cures it: they are in pools that nobody uses again")
		out = append(out, j)
	}
	return out
}

func connectionFinding(s *series.Series, t fit.Term, idle bool) *finding.Judged {
	j := ProcessFinding(s, record.ConnectionLeak, ConnectionCulprit(s, t, idle), scaled(t, bytesPerConnection(s)))
	j.Term.RetainedTerm = true
	return j
}

// idleGrowth fits connections against the files done since idle ones were last closed: a pool that is used again stays
// as large as the number of transfers that were in flight together since then. At rest these have ended, so it is as
// many as there ever were, or as there were files.
func idleGrowth(s *series.Series, q *fit.Quantity) (fit.Term, bool) {
	files := make([]float64, len(s.Snaps))
	base, prev, most := 0.0, 0.0, 0.0
	for i, n := range s.Snaps {
		most = math.Max(most, float64(n.Cov().InFlight))
		done := float64(n.Cov().FilesDone)
		if prev = done; n.State == record.StateFloor || n.State == record.StateIdle {
			files[i], base = done-base, prev
			continue
		}
		files[i] = done - base
	}
	var y, v, one, flight, since []float64
	var idx []int
	for i, n := range s.Snaps {
		if !q.Measured(i) || !n.AtRest() && !n.State.Held() {
			continue
		}
		m := 0.1*q.Values[i] + 3
		idx, y, v, one = append(idx, i), append(y, q.Values[i]), append(v, m*m), append(one, 1)
		flight, since = append(flight, math.Max(float64(n.Cov().InFlight), math.Min(files[i], most))), append(since, files[i])
	}
	fitted, err := trend.NNLS([][]float64{one, flight, since}, y, v)
	if err != nil || fitted.R2 < threshold.MinFit {
		return fit.Term{}, false
	}
	i := slices.Index(fitted.Terms, 2)
	if i < 0 {
		return fit.Term{}, false
	}
	t := fit.Term{Unit: fit.Unit{Name: "file", Class: record.ConnectionLeak, Values: files}, Slope: fitted.Coef[i],
		SE:    fitted.SE[i],
		Share: 1, R2: fitted.R2, Steps: len(y)}
	for k, x := range since {
		if a := t.Slope * x; a > t.Amount {
			t.Amount, t.From[1] = a, idx[k]
		}
	}
	for k := t.From[1] - 1; k >= 0; k-- {
		if s.Snaps[k].AtRest() {
			t.From[0] = k
			break
		}
	}
	if s.Snaps[t.From[1]].State == record.StateFloor { // the profile of a floor is taken after closing: look before it
		for k := t.From[1] - 1; k > t.From[0]; k-- {
			if s.Snaps[k].State.Held() {
				t.From[1] = k
				break
			}
		}
	}
	return t, t.T() >= threshold.MinT && t.Amount >= threshold.MinConns && t.Slope >= threshold.MinConnsPerFile
}

// bytesPerConnection is what the transport's own sites hold per open connection, at the snapshot with most of them.
func bytesPerConnection(s *series.Series) float64 {
	best, conns := 0.0, 0.0
	for _, n := range s.Snaps {
		c := float64(n.Cov().ConnsOpen)
		if !n.Profiled || c <= conns {
			continue
		}
		conns, best = c, 0
		for id, a := range n.Sites {
			if s.Sites[id].Owner == blame.OwnerConnection {
				best += a.Bytes
			}
		}
	}
	if conns == 0 {
		return defaultConnection
	}
	return math.Max(best/conns, defaultConnection/4)
}

// defaultConnection is what an idle plain HTTP/1.1 connection costs the client's heap.
const defaultConnection = 11 << 10

// ConnectionCulprit finds the user's code behind connections that stay: the site that holds most of what goes through
// the network packages and grows at the floors. Of connections that idle the states between tell more, since closing
// them hides them at the floors; in a held state alone a transfer's own request would stand in their place. The line
// that made the request opened the connection; one that made the transport has to have grown requestLead times as much.
func ConnectionCulprit(s *series.Series, t fit.Term, idle bool) blame.Site {
	first, second := grownBetween, leftByIdle
	if idle {
		first, second = second, first
	}
	for _, score := range []func(s *series.Series, t fit.Term, id int) float64{first, second} {
		scores := map[int]float64{}
		for id, site := range s.Sites {
			if site.Owner != blame.OwnerUser {
				continue
			}
			scores[id] = score(s, t, id)
			if blame.MakesRequest(site.Stack) {
				scores[id] *= requestLead
			}
		}
		if id, ok := Largest(scores); ok {
			return *s.Sites[id]
		}
	}
	return blame.Site{}
}

// grownBetween is what a site that goes through the network packages has more of at the end of a term, bytes.
func grownBetween(s *series.Series, t fit.Term, id int) float64 {
	if !blame.ThroughNetwork(s.Sites[id].Stack) {
		return 0
	}
	return s.Snaps[t.From[1]].Sites[id].Bytes - s.Snaps[t.From[0]].Sites[id].Bytes
}

// leftByIdle is the most that a site has beyond the floor while connections idle, bytes. What a connection left has an
// object for each of them at least; buffers of transfers are fewer.
func leftByIdle(s *series.Series, t fit.Term, id int) float64 {
	most := 0.0
	for _, n := range s.Snaps {
		if idle := n.Cov().ConnsIdle; n.Profiled && idle > threshold.MinConns && n.Sites[id].Objects >= float64(idle)/2 {
			most = math.Max(most, n.Sites[id].Bytes-s.Snaps[t.From[0]].Sites[id].Bytes)
		}
	}
	return most
}

// Largest is the index with the highest score above zero; ok is false without one.
func Largest(score map[int]float64) (int, bool) {
	best, ok := 0, false
	for id, v := range score {
		if v > 0 && (!ok || v > score[best] || v == score[best] && id < best) {
			best, ok = id, true
		}
	}
	return best, ok
}

// requestLead is how many times as much as the line of a request has to gather at another one for that to be named.
const requestLead = 10

// judgeConnectionBuffers judges the transport's buffers, which have no frame of the user's, as one: per connection.
func judgeConnectionBuffers(s *series.Series, u *fit.Units) []*finding.Judged {
	var ids []int
	total := make(map[int]float64)
	for id, site := range s.Sites {
		if site.Owner == blame.OwnerConnection {
			ids = append(ids, id)
			for _, n := range s.Snaps {
				total[id] = math.Max(total[id], n.Sites[id].Bytes)
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	q := fit.OfSites(s, ids...)
	top, _ := Largest(total)
	var out []*finding.Judged
	var kept []fit.Term
	for _, t := range fit.Retained(s, q, u.Retained) {
		if believeRetained(s, q, &t) && !t.Running {
			kept = append(kept, t)
			j := ProcessFinding(s, t.Class, *s.Sites[mostGrown(s, ids, t, top)], t)
			j.Sites = ids
			out = append(out, j)
		}
	}
	for _, t := range fit.HeldTerms(s, q, u.Held, kept) {
		if believeHeld(s, &t) && t.Class != record.Metadata {
			j := ProcessFinding(s, t.Class, *s.Sites[top], t)
			j.Sites = ids
			out = append(out, j)
		}
	}
	return out
}

// mostGrown is the site of ids that grew most over a term, or else the given one.
func mostGrown(s *series.Series, ids []int, t fit.Term, otherwise int) int {
	grown := map[int]float64{}
	for _, id := range ids {
		grown[id] = s.Snaps[t.From[1]].Sites[id].Bytes - s.Snaps[t.From[0]].Sites[id].Bytes
	}
	if id, ok := Largest(grown); ok {
		return id
	}
	return otherwise
}
