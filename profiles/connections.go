package profiles

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// Connections that stay: open ones that are never closed, idle ones in pools that are never used again, their buffers.

// connections is how many connections were open, at floors before the idle ones were closed.
func connections(n *Snapshot) (float64, bool) {
	if n.Covariates == nil {
		return 0, false
	}
	c := n.Covariates
	if n.State == record.StateFloor && c.ConnsBeforeClose > 0 {
		return float64(c.ConnsBeforeClose), true
	}
	return float64(c.ConnsOpen), true
}

// sockets is how many TCP connections the process itself has, whatever the other side thinks of them.
func sockets(n *Snapshot) (float64, bool) {
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

// judgeConnections looks for connections that stay open: with a body never closed, or idle in a pool of their own.
func (s *Series) judgeConnections(u *units) []*judged {
	q := s.read(2, connections)
	rest := s.read(2, sockets)
	if !rest.reaches(1) {
		rest = q
	}
	var out []*judged
	for _, t := range s.retained(rest, u.retained) {
		if t.running || t.t() < minT || t.amount < minConns || t.slope < minConnsPerFile || t.name == "byte" ||
			t.name == "second" {
			continue
		}
		a, b := rest.values[t.from[0]], rest.values[t.from[1]]
		j := s.connectionFinding(t, false)
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("%.0f connections open at the first floor, %.0f at the last, with no work under way: %.3g per %s", a, b,
				t.slope, t.name))
		if p := s.Snaps[t.from[1]].Process; p != nil && float64(p.Sockets["close-wait"]) > b/2 {
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
	if t, ok := s.idleGrowth(q); ok {
		j := s.connectionFinding(t, true)
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("%.0f connections with %s; since the floor before, with all idle ones closed, %.3g more per file, "+
				"beyond those of the transfers in flight",
				q.values[t.from[1]], s.describe(t.from[1]), t.slope),
			"closing idle connections cures it: they are in pools that nobody uses again")
		out = append(out, j)
	}
	return out
}

func (s *Series) connectionFinding(t term, idle bool) *judged {
	j := s.processFinding(record.ConnectionLeak, s.connectionCulprit(t, idle), t.scaled(s.bytesPerConnection()))
	j.term.retainedTerm = true
	return j
}

// idleGrowth fits connections against the files done since idle ones were last closed: a pool that is used again stays
// as large as the number of transfers.
func (s *Series) idleGrowth(q *quantity) (term, bool) {
	files := make([]float64, len(s.Snaps))
	base, prev := 0.0, 0.0
	for i, n := range s.Snaps {
		done := float64(n.cov().FilesDone)
		if prev = done; n.State == record.StateFloor || n.State == record.StateIdle {
			files[i], base = done-base, prev
			continue
		}
		files[i] = done - base
	}
	var y, v, one, flight, since []float64
	var idx []int
	for i, n := range s.Snaps {
		if !q.measured(i) || !n.atRest() && !n.State.Held() {
			continue
		}
		m := 0.1*q.values[i] + 3
		idx, y, v, one = append(idx, i), append(y, q.values[i]), append(v, m*m), append(one, 1)
		flight, since = append(flight, float64(n.cov().InFlight)), append(since, files[i])
	}
	fit, err := trend.NNLS([][]float64{one, flight, since}, y, v)
	if err != nil || fit.R2 < minFit {
		return term{}, false
	}
	i := slices.Index(fit.Terms, 2)
	if i < 0 {
		return term{}, false
	}
	t := term{unit: unit{name: "file", class: record.ConnectionLeak, values: files}, slope: fit.Coef[i], se: fit.SE[i],
		share: 1, r2: fit.R2, steps: len(y)}
	for k, x := range since {
		if a := t.slope * x; a > t.amount {
			t.amount, t.from[1] = a, idx[k]
		}
	}
	for k := t.from[1] - 1; k >= 0; k-- {
		if s.Snaps[k].atRest() {
			t.from[0] = k
			break
		}
	}
	if s.Snaps[t.from[1]].State == record.StateFloor { // the profile of a floor is taken after closing: look before it
		for k := t.from[1] - 1; k > t.from[0]; k-- {
			if s.Snaps[k].State.Held() {
				t.from[1] = k
				break
			}
		}
	}
	return t, t.t() >= minT && t.amount >= minConns && t.slope >= minConnsPerFile
}

// bytesPerConnection is what the transport's own sites hold per open connection, at the snapshot with most of them.
func (s *Series) bytesPerConnection() float64 {
	best, conns := 0.0, 0.0
	for _, n := range s.Snaps {
		c := float64(n.cov().ConnsOpen)
		if !n.Profiled || c <= conns {
			continue
		}
		conns, best = c, 0
		for id, a := range n.Sites {
			if s.Sites[id].Owner == OwnerConnection {
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

// connectionCulprit finds the user's code behind connections that stay: the site that holds most of what goes through
// the network packages and grows at the floors. Of connections that idle the states between tell more, since closing
// them hides them at the floors; in a held state alone a transfer's own request would stand in their place. The line
// that made the request opened the connection; one that made the transport has to have grown requestLead times as much.
func (s *Series) connectionCulprit(t term, idle bool) Site {
	first, second := (*Series).grownBetween, (*Series).leftByIdle
	if idle {
		first, second = second, first
	}
	for _, score := range []func(s *Series, t term, id int) float64{first, second} {
		scores := map[int]float64{}
		for id, site := range s.Sites {
			if site.Owner != OwnerUser {
				continue
			}
			scores[id] = score(s, t, id)
			if makesRequest(site.Stack) {
				scores[id] *= requestLead
			}
		}
		if id, ok := largest(scores); ok {
			return *s.Sites[id]
		}
	}
	return Site{}
}

// grownBetween is what a site that goes through the network packages has more of at the end of a term, bytes.
func (s *Series) grownBetween(t term, id int) float64 {
	if !throughNetwork(s.Sites[id].Stack) {
		return 0
	}
	return s.Snaps[t.from[1]].Sites[id].Bytes - s.Snaps[t.from[0]].Sites[id].Bytes
}

// leftByIdle is the most that a site has beyond the floor while connections idle, bytes. What a connection left has an
// object for each of them at least; buffers of transfers are fewer.
func (s *Series) leftByIdle(t term, id int) float64 {
	most := 0.0
	for _, n := range s.Snaps {
		if idle := n.cov().ConnsIdle; n.Profiled && idle > minConns && n.Sites[id].Objects >= float64(idle)/2 {
			most = math.Max(most, n.Sites[id].Bytes-s.Snaps[t.from[0]].Sites[id].Bytes)
		}
	}
	return most
}

// largest is the index with the highest score above zero; ok is false without one.
func largest(score map[int]float64) (int, bool) {
	best, ok := 0, false
	for id, v := range score {
		if v > 0 && (!ok || v > score[best] || v == score[best] && id < best) {
			best, ok = id, true
		}
	}
	return best, ok
}

// throughNetwork reports whether the stack goes through the packages of the standard library that have connections.
func throughNetwork(stack []Frame) bool {
	return slices.ContainsFunc(stack, func(f Frame) bool {
		pkg := packagePath(f.Function)
		return pkg == "net/http" || pkg == "net" || pkg == "crypto/tls"
	})
}

// requestLead is how many times as much as the line of a request has to gather at another one for that to be named.
const requestLead = 10

// makesRequest reports whether the stack sends a request or dials.
func makesRequest(stack []Frame) bool {
	return slices.ContainsFunc(stack, func(f Frame) bool {
		name := f.Function
		return strings.HasPrefix(name, "net/http.(*Client).") || strings.HasSuffix(name, ".RoundTrip") ||
			strings.HasPrefix(name, "net.(*Dialer).") ||
			strings.HasPrefix(name, "net.Dial") || strings.HasPrefix(name, "crypto/tls.")
	})
}

// judgeConnectionBuffers judges the transport's buffers, which have no frame of the user's, as one: per connection.
func (s *Series) judgeConnectionBuffers(u *units) []*judged {
	var ids []int
	total := make(map[int]float64)
	for id, site := range s.Sites {
		if site.Owner == OwnerConnection {
			ids = append(ids, id)
			for _, n := range s.Snaps {
				total[id] = math.Max(total[id], n.Sites[id].Bytes)
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	q := s.siteQuantity(ids...)
	top, _ := largest(total)
	var out []*judged
	var kept []term
	for _, t := range s.retained(q, u.retained) {
		if s.believeRetained(q, &t) && !t.running {
			kept = append(kept, t)
			j := s.processFinding(t.class, *s.Sites[s.mostGrown(ids, t, top)], t)
			j.sites = ids
			out = append(out, j)
		}
	}
	for _, t := range s.heldTerms(q, u.held, kept) {
		if s.believeHeld(q, &t) && t.class != record.Metadata {
			j := s.processFinding(t.class, *s.Sites[top], t)
			j.sites = ids
			out = append(out, j)
		}
	}
	return out
}

// mostGrown is the site of ids that grew most over a term, or else the given one.
func (s *Series) mostGrown(ids []int, t term, otherwise int) int {
	grown := map[int]float64{}
	for _, id := range ids {
		grown[id] = s.Snaps[t.from[1]].Sites[id].Bytes - s.Snaps[t.from[0]].Sites[id].Bytes
	}
	if id, ok := largest(grown); ok {
		return id
	}
	return otherwise
}
