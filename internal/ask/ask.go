// Package ask is the client of a JSON protocol, such as the fakes' for their administration. It knows no protocol.
package ask

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/memsoak/memsoak/internal/bounded"
)

// Client asks a server. It is safe for concurrent use.
type Client struct {
	Base string // what stands before every path
	HTTP *http.Client
}

// Do calls a path with in as JSON (a json.RawMessage is sent as it is) and decodes the answer into out (an io.Writer
// takes it as it is). Either may be nil. A status outside 2xx is an error with the server's own message.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	switch v := in.(type) {
	case nil:
	case json.RawMessage:
		body = bytes.NewReader(v)
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encode %s: %w", path, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json") // of which YAML is a superset
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		msg, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		var e struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(msg, &e) == nil && e.Error != "" {
			msg = []byte(e.Error)
		}
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(msg))
	}
	switch v := out.(type) {
	case nil:
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	case io.Writer:
		_, err = io.Copy(v, resp.Body)
		return err
	}
	if err := json.NewDecoder(bounded.Reader(resp.Body, bounded.Answer)).Decode(out); err != nil {
		return fmt.Errorf("%s %s: decode answer: %w", method, path, err)
	}
	return nil
}
