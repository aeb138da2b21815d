package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
)

// flights hold memory while requests or connections are there.
func flights() []Service { return append(append(inRequests(), inReplies()...), ofConnections()...) }

func inRequests() []Service {
	return []Service{
		{Name: "web-buffer-request", Summary: "Every request in flight has a buffer of 512 KiB.",
			new: func(c *client) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					b := scratch()
					c.reply(w, r)
					b[0]++
				}
			}},
		{Name: "web-body-whole", Summary: "A request's body is read whole before the upstream is called.",
			new: func(c *client) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					b, err := readBody(r)
					if err != nil {
						http.Error(w, err.Error(), http.StatusBadRequest)
						return
					}
					c.reply(w, r)
					fmt.Fprintln(w, len(b))
				}
			}},
		{Name: "ok-web-body", Summary: "A request's body is read piece by piece before the upstream is called.",
			new: func(c *client) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					drop(r.Body)
					c.reply(w, r)
				}
			}},
	}
}

func inReplies() []Service {
	return []Service{
		{Name: "web-reply-whole", Summary: "An upstream's reply is read whole before it is passed on.",
			new: func(c *client) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					resp, err := c.get(r.Context(), r.PathValue("key"))
					if err != nil {
						http.Error(w, err.Error(), http.StatusBadGateway)
						return
					}
					defer resp.Body.Close()
					b, err := readReply(resp)
					if err == nil {
						_, _ = w.Write(b)
					}
				}
			}},
		{Name: "ok-web-reply", Summary: "An upstream's reply is passed on piece by piece.",
			new: func(c *client) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					resp, err := c.get(r.Context(), r.PathValue("key"))
					if err != nil {
						http.Error(w, err.Error(), http.StatusBadGateway)
						return
					}
					defer resp.Body.Close()
					_, _ = io.Copy(w, resp.Body)
				}
			}},
		{Name: "web-built-whole", Summary: "A reply is built whole before it is sent.",
			new: func(c *client) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					b := build(size(r))
					w.Header().Set("Content-Length", fmt.Sprint(len(b)))
					_, _ = w.Write(b)
				}
			}},
		{Name: "ok-web-built", Summary: "A reply of the same size is sent piece by piece.",
			new: func(c *client) http.HandlerFunc {
				piece := bytes.Repeat([]byte{'.'}, 4<<10)
				return func(w http.ResponseWriter, r *http.Request) {
					if err := c.touch(r.Context(), r.PathValue("key")); err != nil {
						http.Error(w, err.Error(), http.StatusBadGateway)
						return
					}
					n := size(r)
					w.Header().Set("Content-Length", fmt.Sprint(n))
					for ; n > 0; n -= len(piece) {
						if _, err := w.Write(piece[:min(n, len(piece))]); err != nil {
							return
						}
					}
				}
			}},
	}
}

func ofConnections() []Service {
	return []Service{
		{Name: "web-conn-buffer", Summary: "Every connection has a buffer of 128 KiB.",
			new: func(c *client) http.HandlerFunc { return c.reply },
			context: func(ctx context.Context, _ net.Conn) context.Context {
				return context.WithValue(ctx, bufferKey{}, connBuffer())
			}},
	}
}

type bufferKey struct{}

//go:noinline
func connBuffer() []byte {
	return make([]byte, 128<<10) // fault:web-conn-buffer
}

//go:noinline
func scratch() []byte {
	return make([]byte, 512<<10) // fault:web-buffer-request
}

//go:noinline
func readBody(r *http.Request) ([]byte, error) {
	return io.ReadAll(r.Body) // fault:web-body-whole
}

//go:noinline
func readReply(resp *http.Response) ([]byte, error) {
	return io.ReadAll(resp.Body) // fault:web-reply-whole
}

//go:noinline
func build(n int) []byte {
	return bytes.Repeat([]byte{'.'}, n) // fault:web-built-whole
}
