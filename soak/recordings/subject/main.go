// Subject is a program that uses one library in one way, as its argument says: a known leak, a trap that people fall
// into, or a look-alike that is bounded. It serves pprof at a free port of loopback and prints its address. With -stop
// it works for that long, and then waits without work.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"time"
)

// scenario is one way to use a library. op is one unit of work, called perSecond times a second.
type scenario struct {
	perSecond int
	start     func() (op func(i int))
}

func main() {
	stop := flag.Duration("stop", 0, "time after which the load stops; 0: never")
	flag.Parse()
	s, ok := scenarios[flag.Arg(0)]
	if !ok {
		log.Fatalf("unknown scenario %q", flag.Arg(0))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, nil)
	fmt.Printf("http://%s/debug/pprof\n", l.Addr())
	op := s.start()
	if *stop == 0 {
		tick := time.NewTicker(time.Second / time.Duration(s.perSecond))
		for i := 0; ; i++ {
			<-tick.C
			op(i)
		}
	}
	busy(*stop, s.perSecond, op)
	select {}
}

// busy does op perSecond times a second among requests that cost CPU time, as a load that is worth its name does.
func busy(stop time.Duration, perSecond int, op func(int)) {
	const requests = 200 // per second
	end := time.Now().Add(stop)
	tick := time.NewTicker(time.Second / requests)
	for i := 0; time.Now().Before(end); i++ {
		<-tick.C
		var b bytes.Buffer
		var v any
		_ = json.NewEncoder(&b).Encode(make([]int, 10000))
		_ = json.Unmarshal(b.Bytes(), &v)
		if i%(requests/perSecond) == 0 {
			op(i)
		}
	}
}

// key is the i-th of endlessly many.
func key(i int) string { return fmt.Sprintf("key-%09d", i) }
