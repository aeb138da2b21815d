package fakes3_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/soak/internal/fakes3"
)

const bodySize = 300_000

// putOnce uploads one object in one attempt.
func putOnce(t *testing.T, c *s3.Client, key string) error {
	t.Helper()
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String(key),
		Body: bytes.NewReader(content(bodySize))})
	return err
}

// retrying is the SDK as people use it: three attempts, without the waits between them.
func retrying(o *s3.Options) {
	o.Retryer, o.RetryMaxAttempts = noWait{}, 3
}

// noWait retries any error twice, immediately.
type noWait struct{ aws.NopRetryer }

func (noWait) IsErrorRetryable(error) bool                  { return true }
func (noWait) MaxAttempts() int                             { return 3 }
func (noWait) RetryDelay(int, error) (time.Duration, error) { return 0, nil }
func (noWait) GetRetryToken(context.Context, error) (func(error) error, error) {
	return func(error) error { return nil }, nil
}

func TestErrorRepliesAsS3GivesThem(t *testing.T) {
	s := start(t, fakes3.Config{})
	c := s.client(t, s.HTTP)
	for reason, want := range map[string]string{"SlowDown": "StatusCode: 503", "InternalError": "StatusCode: 500",
		"RequestTimeout": "StatusCode: 400"} {
		require.NoError(t, s.admin.SetFaults(t.Context(), []byte("rules: [{ops: [put], attempts: 1, error: {reason: "+reason+
			", message: not now}}]")))
		err := putOnce(t, c, "k")
		require.Equal(t, reason, code(err))
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "not now")
		require.NoError(t, putOnce(t, s.client(t, s.HTTP, retrying), "k"))
	}
	require.Len(t, s.entries(t, ""), 1)
}

func TestRetriesGetThroughEveryFaultOfAnUpload(t *testing.T) {
	s := start(t, fakes3.Config{})
	for _, endpoint := range []string{s.HTTP, s.HTTPS} {
		c := s.client(t, endpoint, retrying)
		for _, effect := range []string{
			"error: {reason: SlowDown, retry_after: 1s}", "error: {reason: InternalError, body_size: 2MiB}",
			"reset: {}", "reset: {after: 100000}", "reset: {at: end}",
			"stall: {after: 1000, for: 1ms}", "stall: {at: start, for: 1ms}", "stall: {at: end, for: 1ms}",
			"flip: {offset: 77777}", "latency: 1ms",
		} {
			require.NoError(t, s.admin.SetFaults(t.Context(), []byte("rules: [{ops: [put, upload-part], attempts: 2, "+effect+
				"}]")))
			before, err := s.admin.Counters(t.Context())
			require.NoError(t, err)
			require.NoError(t, putOnce(t, c, "put"), "%s %s", endpoint, effect)
			requireStored(t, s, "put", content(bodySize))
			after, err := s.admin.Counters(t.Context())
			require.NoError(t, err)
			require.Greater(t, after.FaultsFired, before.FaultsFired, effect)
		}
	}
}

func TestFlippedByteIsCaughtByAnyDigest(t *testing.T) {
	s := start(t, fakes3.Config{})
	require.NoError(t, s.admin.SetFaults(t.Context(), []byte("rules: [{ops: [put], flip: {after: 250000}}]")))
	for _, endpoint := range []string{s.HTTP, s.HTTPS} {
		c := s.client(t, endpoint)
		sum := md5.Sum(content(bodySize))
		for name, in := range map[string]*s3.PutObjectInput{
			"default": {}, "md5": {ContentMD5: aws.String(base64.StdEncoding.EncodeToString(sum[:]))},
			"sha256": {ChecksumAlgorithm: types.ChecksumAlgorithmSha256},
		} {
			in.Bucket, in.Key, in.Body = aws.String("bucket"), aws.String(name), bytes.NewReader(content(bodySize))
			_, err := c.PutObject(t.Context(), in)
			require.Contains(t, []string{"BadDigest", "XAmzContentSHA256Mismatch"}, code(err), "%s %s: %v", endpoint, name, err)
		}
	}
	require.Empty(t, s.entries(t, ""))
}

