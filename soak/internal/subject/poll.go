package subject

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/waiting"
)

// Poll asks whether work that was begun is done.
type Poll struct {
	// URL is asked with GET. Beside the wave's placeholders it has {{.reply.FIELD}}, a field of the JSON object with
	// which the wave's request was answered, and {{.reply.location}}, its Location header.
	URL string `yaml:"url"`
	// Until is a regular expression: the work is done when the answer's body matches it.
	Until string `yaml:"until"`
	// Failed is one that says that the work has failed; optional.
	Failed string `yaml:"failed,omitempty"`
	// Every is the time between two questions; default 100ms.
	Every fault.Duration `yaml:"every,omitempty"`
}

func (p *Poll) check() error {
	if p == nil {
		return nil
	}
	if p.URL == "" || p.Until == "" {
		return fmt.Errorf("wave.poll needs a url and until, a regular expression")
	}
	for name, text := range map[string]string{"until": p.Until, "failed": p.Failed} {
		if _, err := regexp.Compile(text); err != nil {
			return fmt.Errorf("wave.poll.%s: %w", name, err)
		}
	}
	if p.Every <= 0 {
		p.Every = fault.Duration(100 * time.Millisecond)
	}
	return nil
}

// replyValues are the placeholders that come of a request's answer.
func replyValues(resp *http.Response, body []byte) map[string]string {
	out := map[string]string{}
	var fields map[string]any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber() // an id stays as it is written
	if dec.Decode(&fields) == nil {
		for k, v := range fields {
			out["reply."+k] = fmt.Sprint(v)
		}
	}
	if at, err := resp.Location(); err == nil {
		out["reply.location"] = at.String()
	}
	return out
}

// await polls until the work is done.
func (p *Process) await(ctx context.Context, poll *Poll, values, reply map[string]string) error {
	all := maps.Clone(values)
	maps.Copy(all, reply)
	url, err := Expand(poll.URL, all)
	if err != nil {
		return fmt.Errorf("wave.poll.url: %w", err)
	}
	until, failed := regexp.MustCompile(poll.Until), regexp.MustCompile(poll.Failed)
	for {
		text, err := p.ask(ctx, url)
		switch {
		case err != nil:
			return err
		case poll.Failed != "" && failed.Match(text):
			return fmt.Errorf("%s says that the work failed: %s", url, lastLine(string(text)))
		case until.Match(text):
			return nil
		}
		if err := waiting.For(ctx, time.Duration(poll.Every)); err != nil {
			return err
		}
	}
}

func (p *Process) ask(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, bounded.Reply.Bytes))
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return text, err
}
