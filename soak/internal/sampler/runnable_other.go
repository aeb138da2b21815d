//go:build !linux

package sampler

func runnable(int) bool { return false }
