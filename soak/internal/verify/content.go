package verify

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/soak/internal/fakes3"
)

// content says what differs between an object's sums and the item's content; nothing when they agree. An object that
// came in parts has the sum of its parts' sums: the parts are cut from the corpus again.
func (c *checker) content(it corpus.Item, e fakes3.Entry) string {
	if e.Size != it.ContentLength() {
		return "" // said already
	}
	if e.Parts == nil {
		want := c.t.Sums(it.Ordinal, corpus.MD5).MD5Hex()
		if e.MD5 != want {
			return fmt.Sprintf("MD5 %s, not %s", e.MD5, want)
		}
		return ""
	}
	if want := c.partsTag(it.Ordinal, e.Parts); e.ETag != want {
		return fmt.Sprintf("ETag %s, not %s", e.ETag, want)
	}
	return ""
}

// partsTag is the entity tag that S3 gives to the item's content uploaded in these parts.
func (c *checker) partsTag(n int64, runs []fakes3.PartRun) string {
	all, offset, count := md5.New(), int64(0), int64(0)
	for _, r := range runs {
		for range r.Count {
			part := md5.New()
			_, _ = c.t.OpenRange(n, offset, r.Size).WriteTo(part) // neither can fail
			all.Write(part.Sum(nil))
			offset += r.Size
			count++
		}
	}
	return fmt.Sprintf("%s-%d", hex.EncodeToString(all.Sum(nil)), count)
}
