package accuracy

import (
	"errors"
	"io"
	"os"
	"os/exec"
)

// SpinVariable makes this program a busy loop that ends with its standard input.
const SpinVariable = "MEMSOAK_ACCURACY_SPIN"

// Spin is the busy loop: it takes all the time of a processor that it gets, until stdin ends.
func Spin(stdin io.Reader) {
	over := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		close(over)
	}()
	for n := uint64(1); ; n++ {
		if n%(1<<20) != 0 {
			continue
		}
		select {
		case <-over:
			return
		default:
		}
	}
}

// beside starts n busy loops and returns what ends them and waits for them.
func beside(n int) (end func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var ends []func() error
	end = func() error {
		var errs []error
		for _, e := range ends {
			errs = append(errs, e())
		}
		return errors.Join(errs...)
	}
	for range n {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), SpinVariable+"=1")
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			return nil, errors.Join(err, end())
		}
		ends = append(ends, func() error {
			in.Close()
			return cmd.Wait()
		})
	}
	return end, nil
}
