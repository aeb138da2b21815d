package fakes3

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// Entry is one line of GET /_fake/v1/objects: what the sink knows of an object.
type Entry struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	Size   int64  `json:"size"`
	// MD5 is the content's, in hex; empty for an object that came in parts, whose ETag is made of the parts' sums.
	MD5         string            `json:"md5,omitempty"`
	ETag        string            `json:"etag"`
	Parts       []PartRun         `json:"parts,omitempty"`
	ContentType string            `json:"content_type,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"` // x-amz-meta-*, names in lower case without the prefix
	ModTime     time.Time         `json:"mod_time"`
}

func entryOf(bucket string, o *Object) Entry {
	e := Entry{
		Bucket: bucket, Key: o.Key, Size: o.Size, ETag: o.ETag(), Parts: o.Parts,
		ContentType: o.Headers["Content-Type"], Metadata: o.Metadata(), ModTime: o.ModTime,
	}
	if o.Parts == nil {
		e.MD5 = hex.EncodeToString(o.MD5[:])
	}
	return e
}

// adminRoutes adds to the admin protocol:
//
//	GET    /_fake/v1/objects?bucket=B&prefix=P  -> one Entry a line, in order of keys; without a bucket, of all
//	DELETE /_fake/v1/objects?bucket=B&prefix=P  -> {"deleted": n}; forgets open multipart uploads as well
//	GET    /metrics
func (s *Server) adminRoutes() {
	s.Control.Handle("GET "+fault.AdminPrefix+"objects", http.HandlerFunc(s.listObjects))
	s.Control.Handle("DELETE "+fault.AdminPrefix+"objects", http.HandlerFunc(s.deleteObjects))
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		s.Control.Collector("fakes3"),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fakes3_objects", Help: "Objects in the sink."}, func() float64 {
			n, _ := s.backend.totals()
			return float64(n)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fakes3_objects_bytes",
			Help: "Sum of the sizes of the objects in the sink."}, func() float64 {
			_, n := s.backend.totals()
			return float64(n)
		}))
	s.Control.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
}

func (s *Server) listObjects(w http.ResponseWriter, r *http.Request) {
	buckets := s.backend.names()
	if b := r.URL.Query().Get("bucket"); b != "" {
		if ok, _ := s.backend.BucketExists(b); !ok {
			fault.WriteJSONError(w, http.StatusNotFound, gofakes3.BucketNotFound(b))
			return
		}
		buckets = []string{b}
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(out)
	for _, b := range buckets {
		err := s.backend.each(b, r.URL.Query().Get("prefix"), func(o *Object) error { return enc.Encode(entryOf(b, o)) })
		if err != nil && !gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchBucket) { // deleted meanwhile
			panic(http.ErrAbortHandler) // the listing must not look complete
		}
	}
	if out.Flush() != nil {
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) deleteObjects(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	n, err := s.backend.clear(q.Get("bucket"), q.Get("prefix"))
	if _, ok := errors.AsType[gofakes3.Error](err); ok {
		fault.WriteJSONError(w, http.StatusNotFound, err)
		return
	}
	s.backend.uploads.clear(q.Get("bucket"), q.Get("prefix"))
	fault.WriteJSON(w, http.StatusOK, map[string]int64{"deleted": n})
}
