//go:build cgo && linux

package process

// #include <stdlib.h>
// #include <string.h>
import "C"

import (
	"context"
	"unsafe"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/specimen"
)

func native() []specimen.Specimen {
	return []specimen.Specimen{
		{Name: "cgo-malloc", Hooks: newNative(false)},
		{Name: "ok-cgo", Hooks: newNative(true)},
	}
}

const nativeSize = 48 << 10

// newNative has the C library allocate per file and frees it only when fixed.
func newNative(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return copier.Hooks{Done: func(context.Context, *copier.Worker, copier.File) {
			p := C.malloc(nativeSize)
			C.memset(p, 1, nativeSize)
			if fixed {
				C.free(unsafe.Pointer(p))
			}
		}}
	}
}
