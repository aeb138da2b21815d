package subject

import (
	"net/http"
	"strings"

	"github.com/memsoak/memsoak/soak/internal/attach"
)

// attachTo is the process of a subject that runs already: nothing is started, and Stop ends nothing.
func attachTo(s *Spec, o Options, values map[string]string, dir string) (*Process, error) {
	p := &Process{Spec: s, Addr: s.Addr, values: values, Pprof: strings.TrimRight(s.Attach.Pprof, "/"), dir: dir,
		Command: attach.CommandOf(s.Attach.PID), exited: make(chan struct{}), client: &http.Client{}}
	var err error
	if p.Metric, err = Expand(s.Metrics, values); err != nil {
		return nil, err
	}
	if p.log, err = newBoundedLog(o.Log, LogLimit); err != nil {
		return nil, err
	}
	if _, err := p.log.Write([]byte("its output is not here: memsoak did not start it\n")); err != nil {
		return nil, err
	}
	if done := s.Attach.Done; done != nil {
		go func() {
			<-done
			close(p.exited)
		}()
	}
	return p, p.log.Close()
}
