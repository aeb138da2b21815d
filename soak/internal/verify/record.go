package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/replace"
	"github.com/memsoak/memsoak/soak/internal/fakes3"
)

// File is the name of a trial's record of its sink: a header line and then one Entry a line, compressed.
const File = "sink.ndjson.gz"

// Schema is the schema of the record.
const Schema = "memsoak/sink/v1"

// Wave is one piece of work: a tree that was to be copied below a prefix of a bucket.
type Wave struct {
	Request fault.RootRequest `json:"request"`
	Bucket  string            `json:"bucket"`
	Prefix  string            `json:"prefix"`
	// Failed is why the wave is not expected to be complete; then only the objects there are checked.
	Failed string `json:"failed,omitempty"`
}

// Tree computes the wave's tree.
func (w *Wave) Tree() (*corpus.Tree, error) {
	var spec *corpus.Spec
	var err error
	if w.Request.Spec != "" {
		spec, err = corpus.ParseSpec([]byte(w.Request.Spec))
	} else {
		spec, err = corpus.Preset(w.Request.Corpus)
	}
	if err != nil {
		return nil, err
	}
	return corpus.New(spec, w.Request.Generation)
}

type header struct {
	Schema string `json:"schema"`
	Waves  []Wave `json:"waves"`
}

// Record writes what the sink with the admin address has, and what it should have, to the directory of a trial.
func Record(ctx context.Context, dir, admin string, waves []Wave) error {
	err := replace.With(filepath.Join(dir, File), 0o600, func(f io.Writer) error {
		zip, _ := gzip.NewWriterLevel(f, gzip.BestSpeed)
		if err := json.NewEncoder(zip).Encode(header{Schema, waves}); err != nil {
			return err
		}
		buckets := map[string]bool{}
		for _, w := range waves {
			if buckets[w.Bucket] {
				continue
			}
			buckets[w.Bucket] = true
			if err := copyList(ctx, zip, admin, w.Bucket); err != nil {
				return fmt.Errorf("list the sink: %w", err)
			}
		}
		return zip.Close()
	})
	if err != nil {
		return fmt.Errorf("record the sink: %w", err)
	}
	return nil
}

// copyList copies the sink's list of a bucket as it comes: it has one Entry a line already.
func copyList(ctx context.Context, to io.Writer, admin, bucket string) error {
	list, err := openList(ctx, admin, bucket, "")
	if err != nil {
		return err
	}
	defer list.Close()
	_, err = io.Copy(to, list)
	return err
}

// Recorded reads the record in the directory of a trial. all yields its entries, once for each time it is ranged over.
func Recorded(dir string) (waves []Wave, all iter.Seq2[fakes3.Entry, error], err error) {
	name := filepath.Join(dir, File)
	h, err := readRecord(name, func(dec *json.Decoder, h *header) error { return dec.Decode(h) })
	if err != nil {
		return nil, nil, err
	}
	return h.Waves, func(yield func(fakes3.Entry, error) bool) {
		_, err := readRecord(name, func(dec *json.Decoder, h *header) error {
			if err := dec.Decode(h); err != nil {
				return err
			}
			return decodeEntries(dec, yield)
		})
		if err != nil {
			yield(fakes3.Entry{}, err)
		}
	}, nil
}

func readRecord(name string, read func(*json.Decoder, *header) error) (h header, err error) {
	f, err := bounded.Open(name, bounded.Samples)
	if err != nil {
		return h, err
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		return h, fmt.Errorf("%s: %w", name, err)
	}
	if err := read(json.NewDecoder(bounded.Reader(zip, bounded.Samples)), &h); err != nil {
		return h, fmt.Errorf("%s: %w", name, err)
	}
	if h.Schema != Schema {
		return h, fmt.Errorf("%s: schema %q, not %q", name, h.Schema, Schema)
	}
	return h, nil
}

// decodeEntries yields entries to the end of the input, or until yield has enough.
func decodeEntries(dec *json.Decoder, yield func(fakes3.Entry, error) bool) error {
	for {
		var e fakes3.Entry
		err := dec.Decode(&e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !yield(e, nil) {
			return nil
		}
	}
}

// Live lists a running sink by its admin address.
func Live(ctx context.Context, admin, bucket, prefix string) iter.Seq2[fakes3.Entry, error] {
	return func(yield func(fakes3.Entry, error) bool) {
		if err := list(ctx, admin, bucket, prefix, yield); err != nil {
			yield(fakes3.Entry{}, fmt.Errorf("list the sink: %w", err))
		}
	}
}

func list(ctx context.Context, admin, bucket, prefix string, yield func(fakes3.Entry, error) bool) error {
	body, err := openList(ctx, admin, bucket, prefix)
	if err != nil {
		return err
	}
	defer body.Close()
	return decodeEntries(json.NewDecoder(body), yield)
}

// openList asks a sink for its list, one Entry a line.
func openList(ctx context.Context, admin, bucket, prefix string) (io.ReadCloser, error) {
	q := url.Values{"bucket": {bucket}, "prefix": {prefix}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(admin, "/")+fault.AdminPrefix+"objects?"+
		q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		msg, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return nil, fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(msg)))
	}
	return resp.Body, nil
}

// Below yields the entries of a bucket whose keys are below the prefix as a folder.
func Below(all iter.Seq2[fakes3.Entry, error], bucket, prefix string) iter.Seq2[fakes3.Entry, error] {
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return func(yield func(fakes3.Entry, error) bool) {
		for e, err := range all {
			if err == nil && (e.Bucket != bucket || !strings.HasPrefix(e.Key, prefix)) {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}
