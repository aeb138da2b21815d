//go:build !linux

package sampler

func runnable(int) bool { return false }

func schedule(int) (ran, waited float64, ok bool) { return 0, 0, false }
