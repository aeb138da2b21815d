package fakes3

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"
)

// Bounds of multipart uploads.
const (
	maxUploads    = 100_000    // open at the same time
	maxOpenParts  = 10_000_000 // of all open uploads
	errTooSmall   = gofakes3.ErrorCode("EntityTooSmall")
	errSlowDown   = gofakes3.ErrorCode("SlowDown")
	errInvalidReq = gofakes3.ErrorCode("InvalidRequest")
)

// MinPart is the least that S3 takes as a part, but for the last. S3003.
const MinPart = 5 << 20

// uploads has the multipart uploads that are open. It is safe for concurrent use.
type uploads struct {
	mu     sync.Mutex
	open   map[gofakes3.UploadID]*upload
	lastID int64
	parts  int   // of all open uploads
	least  int64 // bytes of a part, but for the last
}

type upload struct {
	bucket, key string
	headers     map[string]string
	started     time.Time
	parts       map[int]part
	may         condition // of the object that the upload makes
}

type part struct {
	size int64
	md5  [md5.Size]byte
	at   time.Time
}

func newUploads(least int64) *uploads {
	return &uploads{open: map[gofakes3.UploadID]*upload{}, least: least}
}

// find returns an open upload or S3's error. The caller holds the lock.
func (u *uploads) find(bucketName, key string, id gofakes3.UploadID) (*upload, error) {
	up := u.open[id]
	if up == nil || up.bucket != bucketName || up.key != key {
		return nil, gofakes3.ErrNoSuchUpload
	}
	return up, nil
}

// drop forgets an upload. The caller holds the lock.
func (u *uploads) drop(id gofakes3.UploadID) {
	u.parts -= len(u.open[id].parts)
	delete(u.open, id)
}

// clear drops the uploads of a bucket (empty: of all) whose keys start with prefix.
func (u *uploads) clear(bucketName, prefix string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, up := range u.open {
		if (bucketName == "" || bucketName == up.bucket) && strings.HasPrefix(up.key, prefix) {
			u.drop(id)
		}
	}
}

// CreateMultipartUpload implements gofakes3.MultipartBackend.
func (b *backend) CreateMultipartUpload(bucketName, key string, meta map[string]string) (gofakes3.UploadID, error) {
	if len(key) > gofakes3.KeySizeLimit {
		return "", gofakes3.ResourceError(gofakes3.ErrKeyTooLong, key)
	}
	u := b.uploads
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.open) >= maxUploads {
		return "", gofakes3.ErrorMessage(errSlowDown, "too many open multipart uploads")
	}
	u.lastID++
	id := gofakes3.UploadID(fmt.Sprint(u.lastID))
	u.open[id] = &upload{bucket: bucketName, key: key, headers: keptHeaders(meta), started: b.now(), parts: map[int]part{}}
	return id, nil
}

// UploadPart implements gofakes3.MultipartBackend, as PutObject does gofakes3.Backend.
func (b *backend) UploadPart(string, string, gofakes3.UploadID, int, int64, io.Reader) (string, error) {
	return "", gofakes3.ErrNotImplemented
}

func (u *uploads) exists(bucketName, key string, id gofakes3.UploadID) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, err := u.find(bucketName, key, id)
	return err
}

// take adds a part to an upload, or replaces it.
func (u *uploads) take(bucketName, key string, id gofakes3.UploadID, number int, p part) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	up, err := u.find(bucketName, key, id)
	if err != nil {
		return err
	}
	if _, again := up.parts[number]; !again {
		if u.parts >= maxOpenParts {
			return gofakes3.ErrorMessage(errSlowDown, "too many parts of open multipart uploads")
		}
		u.parts++
	}
	up.parts[number] = p
	return nil
}

func quoted(sum [md5.Size]byte) string { return `"` + hex.EncodeToString(sum[:]) + `"` }

// CompleteMultipartUpload implements gofakes3.MultipartBackend.
func (b *backend) CompleteMultipartUpload(bucketName, key string, id gofakes3.UploadID,
	in *gofakes3.CompleteMultipartUploadRequest) (gofakes3.VersionID, string, error) {
	u := b.uploads
	u.mu.Lock()
	defer u.mu.Unlock()
	up, err := u.find(bucketName, key, id)
	if err != nil {
		return "", "", err
	}
	o, err := up.assemble(in.Parts, u.least)
	if err != nil {
		return "", "", err
	}
	o.Key, o.ModTime, o.Headers = key, b.now(), up.headers
	if err := b.store1(bucketName, o, up.may); err != nil {
		return "", "", err
	}
	u.drop(id)
	b.completed()
	return "", `"` + o.ETag() + `"`, nil
}

