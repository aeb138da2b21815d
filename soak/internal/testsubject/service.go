package testsubject

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"
	"os"
	"time"

	"github.com/memsoak/memsoak/soak/internal/load"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// The ways of a service to behave.
const (
	Sync  = "service-sync"  // calls its upstream before it answers
	Async = "service-async" // answers, and calls its upstream then, with four calls in parallel
	Fails = "service-fails" // answers with 500
	Works = "service-works" // answers, and works on without end
	// Alone calls no upstream: a request takes a little time, and no more than that.
	Alone = "service-alone"
	Pulls = "service-pulls" // fetches its work from its upstream, one item after the other
)

// ServiceSpec is the subject file of a service, with an upstream at an address, or made where that is empty.
func ServiceSpec(mode, upstream string) *subject.Spec {
	s := &subject.Spec{
		Name: "testservice", Command: []string{os.Args[0], "{{.addr}}", "{{.upstream.items}}"},
		Env:   map[string]string{Variable: mode},
		Pprof: "http://{{.addr}}/debug/pprof", Module: "github.com/memsoak/memsoak",
		Load:      &load.Spec{Targets: []load.Target{{Method: "POST", URL: "http://{{.addr}}/{{.key}}", Body: "{{.blob}}"}}},
		Upstreams: map[string]load.Upstream{"items": {Address: upstream}},
	}
	if upstream == "" {
		s.Upstreams["items"] = load.Upstream{Reply: &load.Reply{Size: "{{.size}}"}}
	}
	return s
}

// serve is the service.
func serve(mode, addr, upstream string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	slots := make(chan struct{}, 4)
	if mode == Pulls {
		go pull(upstream)
	}
	mux.HandleFunc("/{key}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch mode {
		case Fails:
			http.Error(w, "out of order", http.StatusInternalServerError)
		case Async:
			go func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				_ = call(context.Background(), upstream, r.PathValue("key"))
			}()
			w.WriteHeader(http.StatusAccepted)
		case Alone:
			time.Sleep(aloneTime)
		case Works:
			go func() {
				for begun := time.Now(); time.Since(begun) < time.Hour; {
					_ = fmt.Sprint(begun)
				}
			}()
		default:
			if err := call(r.Context(), upstream, r.PathValue("key")); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
			}
		}
	})
	return http.ListenAndServe(addr, mux)
}

// aloneTime is long beside the time between two looks at the requests in flight.
const aloneTime = 20 * time.Millisecond

// pull is a consumer: it asks for the next item as soon as the last is done, and a little later after a failure.
func pull(upstream string) {
	for range time.Tick(time.Millisecond) {
		_ = call(context.Background(), upstream, "next")
	}
}

func call(ctx context.Context, upstream, key string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, upstream+"/"+key, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
