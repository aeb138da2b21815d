//go:build !unix

package needs

import (
	"context"
	"fmt"
)

func install(_ context.Context, pkg string, _ func() bool) error {
	return fmt.Errorf("install %s by hand", pkg)
}
