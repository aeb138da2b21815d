package fakedrive

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
)

// maxRootRequest bounds a root request with a spec in it.
const maxRootRequest = 256 << 10

// adminRoutes adds this fake's own routes to the admin protocol:
//
//	POST /_fake/v1/roots          RootRequest -> Root
//	POST /_fake/v1/tokens/revoke  every access token that was issued so far gets 401
func (s *Server) adminRoutes() {
	s.ctl.Handle("POST "+fault.AdminPrefix+"roots", http.HandlerFunc(s.mintRoot))
	s.ctl.Handle("POST "+fault.AdminPrefix+"tokens/revoke", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.tokens.epoch.Add(1)
		fault.WriteJSON(w, http.StatusOK, struct{}{})
	}))
	reg := prometheus.NewRegistry()
	reg.MustRegister(s.ctl.Collector("fakedrive"), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.ctl.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
}

func (s *Server) mintRoot(w http.ResponseWriter, r *http.Request) {
	var req fault.RootRequest
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRootRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(&req); err != nil {
		fault.WriteJSONError(w, http.StatusBadRequest, fmt.Errorf("read the root request: %w", err))
		return
	}
	spec, err := specOf(req)
	if err != nil {
		fault.WriteJSONError(w, http.StatusBadRequest, err)
		return
	}
	root, err := s.AddRoot(spec, req.Generation)
	if err != nil {
		fault.WriteJSONError(w, http.StatusBadRequest, err)
		return
	}
	fault.WriteJSON(w, http.StatusOK, root)
}

func specOf(req fault.RootRequest) (*corpus.Spec, error) {
	switch {
	case (req.Corpus == "") == (req.Spec == ""):
		return nil, fmt.Errorf("set exactly one of corpus and spec")
	case req.Corpus != "":
		return corpus.Preset(req.Corpus)
	}
	return corpus.ParseSpec([]byte(req.Spec))
}
