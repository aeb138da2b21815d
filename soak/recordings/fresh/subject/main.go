// Subject is a program that uses one library in one way, as its argument says. Its scenarios were written from issues
// of the libraries, before the rules that judge them were looked at, and nothing was tuned for them since. It serves
// pprof at a free port of loopback and prints its address.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"time"
)

// scenario is one way to use a library. op is one unit of work, called perSecond times a second.
type scenario struct {
	perSecond int
	start     func() (op func(i int))
}

var scenarios = map[string]scenario{}

func main() {
	s, ok := scenarios[os.Args[len(os.Args)-1]]
	if !ok {
		log.Fatalf("unknown scenario %q", os.Args[1:])
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, nil)
	fmt.Printf("http://%s/debug/pprof\n", l.Addr())
	op := s.start()
	tick := time.NewTicker(time.Second / time.Duration(s.perSecond))
	for i := 0; ; i++ {
		<-tick.C
		op(i)
	}
}

// key is the i-th of endlessly many.
func key(i int) string { return fmt.Sprintf("key-%09d", i) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
