package resource

import (
	le "encoding/binary"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become the replacement character.
func AppendString(b []byte, s string) []byte {
	return append(appendText(append(b, '"'), s), '"')
}

// appendText is AppendString without the quotes.
func appendText(b []byte, s string) []byte {
	mark := len(b)
	if b = append(b, s...); plain(b[mark:]) {
		return b
	}
	return appendEscaped(b[:mark], s)
}

// plain says whether all bytes are ASCII that JSON strings hold as they are. It looks at eight at a time.
func plain(b []byte) bool {
	const ones = 0x0101010101010101
	for ; len(b) >= 8; b = b[8:] {
		w := le.LittleEndian.Uint64(b)
		// The top bit of a byte is set by: not ASCII, a control character, a quote, a backslash, DEL.
		if (w|(w-0x20*ones)|((w^'"'*ones)-ones)|((w^'\\'*ones)-ones)|((w^0x7f*ones)-ones))&(0x80*ones) != 0 {
			return false
		}
	}
	for _, c := range b {
		if c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return true
}

func appendEscaped(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				b = append(append(b, s[start:i]...), "\ufffd"...)
				start = i + n
			case r == '\u2028' || r == '\u2029':
				b = append(append(b, s[start:i]...), `\u202`...)
				b = append(b, hexDigits[r&0xf])
				start = i + n
			}
			i += n
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' && c != 0x7f {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\t':
			b = append(b, '\\', 't')
		case '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		}
		i++
		start = i
	}
	return append(b, s[start:]...)
}

// AppendTime appends t as Drive writes times: UTC with milliseconds.
func AppendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return append(b, `"1970-01-01T00:00:00.000Z"`...)
	}
	hour, minute, second := t.Clock()
	milli := t.Nanosecond() / 1e6
	var text [26]byte
	copy(text[:], `"2006-01-02T15:04:05.000Z"`)
	two := func(at, v int) { text[at], text[at+1] = byte('0'+v/10), byte('0'+v%10) }
	two(1, year/100)
	two(3, year%100)
	two(6, int(month))
	two(9, day)
	two(12, hour)
	two(15, minute)
	two(18, second)
	two(21, milli/10)
	text[23] = byte('0' + milli%10)
	return append(b, text[:]...)
}

// FormatTime is AppendTime without the quotes.
func FormatTime(t time.Time) string {
	b := AppendTime(nil, t)
	return string(b[1 : len(b)-1])
}

func appendHex(b, sum []byte) []byte {
	b = append(b, '"')
	b = hex.AppendEncode(b, sum)
	return append(b, '"')
}

// appendCount appends n as Google writes 64-bit numbers: as a string.
func appendCount(b []byte, n int64) []byte {
	b = append(b, '"')
	b = strconv.AppendInt(b, n, 10)
	return append(b, '"')
}