// assemble makes an object of the parts that the client names, which must be there, in order, and of least bytes.
func (up *upload) assemble(named []gofakes3.CompletedPart, least int64) (*Object, error) {
	if len(named) == 0 {
		return nil, gofakes3.ErrorMessage(gofakes3.ErrMalformedXML, "no parts are named")
	}
	for i := range named[1:] {
		if named[i+1].PartNumber <= named[i].PartNumber {
			return nil, gofakes3.ErrInvalidPartOrder
		}
	}
	o := &Object{Parts: []PartRun{}}
	sums := md5.New()
	for i, n := range named {
		p, ok := up.parts[n.PartNumber]
		switch {
		case !ok || strings.Trim(n.ETag, `"`) != hex.EncodeToString(p.md5[:]):
			return nil, gofakes3.ErrorMessagef(gofakes3.ErrInvalidPart, "part %d is not there or has another ETag", n.PartNumber)
		case p.size < least && i < len(named)-1:
			return nil, gofakes3.ErrorMessagef(errTooSmall,
				"part %d has %d bytes; each part but the last must have at least %d", n.PartNumber, p.size, least)
		}
		o.Size += p.size
		sums.Write(p.md5[:])
		if last := len(o.Parts) - 1; last >= 0 && o.Parts[last].Size == p.size {
			o.Parts[last].Count++
		} else {
			o.Parts = append(o.Parts, PartRun{Size: p.size, Count: 1})
		}
	}
	o.MD5 = [md5.Size]byte(sums.Sum(nil))
	return o, nil
}

// onlyIfAbsent makes the upload's completion fail if the key exists then.
func (u *uploads) onlyIfAbsent(id gofakes3.UploadID, c *gofakes3.PutConditions) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if up := u.open[id]; up != nil {
		up.may = conditionOf(c)
	}
}

// AbortMultipartUpload implements gofakes3.MultipartBackend.
func (b *backend) AbortMultipartUpload(bucketName, key string, id gofakes3.UploadID) error {
	u := b.uploads
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, err := u.find(bucketName, key, id); err != nil {
		return err
	}
	u.drop(id)
	return nil
}

// ListMultipartUploads implements gofakes3.MultipartBackend. Common prefixes are not made: a delimiter is refused.
func (b *backend) ListMultipartUploads(bucketName string, marker *gofakes3.UploadListMarker, p gofakes3.Prefix,
	limit int64) (*gofakes3.ListMultipartUploadsResult, error) {
	if p.HasDelimiter {
		return nil, gofakes3.ErrorMessage(gofakes3.ErrNotImplemented, "multipart uploads are listed without a delimiter only")
	}
	type found struct {
		id gofakes3.UploadID
		up *upload
	}
	compare := func(a, b found) int {
		if c := strings.Compare(a.up.key, b.up.key); c != 0 {
			return c
		}
		return strings.Compare(string(a.id), string(b.id))
	}
	u := b.uploads
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []found
	for id, up := range u.open {
		f := found{id, up}
		if up.bucket != bucketName || !strings.HasPrefix(up.key, p.Prefix) {
			continue
		}
		if marker != nil && compare(f, found{marker.UploadID, &upload{key: marker.Object}}) <= 0 {
			continue
		}
		all = append(all, f)
	}
	slices.SortFunc(all, compare)
	out := &gofakes3.ListMultipartUploadsResult{Bucket: bucketName, Prefix: p.Prefix, MaxUploads: limit}
	for _, f := range all {
		if int64(len(out.Uploads)) == limit {
			last := out.Uploads[len(out.Uploads)-1]
			out.IsTruncated, out.NextKeyMarker, out.NextUploadIDMarker = true, last.Key, last.UploadID
			break
		}
		out.Uploads = append(out.Uploads, gofakes3.ListMultipartUploadItem{
			Key: f.up.key, UploadID: f.id, Initiated: gofakes3.NewContentTime(f.up.started)})
	}
	return out, nil
}

// ListParts implements gofakes3.MultipartBackend.
func (b *backend) ListParts(bucketName, key string, id gofakes3.UploadID, marker int,
	limit int64) (*gofakes3.ListMultipartUploadPartsResult, error) {
	u := b.uploads
	u.mu.Lock()
	defer u.mu.Unlock()
	up, err := u.find(bucketName, key, id)
	if err != nil {
		return nil, err
	}
	out := &gofakes3.ListMultipartUploadPartsResult{
		Bucket: bucketName, Key: key, UploadID: id, PartNumberMarker: marker, MaxParts: limit,
	}
	var numbers []int
	for n := range up.parts {
		if n > marker {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		if int64(len(out.Parts)) == limit {
			out.IsTruncated, out.NextPartNumberMarker = true, out.Parts[len(out.Parts)-1].PartNumber
			break
		}
		p := up.parts[n]
		out.Parts = append(out.Parts, gofakes3.ListMultipartUploadPartItem{
			PartNumber: n, LastModified: gofakes3.NewContentTime(p.at), ETag: quoted(p.md5), Size: p.size})
	}
	return out, nil
}
