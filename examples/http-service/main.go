// Command http-service is the smallest HTTP service to measure: it answers with the number of visits of a name, which
// it keeps for the 300 names that came last, and serves net/http/pprof. It knows nothing of memsoak.
package main

import (
	"container/list"
	"flag"
	"fmt"
	"log"
	"net/http"
	_ "net/http/pprof" // /debug/pprof on the default mux
	"sync"
)

// most is how many names are kept.
const most = 300

// visits counts by name, and forgets the name that was not seen for the longest time.
type visits struct {
	mu    sync.Mutex
	by    map[string]*list.Element
	order list.List
}

type entry struct {
	name  string
	count int
}

func (v *visits) add(name string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e, ok := v.by[name]; ok {
		v.order.MoveToFront(e)
		seen := e.Value.(*entry)
		seen.count++
		return seen.count
	}
	if v.order.Len() == most {
		last := v.order.Back()
		delete(v.by, v.order.Remove(last).(*entry).name)
	}
	v.by[name] = v.order.PushFront(&entry{name, 1})
	return 1
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to serve")
	flag.Parse()
	v := &visits{by: map[string]*list.Element{}}
	http.HandleFunc("GET /visit/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, v.add(r.PathValue("name")))
	})
	log.Fatal(http.ListenAndServe(*listen, nil))
}
