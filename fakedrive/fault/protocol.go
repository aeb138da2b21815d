package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// AdminPrefix is where the admin protocol lives on a fake's listeners. All bodies are JSON; errors are
// {"error": "..."} with a 4xx status. The protocol:
//
//	GET    /_fake/v1/counters                      -> Counters
//	GET    /_fake/v1/holds                         -> []HoldStatus
//	POST   /_fake/v1/holds                Hold     -> HoldStatus (with ID)
//	GET    /_fake/v1/holds/{id}?arrived=N&timeout=30s -> HoldStatus, once N have arrived or the timeout passed
//	POST   /_fake/v1/holds/{id}/release?count=N    -> HoldStatus (count 0 or absent: release all and remove the hold)
//	DELETE /_fake/v1/holds                         -> releases and removes every hold
//	GET    /_fake/v1/faults                        -> Plan
//	PUT    /_fake/v1/faults               Plan     -> Plan (replaces; YAML or JSON)
//	DELETE /_fake/v1/faults
//	POST   /_fake/v1/connections/close-idle        -> {"closed": n}
//
// Requests come to an address, to localhost or to a name given by --admin-host, from no web page, with a Content-Type
// of application/json or application/yaml; those that change something bring the token of the address file (see Guard).
//
// A fake adds routes of its own under the same prefix (fakedrive: roots; the S3 sink: objects).
const AdminPrefix = "/_fake/v1/"

// Point names a place in a request's life where it can be held or struck.
type Point string

// The points of both fakes.
const (
	ListPage       Point = "list-page"       // Drive: a list request has arrived, nothing is sent
	DownloadHeader Point = "download-header" // Drive: a media request has arrived, no header is sent
	DownloadBody   Point = "download-body"   // Drive: Offset bytes of the body are sent
	UploadBody     Point = "upload-body"     // S3: Offset bytes of the body are read
	UploadReply    Point = "upload-reply"    // S3: the body is read to its end, no reply is sent
)

// The points of a gate, which is a proxy. An offset below 0 counts from the end of a body whose length is declared.
const (
	GateRequest     Point = "request"      // the request has arrived and is not passed on
	GateRequestBody Point = "request-body" // Offset bytes of the request's body are passed on
	GateReply       Point = "reply"        // the target has answered and no header is passed back
	GateReplyBody   Point = "reply-body"   // Offset bytes of the reply's body are passed back
	GateBytes       Point = "bytes"        // raw TCP: the client's next bytes are not passed on, which stops a connection
)

// body says whether the point is a place in a body, which has an offset.
func (p Point) body() bool {
	return p == DownloadBody || p == UploadBody || p == GateRequestBody || p == GateReplyBody
}

// fromEnd says whether the point's offset may count from the end.
func (p Point) fromEnd() bool { return p == GateRequestBody || p == GateReplyBody }

// Hold asks a fake to stop transfers at a point.
type Hold struct {
	Point Point `json:"point"`
	// Limit is the number of transfers to hold; those beyond it pass. 0 holds all.
	Limit int `json:"limit,omitempty"`
	// Skip is the number of transfers that pass before the first one is held.
	Skip int `json:"skip,omitempty"`
	// Offset is the number of body bytes before the stop, for points in a body.
	Offset int64 `json:"offset,omitempty"`
	// Timeout releases the hold by itself, so that a dead runner leaves no stuck fake. Default 10 minutes.
	Timeout Duration `json:"timeout,omitempty"`
}

// Check refuses a hold that makes no sense to a fake with these points.
func (h *Hold) Check(points []Point) error {
	switch {
	case !slices.Contains(points, h.Point):
		return fmt.Errorf("hold: this fake has no point %q; it has %q", h.Point, points)
	case h.Limit < 0 || h.Skip < 0 || h.Offset < 0 && !h.Point.fromEnd() || h.Timeout < 0:
		return errors.New("hold: limit, skip, offset and timeout must not be negative")
	case h.Offset > 0 && !h.Point.body():
		return fmt.Errorf("hold: offset is for points in a body, and %s is none", h.Point)
	}
	return nil
}

// HoldStatus is a hold and who waits in it.
type HoldStatus struct {
	ID int64 `json:"id"`
	Hold
	// Arrived counts the transfers that ever reached the point; Waiting those that are stopped there now.
	Arrived int `json:"arrived"`
	Waiting int `json:"waiting"`
	// BytesWaiting is the sum of the full sizes of the waiting transfers (0 for lists).
	BytesWaiting int64 `json:"bytes_waiting"`
}

