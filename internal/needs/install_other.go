//go:build !unix

package needs

import (
	"context"
	"fmt"
)

func install(_ context.Context, pkg string) error {
	return fmt.Errorf("install %s by hand", pkg)
}
