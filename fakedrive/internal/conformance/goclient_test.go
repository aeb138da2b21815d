package conformance

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/drive/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/memsoak/memsoak/fakedrive/corpus"
)

// googleClient is an http.Client that believes to talk to Google: all its requests go through the proxy.
func googleClient(t *testing.T, s *server, h2 bool) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(s.CAFile)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	proxy, err := url.Parse(s.Proxy)
	require.NoError(t, err)
	tr := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: h2}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestGoClient(t *testing.T) {
	wanted(t)
	key := filepath.Join(t.TempDir(), "key.json")
	s := startDrive(t, treeFile, "--require-auth", "--h2", "--service-account", key)
	tr := tree(t, treeFile)
	for name, h2 := range map[string]bool{"http/1.1": false, "h2": true} {
		ctx := context.WithValue(context.Background(), oauth2.HTTPClient, googleClient(t, s, h2))
		refresh := (&oauth2.Config{ClientID: "id", ClientSecret: "secret", Endpoint: google.Endpoint}).TokenSource(ctx,
			&oauth2.Token{RefreshToken: "refresh"})
		t.Run("refresh token over "+name, func(t *testing.T) { readAll(t, ctx, refresh, tr) })
		raw, err := os.ReadFile(key)
		require.NoError(t, err)
		conf, err := google.JWTConfigFromJSON(raw, drive.DriveScope)
		require.NoError(t, err)
		t.Run("service account over "+name, func(t *testing.T) { readAll(t, ctx, conf.TokenSource(ctx), tr) })
	}
	s.understood()
}

// readAll lists, downloads, reads ranges and exports, and compares with the tree.
func readAll(t *testing.T, ctx context.Context, tokens oauth2.TokenSource, tr *corpus.Tree) {
	svc, err := drive.NewService(ctx, option.WithHTTPClient(oauth2.NewClient(ctx, tokens)))
	require.NoError(t, err)
	seen, downloaded, exported := 0, 0, 0
	err = svc.Files.List().Q("trashed=false").PageSize(100).
		Fields("nextPageToken,files(id,name,size,md5Checksum,mimeType)").
		Pages(ctx, func(l *drive.FileList) error {
			for _, f := range l.Files {
				seen++
				n, ok := tr.Ordinal(f.Id)
				require.True(t, ok)
				it := tr.Item(n)
				switch {
				case it.Kind == corpus.Binary && downloaded < 30:
					downloaded++
					resp, err := svc.Files.Get(f.Id).Download()
					require.NoError(t, err)
					sum := md5.New()
					_, err = io.Copy(sum, resp.Body)
					resp.Body.Close()
					require.NoError(t, err)
					require.Equal(t, f.Md5Checksum, hex.EncodeToString(sum.Sum(nil)))
				case it.Kind.Exportable() && exported < 5:
					exported++
					resp, err := svc.Files.Export(f.Id, "application/pdf").Download()
					require.NoError(t, err)
					got, err := io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					require.NoError(t, err)
					require.Equal(t, it.ExportSize, got)
				}
			}
			return nil
		})
	require.NoError(t, err)
	files, folders := visible(tr)
	dangling := int(tr.Stats().Dangling)
	require.InDelta(t, files+folders+dangling, seen, float64(dangling),
		"all that is not in the trash, dangling shortcuts too")
	require.Equal(t, 30, downloaded)
	require.Equal(t, 5, exported)
}

func TestGoClientResumesUploads(t *testing.T) {
	wanted(t)
	s := startDrive(t, "none")
	ctx := context.Background()
	svc, err := drive.NewService(ctx, option.WithHTTPClient(googleClient(t, s, false)))
	require.NoError(t, err)
	plan := `{"rules": [
		{"name": "lost reply", "ops": ["upload"], "skip": 2, "limit": 1, "error": {"status": 503}},
		{"name": "broken chunk", "ops": ["upload"], "skip": 4, "limit": 1, "reset": {"after": "100000"}}
	]}`
	require.NoError(t, s.admin.SetFaults(ctx, []byte(plan)))
	content := make([]byte, 6*googleapi.MinUploadChunkSize+777)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(content)
	f, err := svc.Files.Create(&drive.File{Name: "resumable.bin"}).Media(bytes.NewReader(content),
		googleapi.ChunkSize(googleapi.MinUploadChunkSize)).
		Fields("id,size,md5Checksum").Do()
	require.NoError(t, err)
	sum := md5.Sum(content)
	require.Equal(t, hex.EncodeToString(sum[:]), f.Md5Checksum)
	c, err := s.admin.Counters(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 2, c.FaultsFired)
	s.understood()
}