// Counters are what a fake saw since it started. Gauges say so; everything else only grows. A fake leaves
// fields that make no sense to it at zero.
type Counters struct {
	Time time.Time `json:"time"`

	Requests      int64 `json:"requests"`
	NotUnderstood int64 `json:"not_understood"` // requests for which the fake has no route or no meaning
	FaultsFired   int64 `json:"faults_fired"`
	FaultsHarmful int64 `json:"faults_harmful"` // those of them that failed what they struck: no waiting alone

	// Listings (Drive).
	ListPages     int64 `json:"list_pages"`
	FilesListed   int64 `json:"files_listed"` // downloadable files and documents sent in list pages, repeats included
	FoldersListed int64 `json:"folders_listed"`

	// Transfers: downloads (media and exports) on the Drive side, uploads on the S3 side.
	Started  int64 `json:"started"`
	Finished int64 `json:"finished"` // ended with every byte sent or stored
	Failed   int64 `json:"failed"`
	Bytes    int64 `json:"bytes"` // body bytes sent or stored, of unfinished transfers too
	Distinct int64 `json:"distinct"`
	// FilesFinished are the finished transfers with the parts of a file counted once, when the file is complete.
	FilesFinished int64 `json:"files_finished"`
	// Gauges.
	InFlight      int64 `json:"in_flight"`
	FilesInFlight int64 `json:"files_in_flight"` // the transfers in flight, parts of one file counted once
	BytesInFlight int64 `json:"bytes_in_flight"` // sum of the full sizes of the transfers in flight
	// Drive: files listed and not yet finished downloading, repeats not counted twice
	Backlog    int64 `json:"backlog"`
	LargestNow int64 `json:"largest_now"`
	Largest    int64 `json:"largest"` // of all transfers so far

	// Connections on every listener (gauges, but for ConnsTotal). The admin client's own are not counted.
	ConnsTotal int64 `json:"conns_total"`
	ConnsOpen  int64 `json:"conns_open"`
	ConnsIdle  int64 `json:"conns_idle"`
}

// Duration is a time.Duration that reads and writes as text ("1.5s").
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// Addresses is what a fake writes to its --addr-file once it listens. Absent listeners are empty.
type Addresses struct {
	PID   int    `json:"pid"`
	HTTP  string `json:"http,omitempty"`  // http://127.0.0.1:port
	HTTPS string `json:"https,omitempty"` // https://127.0.0.1:port
	Proxy string `json:"proxy,omitempty"` // http://127.0.0.1:port, a CONNECT proxy
	// base URL of the admin protocol's listener, without AdminPrefix; with the token as password, if there is one
	Admin  string `json:"admin"`
	Token  string `json:"token,omitempty"`   // what changes by the admin protocol need; the file is its owner's alone
	CAFile string `json:"ca_file,omitempty"` // PEM of the CA that signed the TLS listener's certificate
	// Gates has what the clients of each gate are given, by the gate's name: a URL, or host:port for raw TCP.
	Gates map[string]string `json:"gates,omitempty"`
}

// RootRequest asks fakedrive, at POST /_fake/v1/roots, to serve a tree below a fresh folder id. The same request with
// the same generation answers with the same root and ids (repeated work); another generation has other ids and the
// same shape (fresh work). Exactly one of Corpus and Spec is set.
type RootRequest struct {
	Corpus     string `json:"corpus,omitempty"` // a preset's name
	Spec       string `json:"spec,omitempty"`   // a corpus spec, YAML
	Generation uint64 `json:"generation"`
}

// Root answers a RootRequest.
type Root struct {
	ID      string `json:"id"` // the folder id that a client lists
	Files   int64  `json:"files"`
	Folders int64  `json:"folders"`
	Bytes   int64  `json:"bytes"` // total size of binary files
	Largest int64  `json:"largest"`
}

// WriteJSON answers an admin request with v.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only when the client is gone
}

// WriteJSONError answers an admin request with an error, as the protocol has it.
func WriteJSONError(w http.ResponseWriter, status int, err error) {
	WriteJSON(w, status, map[string]string{"error": err.Error()})
}
