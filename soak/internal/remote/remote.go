// Package remote keeps the directories of recorded runs in S3, so that shards that ran on many machines can be joined
// on one.
package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/memsoak/memsoak/profiles/record"
)

// Scheme begins the address of a directory in S3: s3://bucket/prefix.
const Scheme = "s3://"

// ErrAddress is returned, wrapped, for an address that is none.
var ErrAddress = errors.New("want s3://bucket/prefix")

// Options say how to reach the service; credentials and region come from the environment, as AWS's tools do it.
type Options struct {
	Endpoint string // base URL, "" for AWS; others are addressed by path
	// Answer is how long the service may take for an answer to each of three tries; 0 is 30 s. An object has twenty times
	// as long.
	Answer time.Duration
}

func (o Options) answer() time.Duration { return cmp.Or(o.Answer, 30*time.Second) }

// object bounds the time that one object takes.
func (o Options) object(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 20*o.answer())
}

func (o Options) client(ctx context.Context) (*s3.Client, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("AWS settings: %w", err)
	}
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = o.answer()
	})
	return s3.NewFromConfig(cfg, func(so *s3.Options) {
		if o.Endpoint != "" {
			so.BaseEndpoint, so.UsePathStyle = aws.String(o.Endpoint), true
		}
		if so.Region == "" {
			so.Region = "us-east-1"
		}
	}), nil
}

// Split takes an address apart.
func Split(address string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(address, Scheme)
	bucket, prefix, _ = strings.Cut(rest, "/")
	if !ok || bucket == "" {
		return "", "", fmt.Errorf("%q: %w", address, ErrAddress)
	}
	return bucket, strings.Trim(prefix, "/"), nil
}

// Upload stores every file below dir at the address.
func Upload(ctx context.Context, dir, address string, o Options) error {
	bucket, prefix, err := Split(address)
	if err != nil {
		return err
	}
	c, err := o.client(ctx)
	if err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		key := path.Join(prefix, filepath.ToSlash(rel))
		ctx, cancel := o.object(ctx)
		defer cancel()
		if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: f}); err != nil {
			return fmt.Errorf("store %s: %w", Scheme+bucket+"/"+key, err)
		}
		return nil
	})
}

// Fetch makes local directories of runs out of addresses: those in S3 are copied into a temporary directory that
// cleanup removes, the others are taken as they are.
func Fetch(ctx context.Context, addresses []string, o Options) (dirs []string, cleanup func(), err error) {
	temp, err := os.MkdirTemp("", "memsoak-fetch-")
	if err != nil {
		return nil, nil, err
	}
	cleanup = func() { os.RemoveAll(temp) }
	defer func() {
		if err != nil {
			os.RemoveAll(temp)
		}
	}()
	for i, a := range addresses {
		if !strings.HasPrefix(a, Scheme) {
			dirs = append(dirs, a)
			continue
		}
		to := filepath.Join(temp, fmt.Sprint(i))
		if err := download(ctx, a, to, o); err != nil {
			return nil, nil, err
		}
		found, err := runsBelow(to)
		if err != nil {
			return nil, nil, err
		}
		if len(found) == 0 {
			return nil, nil, fmt.Errorf("%s has no recorded run", a)
		}
		dirs = append(dirs, found...)
	}
	return dirs, cleanup, nil
}

// runsBelow lists the directories with a run.json, in lexical order.
func runsBelow(dir string) (found []string, err error) {
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == record.RunFile {
			found = append(found, filepath.Dir(p))
		}
		return err
	})
	return found, err
}

func download(ctx context.Context, address, dir string, o Options) error {
	bucket, prefix, err := Split(address)
	if err != nil {
		return err
	}
	c, err := o.client(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // keys are not to be trusted as paths
	if err != nil {
		return err
	}
	defer root.Close()
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String(prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list %s: %w", address, err)
		}
		for _, obj := range page.Contents {
			rel := strings.TrimPrefix(strings.TrimPrefix(*obj.Key, prefix), "/")
			limited, cancel := o.object(ctx)
			err := fetchObject(limited, c, root, bucket, *obj.Key, rel)
			cancel()
			if err != nil {
				return fmt.Errorf("fetch %s: %w", Scheme+bucket+"/"+*obj.Key, err)
			}
		}
	}
	return nil
}

func fetchObject(ctx context.Context, c *s3.Client, root *os.Root, bucket, key, rel string) error {
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	if err := root.MkdirAll(path.Dir(rel), 0o755); err != nil {
		return err
	}
	f, err := root.Create(rel)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, out.Body)
	return errors.Join(err, f.Close())
}
