package fakes3

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// The operations that fault rules may name, beside fault.OpAccept.
const (
	OpPut            fault.Op = "put"
	OpUploadPart     fault.Op = "upload-part"
	OpCreateUpload   fault.Op = "create-upload"
	OpCompleteUpload fault.Op = "complete-upload"
	OpAbortUpload    fault.Op = "abort-upload"
	OpListUploads    fault.Op = "list-uploads" // and the parts of one
	OpCopy           fault.Op = "copy"
	OpGet            fault.Op = "get"
	OpHead           fault.Op = "head"
	OpDelete         fault.Op = "delete"
	OpList           fault.Op = "list"
	OpBucket         fault.Op = "bucket" // all about buckets but their listing
)

// Ops are the sink's operations.
var Ops = []fault.Op{OpPut, OpUploadPart, OpCreateUpload, OpCompleteUpload, OpAbortUpload, OpListUploads, OpCopy, OpGet,
	OpHead, OpDelete, OpList, OpBucket}

// target is what a request is about.
type target struct {
	op          fault.Op // empty: not understood
	why         string   // of an empty op
	bucket, key string
}

// dataQuery are the parameters of the requests that the sink understands; S3005: any other that names a subresource
// (?acl, ?tagging ...) changes what a request means, so taking it for an upload would store the subresource's XML as
// the object.
var dataQuery = map[string]bool{
	"uploads": true, "uploadid": true, "partnumber": true, "delete": true, "location": true, "versioning": true,
	"list-type": true, "prefix": true, "delimiter": true, "max-keys": true, "marker": true, "continuation-token": true,
	"start-after": true, "encoding-type": true, "fetch-owner": true, "key-marker": true, "upload-id-marker": true,
	"max-uploads": true, "max-parts": true, "part-number-marker": true, "x-id": true, "max-buckets": true,
	"bucket-region": true, "metadata": true, "awsaccesskeyid": true, "signature": true, "expires": true,
}

// route says what a request is about.
func route(r *http.Request) target {
	path := strings.TrimPrefix(r.URL.Path, "/")
	bucket, key, _ := strings.Cut(path, "/")
	t := target{bucket: bucket, key: key}
	q := r.URL.Query()
	for name := range q {
		lower := strings.ToLower(name)
		if !dataQuery[lower] && !strings.HasPrefix(lower, "x-amz-") && !strings.HasPrefix(lower, "response-") {
			t.why = "subresource " + shorten(name)
			return t
		}
	}
	switch {
	case bucket == "" && r.Method == http.MethodGet:
		t.op = OpBucket
	case bucket == "":
	case key == "":
		t.op = bucketOp(r.Method, q)
	default:
		t.op = objectOp(r, q)
	}
	if t.op == "" {
		t.why = "no such operation"
	}
	return t
}

func bucketOp(method string, q url.Values) fault.Op {
	switch {
	case method == http.MethodGet && q.Has("uploads"):
		return OpListUploads
	case method == http.MethodGet && !q.Has("location") && !q.Has("versioning"):
		return OpList
	case method == http.MethodPost && q.Has("delete"):
		return OpDelete
	case method == http.MethodPost, method == http.MethodPut && q.Has("versioning"):
		return "" // a browser's form, versioning
	case method == http.MethodGet, method == http.MethodPut, method == http.MethodHead, method == http.MethodDelete:
		return OpBucket
	}
	return ""
}

func objectOp(r *http.Request, q url.Values) fault.Op {
	upload, copied := q.Has("uploadId"), r.Header.Get("X-Amz-Copy-Source") != ""
	switch r.Method {
	case http.MethodGet:
		if upload {
			return OpListUploads
		}
		return OpGet
	case http.MethodHead:
		return OpHead
	case http.MethodDelete:
		if upload {
			return OpAbortUpload
		}
		return OpDelete
	case http.MethodPost:
		switch {
		case q.Has("uploads"):
			return OpCreateUpload
		case upload:
			return OpCompleteUpload
		}
	case http.MethodPut:
		switch {
		case upload && copied:
			return "" // a part copied from an object: there is no content to copy
		case upload:
			return OpUploadPart
		case copied:
			return OpCopy
		default:
			return OpPut
		}
	}
	return ""
}
