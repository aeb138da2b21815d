package fakedrive

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseRange(t *testing.T) {
	for header, want := range map[string]string{
		"":                                "whole",
		"bytes=0-":                        "0+100",
		"bytes=0-0":                       "0+1",
		"bytes=10-19":                     "10+10",
		"bytes=90-200":                    "90+10",
		"bytes=99-":                       "99+1",
		"bytes=-1":                        "99+1",
		"bytes=-100":                      "0+100",
		"bytes=-500":                      "0+100",
		"bytes=100-":                      "416",
		"bytes=100-200":                   "416",
		"bytes=-0":                        "416",
		"bytes=5-3":                       "whole",
		"bytes=a-b":                       "whole",
		"bytes=1-2,4-5":                   "whole",
		"bytes=":                          "whole",
		"bytes=-":                         "whole",
		"bytes=+1-2":                      "whole",
		"bytes=99999999999999999999999-":  "416",
		"bytes=0-99999999999999999999999": "0+100",
		"octets=0-1":                      "whole",
	} {
		r, ok, err := parseRange(header, 100)
		got := "whole"
		switch {
		case err != nil:
			got = "416"
		case ok:
			got = fmt.Sprintf("%d+%d", r.start, r.length)
		}
		require.Equal(t, want, got, header)
	}
	_, _, err := parseRange("bytes=0-", 0)
	require.ErrorIs(t, err, errUnsatisfiable, "nothing has no first byte")
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-", "bytes=-5", "bytes=1-2", "bytes=1-2,3-4", "bytes=18446744073709551616-"} {
		f.Add(s, int64(100))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		r, ok, err := parseRange(header, size)
		if ok && (err != nil || r.start < 0 || r.length <= 0 || r.start > size-r.length) {
			t.Fatalf("%q of %d: %+v, %v", header, size, r, err)
		}
	})
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-9/10", "bytes */*", "bytes 0-262143/*", "bytes */10", "", "bytes 5-1/2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r, err := parseContentRange(header)
		if err != nil || r.whole || r.first < 0 {
			return
		}
		if r.last < r.first || r.total >= 0 && r.last >= r.total {
			t.Fatalf("%q: %+v", header, r)
		}
	})
}
