package fakes3

import (
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/tidwall/btree"
)

// backend is the part of the sink that gofakes3 calls. The parts of requests that it leaves out (GET, HEAD and copy of
// objects) are served by Server itself.
type backend struct {
	*store
	uploads *uploads
	created func() // called for each object with a new key
	// completed is called for each object made of parts.
	completed func()
	now       func() time.Time
}

var (
	_ gofakes3.Backend          = (*backend)(nil)
	_ gofakes3.MultipartBackend = (*backend)(nil)
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// ListBuckets implements gofakes3.Backend.
func (b *backend) ListBuckets() ([]gofakes3.BucketInfo, error) {
	b.store.mu.RLock()
	defer b.store.mu.RUnlock()
	var all []gofakes3.BucketInfo
	for _, name := range sortedKeys(b.buckets) {
		all = append(all, gofakes3.BucketInfo{Name: name, CreationDate: gofakes3.NewContentTime(b.buckets[name].created)})
	}
	return all, nil
}

// maxBuckets bounds how many buckets clients may make.
const maxBuckets = 1000

// CreateBucket implements gofakes3.Backend. S3010: making a bucket that one has already succeeds, as in us-east-1.
func (b *backend) CreateBucket(name string) error {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	switch {
	case b.buckets[name] != nil:
		return nil
	case len(b.buckets) >= maxBuckets:
		return gofakes3.ErrTooManyBuckets
	}
	b.buckets[name] = &bucket{created: b.now()}
	return nil
}

// BucketExists implements gofakes3.Backend.
func (b *backend) BucketExists(name string) (bool, error) {
	b.store.mu.RLock()
	defer b.store.mu.RUnlock()
	return b.buckets[name] != nil, nil
}

// DeleteBucket implements gofakes3.Backend.
func (b *backend) DeleteBucket(name string) error {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	bu, err := b.bucket(name)
	if err != nil {
		return err
	}
	if bu.objects.Len() > 0 {
		return gofakes3.ResourceError(gofakes3.ErrBucketNotEmpty, name)
	}
	delete(b.buckets, name)
	return nil
}

// ForceDeleteBucket implements gofakes3.Backend.
func (b *backend) ForceDeleteBucket(name string) error {
	if _, err := b.clear(name, ""); err != nil {
		return err
	}
	return b.DeleteBucket(name)
}

// ListBucket implements gofakes3.Backend. Common prefixes are found by seeking: listing one folder of a large bucket
// costs what the folder has.
func (b *backend) ListBucket(name string, p *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList,
	error) {
	b.store.mu.RLock()
	defer b.store.mu.RUnlock()
	bu, err := b.bucket(name)
	if err != nil {
		return nil, err
	}
	l := lister{out: gofakes3.NewObjectList(), max: page.MaxKeys, after: page.Marker}
	if p != nil {
		l.prefix, l.delimiter = p.Prefix, p.Delimiter
	}
	if l.max > 0 {
		l.run(&bu.objects)
	}
	return l.out, nil
}

// lister makes one page of a listing.
type lister struct {
	prefix, delimiter string
	after             string // entries up to this key or common prefix have been listed
	max               int64
	out               *gofakes3.ObjectList
	last              string
}

func (l *lister) run(objects *btree.Map[string, record]) {
	from := l.prefix
	if l.after != "" && l.after >= from {
		from = l.after + "\x00"
		rest := strings.TrimPrefix(l.after, l.prefix)
		if i := strings.Index(rest, l.delimiter); l.delimiter != "" && i >= 0 && i+len(l.delimiter) == len(rest) {
			if from = successor(l.after); from == "" { // after is a common prefix: nothing below it comes again
				return
			}
		}
	}
	for {
		next := ""
		objects.Ascend(from, func(k string, r record) bool {
			if !strings.HasPrefix(k, l.prefix) {
				return false
			}
			if l.full() {
				l.out.IsTruncated, l.out.NextMarker = true, l.last
				return false
			}
			if i := strings.Index(k[len(l.prefix):], l.delimiter); l.delimiter != "" && i >= 0 {
				l.last = k[:len(l.prefix)+i+len(l.delimiter)]
				l.out.AddPrefix(l.last)
				next = successor(l.last)
				return false
			}
			l.last = k
			l.add(r.object(k))
			return true
		})
		if next == "" {
			return
		}
		from = next
	}
}

func (l *lister) full() bool {
	return int64(len(l.out.Contents)+len(l.out.CommonPrefixes)) >= l.max
}

func (l *lister) add(o *Object) {
	l.out.Add(&gofakes3.Content{
		Key: o.Key, LastModified: gofakes3.NewContentTime(o.ModTime), ETag: `"` + o.ETag() + `"`, Size: o.Size,
	})
}

// successor is the least string that is above all that start with s; "" if there is none.
func successor(s string) string {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] < 0xff {
			return s[:i] + string([]byte{s[i] + 1})
		}
	}
	return ""
}

