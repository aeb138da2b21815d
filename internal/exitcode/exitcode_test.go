package exitcode

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestErrorsCarryTheirCodes(t *testing.T) {
	base := &fs.PathError{Op: "open", Path: "soak.yaml", Err: fs.ErrNotExist}
	for name, c := range map[string]struct {
		err    error
		code   int
		silent bool
	}{
		"none":                      {nil, OK, false},
		"plain":                     {base, Error, false},
		"usage":                     {Usage(base), UsageError, false},
		"with a code":               {With(GateFailed, base), GateFailed, false},
		"shown already":             {Quiet(Inconclusive, base), Inconclusive, true},
		"wrapped":                   {fmt.Errorf("read the plan: %w", Usage(base)), UsageError, false},
		"joined":                    {errors.Join(errors.New("first"), Quiet(GateFailed, base)), GateFailed, true},
		"the outermost code counts": {With(Inconclusive, Usage(base)), Inconclusive, false},
	} {
		require.Equal(t, c.code, Of(c.err), name)
		if c.err == nil {
			continue
		}
		var path *fs.PathError
		require.ErrorAs(t, c.err, &path, name)
		require.ErrorIs(t, c.err, fs.ErrNotExist, name)
		var quiet interface{ Silent() bool }
		require.Equal(t, c.silent, errors.As(c.err, &quiet) && quiet.Silent(), name)
	}
}

func TestNoErrorStaysNone(t *testing.T) {
	require.NoError(t, With(GateFailed, nil))
	require.NoError(t, Quiet(GateFailed, nil))
	require.NoError(t, Usage(nil))
}

// TestCodesAreAPI holds the numbers that scripts depend on.
func TestCodesAreAPI(t *testing.T) {
	require.Equal(t, []int{0, 1, 2, 3, 99, 1, 125, 255},
		[]int{OK, Error, UsageError, Inconclusive, GateFailed, BisectBad, BisectSkip, BisectStop})
}
