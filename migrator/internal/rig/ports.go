package rig

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// freePorts returns ports without a listener. They are below those that systems give to programs that ask for any port,
// so that a server finds its port free again when it restarts, and no other program answers there while it starts.
func freePorts(n int) (ports []int, err error) {
	const first, last = 15_000, 32_000
	for tries := 0; len(ports) < n; tries++ {
		if tries == 1000 {
			return nil, errors.New("no free ports")
		}
		port := first + rand.IntN(last-first)
		ln, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			continue
		}
		defer ln.Close() // not before all are found, so that they differ
		ports = append(ports, port)
	}
	return ports, nil
}
