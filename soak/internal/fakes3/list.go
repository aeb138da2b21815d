package fakes3

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/johannesboyne/gofakes3"
)

// listResult is a page of a listing, of either version of the operation. gofakes3's own has no EncodingType.
type listResult struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	Delimiter             string `xml:",omitempty"`
	MaxKeys               int64
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	Marker                *string `xml:",omitempty"` // version 1
	NextMarker            string  `xml:",omitempty"`
	KeyCount              *int64  `xml:",omitempty"` // version 2
	StartAfter            string  `xml:",omitempty"`
	ContinuationToken     string  `xml:",omitempty"`
	NextContinuationToken string  `xml:",omitempty"`
	Contents              []*gofakes3.Content
	CommonPrefixes        []gofakes3.CommonPrefix
}

// list answers a listing. S3009: with encoding-type=url, keys and what the client gave come URL-encoded, as XML can't
// carry every key; clients such as rclone decode without looking at the answer's EncodingType.
func (s *Server) list(w http.ResponseWriter, r *http.Request, t target) {
	res, err := s.listPage(r.URL.Query(), t.bucket)
	if err != nil {
		writeError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusOK)
	// Errors mean that the client is gone.
	_, _ = w.Write([]byte(xml.Header))
	_ = xml.NewEncoder(w).Encode(res)
}

func (s *Server) listPage(q url.Values, bucketName string) (*listResult, error) {
	res := &listResult{Name: bucketName, Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"),
		MaxKeys: gofakes3.MaxBucketKeys}
	if v := q.Get("max-keys"); v != "" {
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil || n < 0 {
			return nil, gofakes3.ErrorInvalidArgument("max-keys", v, "max-keys is not a count")
		}
		res.MaxKeys = min(n, gofakes3.MaxBucketKeys)
	}
	encode := func(s string) string { return s }
	switch e := q.Get("encoding-type"); e {
	case "":
	case "url":
		res.EncodingType, encode = e, encodeKey
	default:
		return nil, gofakes3.ErrorInvalidArgument("encoding-type", e, "the encoding type must be url")
	}
	page := gofakes3.ListBucketPage{MaxKeys: res.MaxKeys}
	second := q.Get("list-type") == "2"
	if second {
		token, err := base64.URLEncoding.DecodeString(q.Get("continuation-token"))
		if err != nil {
			return nil, gofakes3.ErrorInvalidArgument("continuation-token", q.Get("continuation-token"),
				"the token is not one of this sink's")
		}
		page.Marker = max(string(token), q.Get("start-after"))
	} else {
		page.Marker = q.Get("marker")
	}
	l, err := s.backend.ListBucket(bucketName, &gofakes3.Prefix{Prefix: res.Prefix, Delimiter: res.Delimiter}, page)
	if err != nil {
		return nil, err
	}
	res.IsTruncated, res.Contents, res.CommonPrefixes = l.IsTruncated, l.Contents, l.CommonPrefixes
	if second {
		n := int64(len(l.Contents) + len(l.CommonPrefixes))
		res.KeyCount, res.StartAfter, res.ContinuationToken = &n, encode(q.Get("start-after")), q.Get("continuation-token")
		res.NextContinuationToken = base64.URLEncoding.EncodeToString([]byte(l.NextMarker))
	} else {
		marker := encode(page.Marker)
		res.Marker, res.NextMarker = &marker, encode(l.NextMarker)
	}
	res.Prefix, res.Delimiter = encode(res.Prefix), encode(res.Delimiter)
	for _, c := range res.Contents {
		c.Key = encode(c.Key)
	}
	for i := range res.CommonPrefixes {
		res.CommonPrefixes[i].Prefix = encode(res.CommonPrefixes[i].Prefix)
	}
	return res, nil
}

// encodeKey is S3's URL encoding of a key: that of a query, with slashes left alone.
func encodeKey(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") }