// errNoContent is the refusal of reading.
var errNoContent = gofakes3.ErrorMessage(gofakes3.ErrNotImplemented,
	"this sink keeps no content: an object that is not empty can't be read back")

// GetObject implements gofakes3.Backend.
func (b *backend) GetObject(bucketName, key string, _ *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	o, err := b.HeadObject(bucketName, key)
	if err == nil && o.Size > 0 {
		return nil, errNoContent
	}
	return o, err
}

// HeadObject implements gofakes3.Backend.
func (b *backend) HeadObject(bucketName, key string) (*gofakes3.Object, error) {
	o, err := b.get(bucketName, key)
	if err != nil {
		return nil, err
	}
	return &gofakes3.Object{
		Name: key, Size: o.Size, Hash: o.MD5[:], Metadata: o.Headers, Contents: io.NopCloser(strings.NewReader("")),
	}, nil
}

// DeleteObject implements gofakes3.Backend.
func (b *backend) DeleteObject(bucketName, key string) (gofakes3.ObjectDeleteResult, error) {
	return gofakes3.ObjectDeleteResult{}, b.delete(bucketName, key)
}

// DeleteMulti implements gofakes3.Backend.
func (b *backend) DeleteMulti(bucketName string, keys ...string) (gofakes3.MultiDeleteResult, error) {
	var res gofakes3.MultiDeleteResult
	for _, k := range keys {
		if err := b.delete(bucketName, k); err != nil {
			return res, err
		}
		res.Deleted = append(res.Deleted, gofakes3.ObjectID{Key: k})
	}
	return res, nil
}

// CopyObject implements gofakes3.Backend: the content's sums are copied.
func (b *backend) CopyObject(srcBucket, srcKey, dstBucket, dstKey string,
	meta map[string]string) (gofakes3.CopyObjectResult, error) {
	o, err := b.get(srcBucket, srcKey)
	if err != nil {
		return gofakes3.CopyObjectResult{}, err
	}
	o.Key, o.ModTime, o.Headers = dstKey, b.now(), keptHeaders(meta)
	if err := b.store1(dstBucket, o, nil); err != nil {
		return gofakes3.CopyObjectResult{}, err
	}
	return gofakes3.CopyObjectResult{ETag: `"` + o.ETag() + `"`, LastModified: gofakes3.NewContentTime(o.ModTime)}, nil
}

// PutObject implements gofakes3.Backend. Server takes uploads itself: gofakes3 would hash each body a second time.
func (b *backend) PutObject(string, string, map[string]string, io.Reader, int64,
	*gofakes3.PutConditions) (gofakes3.PutObjectResult, error) {
	return gofakes3.PutObjectResult{}, gofakes3.ErrNotImplemented
}

// store1 stores one object and counts it if its key is new.
func (b *backend) store1(bucketName string, o *Object, may condition) error {
	created, err := b.put(bucketName, o, may)
	if created {
		b.created()
	}
	return err
}

// conditionOf turns S3's conditional headers into a condition; nil for none.
func conditionOf(c *gofakes3.PutConditions) condition {
	if c == nil {
		return nil
	}
	return func(old *Object) error {
		switch {
		case c.IfNoneMatch != nil && *c.IfNoneMatch != "*":
			return gofakes3.ErrorMessage(gofakes3.ErrNotImplemented, "If-None-Match of a write takes * only")
		case c.IfNoneMatch != nil && old != nil:
			return gofakes3.ErrorMessage(gofakes3.ErrPreconditionFailed, "the object exists")
		case c.IfMatch != nil && old == nil:
			return gofakes3.ErrorMessage(gofakes3.ErrNoSuchKey, "the object does not exist")
		case c.IfMatch != nil && *c.IfMatch != "*" && strings.Trim(*c.IfMatch, `"`) != old.ETag():
			return gofakes3.ErrorMessage(gofakes3.ErrPreconditionFailed, "the object has another ETag")
		}
		return nil
	}
}

// keptHeaders are the headers that S3 keeps with an object.
func keptHeaders(meta map[string]string) map[string]string {
	kept := map[string]string{}
	for name, v := range meta {
		if strings.HasPrefix(name, metaPrefix) || strings.HasPrefix(name, "Content-") && v != "" {
			kept[name] = v
		}
	}
	return kept
}
