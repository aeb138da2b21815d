package heldout2

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// manifests looks whether the sink has a manifest beside a stored file. It has none.
type manifests struct{ engine *copier.Engine }

// everyFourth calls f for one stored file of four.
func everyFourth(e *copier.Engine, f func(copier.File) error) copier.Hooks {
	return onDone(func(file copier.File) {
		if e.Sequence()%4 == 0 {
			_ = f(file)
		}
	})
}

func (m manifests) url(f copier.File) string {
	return m.engine.Client().ObjectURL("manifests/" + f.ID + ".json")
}

// newErrorPath returns from the lookup without closing the body of a reply that is an error.
func newErrorPath(e *copier.Engine) copier.Hooks { return everyFourth(e, manifests{e}.read) }

func (m manifests) read(f copier.File) error {
	resp, err := m.engine.Client().HTTP.Get(m.url(f)) // fault:conn-errorpath
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("manifest of %s: %s", f.ID, resp.Status)
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// newClosedErrorPath closes the body of every reply.
func newClosedErrorPath(e *copier.Engine) copier.Hooks {
	return everyFourth(e, manifests{e}.readClosed)
}

func (m manifests) readClosed(f copier.File) error {
	resp, err := m.engine.Client().HTTP.Get(m.url(f))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("manifest of %s: %s", f.ID, resp.Status)
	}
	return err
}

// failures keeps the error of each lookup with the stack that it came from.
type failures struct {
	manifests
	mu  sync.Mutex
	all []*failure
}

type failure struct {
	err   error
	stack [192]uintptr
}

func newFailures(e *copier.Engine) copier.Hooks {
	f := &failures{manifests: manifests{e}}
	return onDone(f.look)
}

func (f *failures) look(file copier.File) {
	err := f.readClosed(file)
	if err == nil {
		return
	}
	v := newFailure(err)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, v)
}

func newFailure(err error) *failure {
	v := &failure{err: err} // fault:leak-failures
	runtime.Callers(2, v.stack[:])
	return v
}

// clones asks for the metadata of a stored file with a client and a transport of the request's own.
type clones struct{ engine *copier.Engine }

func newClones(e *copier.Engine) copier.Hooks { return everyFourth(e, clones{e}.stat) }

func (c clones) stat(f copier.File) error {
	shared := c.engine.Client()
	resp, err := (&http.Client{Transport: shared.Transport.Clone()}).Get(shared.MetadataURL(f)) // fault:conn-clone
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// wrapped is a connection with a large buffer for what it reads.
type wrapped struct {
	net.Conn
	r *bufio.Reader
}

const wrappedBuffer = 256 << 10

func newWrapped(*copier.Engine) copier.Hooks {
	return copier.Hooks{Transport: func(t *http.Transport) {
		var d net.Dialer
		t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := d.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &wrapped{Conn: c, r: newConnReader(c)}, nil
		}
	}}
}

func newConnReader(c net.Conn) *bufio.Reader {
	return bufio.NewReaderSize(c, wrappedBuffer) // fault:pool-wrapped
}

func (w *wrapped) Read(p []byte) (int, error) { return w.r.Read(p) }
