package resource

import (
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become the replacement character.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
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
	return append(append(b, s[start:]...), '"')
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
	two := func(v int) { b = append(b, byte('0'+v/10), byte('0'+v%10)) }
	b = append(b, '"')
	two(year / 100)
	two(year % 100)
	b = append(b, '-')
	two(int(month))
	b = append(b, '-')
	two(day)
	b = append(b, 'T')
	two(hour)
	b = append(b, ':')
	two(minute)
	b = append(b, ':')
	two(second)
	b = append(b, '.', byte('0'+milli/100))
	two(milli % 100)
	return append(b, 'Z', '"')
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
