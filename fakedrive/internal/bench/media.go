package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/internal/stat"
)

const (
	mediaCorpus = "bench-large"
	mediaPart   = 256 << 20 // bytes of each file that one round reads
)

// serveBare serves the media of mediaCorpus by ordinal, with nothing but net/http, and says where.
func serveBare(ctx context.Context, stdout io.Writer) error {
	tree, err := openTree(mediaCorpus)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "http://%s\n", l.Addr())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
		if err != nil || n < 0 || n >= tree.Len() {
			http.NotFound(w, r)
			return
		}
		body := tree.OpenRange(n, 0, mediaPart)
		w.Header().Set("Content-Type", "application/pdf")
		w.Header().Set("Content-Length", strconv.FormatInt(body.Len(), 10))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = body.WriteTo(w) // the client reports missing bytes
	})
	srv := &http.Server{Handler: mux}
	context.AfterFunc(ctx, func() { srv.Close() })
	if err := srv.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func openTree(preset string) (*corpus.Tree, error) {
	spec, err := corpus.Preset(preset)
	if err != nil {
		return nil, err
	}
	return corpus.New(spec, 0)
}

// media compares downloads from fakedrive and from the bare handler, by one client and by four.
func media(ctx context.Context, o options) ([]figure, error) {
	bare, err := startBare(ctx)
	if err != nil {
		return nil, err
	}
	defer bare.stop()
	drive, err := startDrive(ctx, o.binary, mediaCorpus)
	if err != nil {
		return nil, err
	}
	defer drive.stop()
	tree, err := openTree(mediaCorpus)
	if err != nil {
		return nil, err
	}
	bareURL := func(n int64) string { return fmt.Sprintf("%s/%d", bare.url, n) }
	driveURL := func(n int64) string { return drive.url + "/drive/v3/files/" + tree.ID(n) + "?alt=media" }
	var figures []figure
	for _, clients := range []int{1, 4} {
		var ratios, speeds []float64
		for round := range o.rounds + 1 {
			a, err := download(ctx, clients, bareURL)
			if err != nil {
				return nil, err
			}
			b, err := download(ctx, clients, driveURL)
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first warms up
				ratios = append(ratios, b/a)
				speeds = append(speeds, b)
			}
		}
		figures = append(figures, atLeast(fmt.Sprintf("media, %d at a time, to a bare handler", clients), 0.8,
			stat.Median(ratios),
			fmt.Sprintf("%.1f GiB/s", stat.Median(speeds)/(1<<30))))
	}
	return figures, nil
}

// download reads mediaPart bytes of as many files as there are clients, in parallel, and returns bytes per second.
func download(ctx context.Context, clients int, url func(n int64) string) (float64, error) {
	errs := make([]error, clients)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range clients {
		wg.Go(func() { errs[i] = fetch(ctx, url(int64(i+1))) })
	}
	wg.Wait()
	took := time.Since(start)
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return float64(clients) * mediaPart / took.Seconds(), nil
}

func fetch(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=0-%d", mediaPart-1))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, 256<<10))
	if err == nil && (resp.StatusCode != http.StatusPartialContent || n != mediaPart) {
		err = fmt.Errorf("%s: %s, %d bytes", url, resp.Status, n)
	}
	return err
}
