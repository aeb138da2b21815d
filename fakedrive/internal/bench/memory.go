package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/memsoak/memsoak/fakedrive/corpus"
)

// startUps starts fakedrive on each preset.
func startUps(ctx context.Context, o options) ([]figure, error) {
	var slowest time.Duration
	var name string
	for _, preset := range corpus.Presets() {
		p, err := startDrive(ctx, o.binary, preset)
		if err != nil {
			return nil, err
		}
		if err := p.stop(); err != nil {
			return nil, err
		}
		if p.took > slowest {
			slowest, name = p.took, preset
		}
	}
	return []figure{{
		Name: fmt.Sprintf("start-up, slowest of %d presets", len(corpus.Presets())), Asked: "<= 1 s",
		Value:    slowest.Seconds(),
		Measured: fmt.Sprintf("%.0f ms (%s)", slowest.Seconds()*1000, name), OK: slowest <= time.Second,
	}}, nil
}

// memory lists ten million files and reads the server's memory.
func memory(ctx context.Context, o options) ([]figure, error) {
	const limit = 64 << 20
	p, err := startDrive(ctx, o.binary, "ten-million")
	if err != nil {
		return nil, err
	}
	defer p.stop()
	tree, err := openTree("ten-million")
	if err != nil {
		return nil, err
	}
	start := time.Now()
	items, err := listAll(ctx, p.url)
	if err != nil {
		return nil, err
	}
	took := time.Since(start)
	if items != tree.Len()-1 {
		return nil, fmt.Errorf("listed %d items of %d", items, tree.Len()-1)
	}
	status, err := p.status()
	if err != nil {
		return nil, err
	}
	rss, peak := int64(status.VmRSS), int64(status.VmHWM)
	return []figure{{
		Name: "RSS after ten-million was listed in full", Asked: "<= 64 MiB", Value: float64(rss), OK: rss <= limit,
		Measured: fmt.Sprintf("%.1f MiB, peak %.1f MiB (%.0f items/s)", mib(rss), mib(peak), float64(items)/took.Seconds()),
	}}, nil
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// listAll pages through everything and returns the number of items.
func listAll(ctx context.Context, base string) (items int64, err error) {
	for token := ""; ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, flatURL(base, token), nil)
		if err != nil {
			return items, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return items, err
		}
		var page struct {
			NextPageToken string     `json:"nextPageToken"`
			Files         []struct{} `json:"files"`
		}
		err = json.NewDecoder(resp.Body).Decode(&page)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return items, fmt.Errorf("list: %s", resp.Status)
		}
		if err != nil {
			return items, fmt.Errorf("list: %w", err)
		}
		items += int64(len(page.Files))
		if token = page.NextPageToken; token == "" {
			return items, nil
		}
	}
}
