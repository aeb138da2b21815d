package heldout

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// flights looks up each file's owner once however many ask, and no one answers.
type flights struct {
	group   singleflight.Group
	answers chan string
}

func newFlights(e *copier.Engine) copier.Hooks {
	f := &flights{answers: make(chan string)}
	return done(func(copier.File) { f.group.DoChan(strconv.FormatInt(e.Sequence(), 10), f.lookUp) })
}

func (f *flights) lookUp() (any, error) {
	owner := <-f.answers // fault:routine-singleflight
	return owner, nil
}

// newHedge asks two replicas and takes the first answer: the second is never received. Fixed, the channel has room.
func newHedge(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return done(func(f copier.File) {
			room := 0
			if fixed {
				room = 2
			}
			answers := make(chan int64, room)
			for replica := range int64(2) {
				go askReplica(replica+f.Size, answers)
			}
			<-answers
		})
	}
}

func askReplica(answer int64, answers chan<- int64) {
	answers <- answer // fault:routine-hedge
}

// newBarrier waits in the background for the parts of each file, one of which is never reported.
func newBarrier(*copier.Engine) copier.Hooks {
	var settled atomic.Int64
	return done(func(copier.File) {
		const parts = 3
		b := &barrier{settled: &settled}
		b.parts.Add(parts)
		go b.settle()
		for range parts - 1 {
			b.parts.Done()
		}
	})
}

type barrier struct {
	parts   sync.WaitGroup
	settled *atomic.Int64
}

func (b *barrier) settle() {
	b.parts.Wait() // fault:routine-waitgroup
	b.settled.Add(1)
}

// newPollers asks again and again whether an object has been replicated, which it never is.
func newPollers(*copier.Engine) copier.Hooks {
	return done(func(f copier.File) {
		p := &poller{size: f.Size}
		go p.run()
	})
}

type poller struct {
	size       int64
	replicated atomic.Bool
}

func (p *poller) run() {
	for wait := 5 * time.Second; !p.replicated.Load(); wait = min(2*wait, time.Minute) {
		time.Sleep(wait) // fault:routine-poll
	}
}

// rawProbes speaks HTTP over connections of its own and closes the reply's body, which closes no connection. One file
// in four has a probe, since descriptors are limited.
type rawProbes struct {
	addr, path string
	fixed      bool

	mu   sync.Mutex
	open map[int64]*rawConn
}

type rawConn struct {
	conn net.Conn
	br   *bufio.Reader
}

const probeEach = 4

func newRawProbes(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		p := &rawProbes{fixed: fixed, open: map[int64]*rawConn{}, path: "/" + e.Config().Bucket}
		if u, err := url.Parse(e.Config().S3); err == nil {
			p.addr = u.Host
		}
		return copier.Hooks{Done: func(ctx context.Context, _ *copier.Worker, _ copier.File) {
			if n := e.Sequence(); n%probeEach == 0 {
				p.head(ctx, n)
			}
		}}
	}
}

func (p *rawProbes) head(ctx context.Context, n int64) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, "http://"+p.addr+p.path, nil)
	if err != nil {
		return
	}
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		return
	}
	if p.fixed {
		defer conn.Close()
	}
	c := &rawConn{conn: conn, br: bufio.NewReaderSize(conn, 8192)} // fault:conn-raw
	if err := req.Write(conn); err != nil {
		return
	}
	resp, err := http.ReadResponse(c.br, req)
	if err != nil {
		return
	}
	resp.Body.Close()
	if p.fixed {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[n] = c
}
