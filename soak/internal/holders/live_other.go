//go:build !linux || !(amd64 || arm64)

package holders

import (
	"context"
	"fmt"
	"runtime"
)

// freeze is not to be had here.
func freeze(context.Context, int) (source, error) {
	return nil, fmt.Errorf("%w: processes are read on linux/amd64 and linux/arm64 only, not on %s/%s", ErrUnreadable,
		runtime.GOOS, runtime.GOARCH)
}

func freezeChild(ctx context.Context, pid int) (source, error) { return freeze(ctx, pid) }

func hurry() (undo func()) { return func() {} }
