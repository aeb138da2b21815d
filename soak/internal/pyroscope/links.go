package pyroscope

import (
	"cmp"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// Link is a place on a server that shows profiles of a trial.
type Link struct{ Text, URL string }

// Links are the places that show a trial which was pushed to the target: Grafana's profile view of its whole time, and
// the server's own difference of its last and first floor. A target's address comes from a file, so one that is not
// http is left out.
func Links(target Entry, run *record.Run, t *record.Trial) []Link {
	var out []Link
	service := Service(run, t.Cell, t.Index)
	if u := webAddress(target.Grafana); u != nil {
		panes, err := json.Marshal(map[string]any{"profiles": map[string]any{
			"datasource": "pyroscope",
			"queries": []any{map[string]any{"refId": "A", "datasource": map[string]string{"type": "grafana-pyroscope-datasource",
				"uid": "pyroscope"},
				"queryType": "profile", "profileTypeId": typeOf(record.HeapDir, "inuse_space")[0],
				"labelSelector": selector(service, nil)}},
			"range": map[string]string{"from": ms(t.Started), "to": ms(t.Ended.Add(time.Second))},
		}})
		if err == nil {
			q := url.Values{"schemaVersion": {"1"}, "orgId": {"1"}, "panes": {string(panes)}}
			out = append(out, Link{Text: "profiles in Grafana", URL: u.JoinPath("explore").String() + "?" + q.Encode()})
		}
	}
	var floors []shown
	for _, w := range shownOf(t) {
		if w.view == viewFloor && w.snap.Heap != "" {
			floors = append(floors, w)
		}
	}
	if u := webAddress(cmp.Or(target.Server, target.URL)); u != nil && len(floors) > 1 {
		q := url.Values{}
		for side, w := range map[string]shown{"left": floors[0], "right": floors[len(floors)-1]} {
			q.Set(side+"Query", typeOf(record.HeapDir, "inuse_space")[0]+selector(w.view.service(service, w.snap.Phase), nil))
			q.Set(side+"From", ms(w.snap.Time.Add(-time.Minute)))
			q.Set(side+"Until", ms(w.snap.Time.Add(time.Minute)))
		}
		out = append(out, Link{Text: "first and last floor compared by Pyroscope",
			URL: u.JoinPath("pyroscope/render-diff").String() + "?" + q.Encode()})
	}
	return out
}

func webAddress(s string) *url.URL {
	u, err := url.Parse(s)
	if s == "" || err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil
	}
	return u
}

func ms(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