func TestUploadThatWasStoredButNotAnswered(t *testing.T) {
	s := start(t, fakes3.Config{})
	require.NoError(t, s.admin.SetFaults(t.Context(),
		[]byte("rules: [{ops: [put], reset: {at: end}}, {ops: [complete-upload], attempts: 1, reset: {at: end}}]")))
	require.Error(t, putOnce(t, s.client(t, s.HTTP), "k"))
	requireStored(t, s, "k", content(bodySize))

	c := s.client(t, s.HTTP)
	bucket, key := aws.String("bucket"), aws.String("parts")
	up, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	require.NoError(t, err)
	p, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: up.UploadId,
		PartNumber: aws.Int32(1), Body: bytes.NewReader(content(10))})
	require.NoError(t, err)
	in := &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1),
			ETag: p.ETag}}}}
	_, err = c.CompleteMultipartUpload(t.Context(), in)
	require.Error(t, err)
	requireStored(t, s, "parts", content(10))
	_, err = c.CompleteMultipartUpload(t.Context(), in)
	require.Equal(t, "NoSuchUpload", code(err), "the second try finds the upload gone, as S3's does after a while")
}

func TestHoldsOfUploads(t *testing.T) {
	eachScheme(t, func(t *testing.T, s *sink, c *s3.Client) {
		for _, h := range []fault.Hold{{Point: fault.UploadReply}, {Point: fault.UploadBody, Offset: 123_456},
			{Point: fault.UploadBody}} {
			require.NoError(t, s.admin.Do(t.Context(), "DELETE", "objects", nil, nil))
			before, err := s.admin.Counters(t.Context())
			require.NoError(t, err)
			hold, err := s.admin.Hold(t.Context(), h)
			require.NoError(t, err)
			done := make(chan error, 3)
			for _, k := range []string{"a", "b", "c"} {
				go func() { done <- putOnce(t, c, k) }()
			}
			st, err := s.admin.WaitArrived(t.Context(), hold.ID, 3, 30*time.Second)
			require.NoError(t, err)
			require.Equal(t, 3, st.Waiting)
			require.Equal(t, int64(3*bodySize), st.BytesWaiting)
			now, err := s.admin.Counters(t.Context())
			require.NoError(t, err)
			require.Equal(t, int64(3), now.InFlight)
			require.Equal(t, int64(3*bodySize), now.BytesInFlight)
			require.Equal(t, int64(bodySize), now.LargestNow)
			if h.Point == fault.UploadBody {
				require.Equal(t, 3*h.Offset, now.Bytes-before.Bytes, "content bytes, not framing")
				require.Empty(t, s.entries(t, ""))
			} else {
				require.Len(t, s.entries(t, ""), 3, "the object is there before the client hears of it")
			}
			require.NoError(t, s.admin.ReleaseAll(t.Context()))
			for range 3 {
				require.NoError(t, <-done)
			}
			require.Len(t, s.entries(t, ""), 3)
		}
	})
}

func TestPlansThatMakeNoSenseForASinkAreRefused(t *testing.T) {
	s := start(t, fakes3.Config{})
	for plan, want := range map[string]string{
		"rules: [{ops: [list], empty_page: true}]": "this fake has no empty_page",
		"rules: [{ops: [put], change: true}]":      "this fake has no change",
		"rules: [{ops: [download], reset: {}}]":    "unknown operation",
	} {
		require.ErrorContains(t, s.admin.SetFaults(t.Context(), []byte(plan)), want)
	}
	_, err := s.admin.Hold(t.Context(), fault.Hold{Point: fault.ListPage})
	require.ErrorContains(t, err, "no point")
}

func TestBandwidthThrottlesUploads(t *testing.T) {
	s := start(t, fakes3.Config{})
	c := s.client(t, s.HTTP)
	require.NoError(t, s.admin.SetFaults(t.Context(), []byte("bandwidth: {stream: 1MiB}")))
	begun := time.Now()
	require.NoError(t, putOnce(t, c, "k"))
	require.Greater(t, time.Since(begun), 200*time.Millisecond,
		"300,000 bytes, of which a twentieth of a second's come at once")
}

func TestBodyThatEndsEarlyIsNotStored(t *testing.T) {
	s := start(t, fakes3.Config{})
	for _, head := range []string{
		"Content-Length: 100\r\n\r\n",
		"Content-Length: 180\r\nX-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nX-Amz-Decoded-Content-Length: " +
			"100\r\n\r\n64\r\n",
	} {
		conn, err := net.Dial("tcp", s.HTTP[len("http://"):])
		require.NoError(t, err)
		_, err = io.WriteString(conn, "PUT /bucket/k HTTP/1.1\r\nHost: x\r\n"+head+"too short")
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		answer, err := io.ReadAll(conn)
		require.True(t, err == nil || errors.Is(err, syscall.ECONNRESET), "%v", err)
		require.Contains(t, string(answer), "IncompleteBody")
		conn.Close()
	}
	require.Empty(t, s.entries(t, ""))
	counters, err := s.admin.Counters(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(2), counters.Failed)
	require.Zero(t, counters.Distinct)
}
