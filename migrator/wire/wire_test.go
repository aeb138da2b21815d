package wire

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator"
)

// world is a Drive, a server of tokens and an S3 store in one, which keep what they were asked.
type world struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []*http.Request
	claims []string // of requests for tokens: who asks, and for whom
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked = append(w.asked, r)
		rw.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasPrefix(r.URL.Path, "/drive/v3/"):
			fmt.Fprint(rw, `{"files":[]}`)
		case r.Method == http.MethodPut:
			rw.Header().Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
		}
	}))
	t.Cleanup(w.Close)
	return w
}

// tokens serves tokens and keeps the claims of those who ask.
func (w *world) tokens(t *testing.T, answer int) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		claim := r.FormValue("refresh_token")
		if parts := strings.Split(r.FormValue("assertion"), "."); len(parts) == 3 {
			b, err := base64.RawURLEncoding.DecodeString(parts[1])
			if err == nil {
				claim = string(b)
			}
		}
		w.claims = append(w.claims, claim)
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(answer)
		fmt.Fprint(rw, `{"access_token":"the-token","token_type":"Bearer","expires_in":3600}`)
	}))
	t.Cleanup(s.Close)
	return s
}

// alone takes away what the environment has of credentials.
func alone(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
		"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "GOOGLE_APPLICATION_CREDENTIALS"} {
		t.Setenv(name, "")
		require.NoError(t, os.Unsetenv(name))
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	t.Setenv("HOME", nowhere)
	t.Setenv("AWS_CONFIG_FILE", nowhere)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", nowhere)
}

func (w *world) settings(edits ...func(*Settings)) Settings {
	s := DefaultSettings()
	s.DriveEndpoint, s.S3Endpoint, s.Bucket = w.URL, w.URL, "bucket"
	for _, edit := range edits {
		edit(&s)
	}
	return s
}

// at makes one server both sides.
func at(url string) func(*Settings) {
	return func(s *Settings) { s.DriveEndpoint, s.S3Endpoint = url, url }
}

// keyFile writes a service account's key whose tokens come from a server.
func keyFile(t *testing.T, tokens string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return jsonFile(t, map[string]string{"type": "service_account", "client_email": "me@example.com", "token_uri": tokens,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
}

func jsonFile(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return textFile(t, string(b))
}

func textFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.json")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestSettingsThatAreRefused(t *testing.T) {
	alone(t)
	w := newWorld(t)
	for name, c := range map[string]struct {
		edit func(*Settings)
		want string
	}{
		"no page":           {func(s *Settings) { s.PageSize = 0 }, "page size 0: Drive takes 1 to 1000"},
		"a page too large":  {func(s *Settings) { s.PageSize = 1001 }, "page size 1001"},
		"no bucket":         {func(s *Settings) { s.Bucket = "" }, "no bucket: say where to copy to"},
		"a path as bucket":  {func(s *Settings) { s.Bucket = "a/b" }, `bucket "a/b": want letters`},
		"a query as bucket": {func(s *Settings) { s.Bucket = "a?acl" }, `bucket "a?acl"`},
		"dots as bucket":    {func(s *Settings) { s.Bucket = ".." }, `bucket ".."`},
		"no URL":            {func(s *Settings) { s.S3Endpoint = "s3.example.com" }, `s3 endpoint "s3.example.com": want`},
		"another scheme":    {func(s *Settings) { s.S3Endpoint = "ftp://s3.example.com" }, "want a URL as in https://"},
		"no host":           {func(s *Settings) { s.S3Endpoint = "http://" }, "want a URL"},
		"half a client":     {func(s *Settings) { s.RefreshToken = "x" }, "a refresh token needs the id and secret"},
		"no such file":      {func(s *Settings) { s.CredentialsFile = "nowhere.json" }, "credentials of Drive: open nowhere"},
		"not JSON":          {func(s *Settings) { s.CredentialsFile = textFile(t, "x") }, "not JSON"},
		"of no kind":        {func(s *Settings) { s.CredentialsFile = textFile(t, "{}") }, `type "": want a service`},
		"an OAuth client": {func(s *Settings) { s.CredentialsFile = textFile(t, `{"type":"web"}`) },
			`type "web": want a service account's key`},
		"no key in it":           {func(s *Settings) { s.CAFile = textFile(t, "x") }, "no certificate in PEM form"},
		"an unknown profile":     {func(s *Settings) { s.Profile = "none" }, "AWS settings: "},
		"no credentials for all": {func(s *Settings) { s.DriveEndpoint = "" }, "no Drive credentials: give"},
	} {
		_, err := Open(t.Context(), w.settings(c.edit))
		require.ErrorContains(t, err, c.want, name)
	}
	require.Empty(t, w.asked, "nothing was asked")
	for _, bucket := range []string{"b", "my.bucket-1", "Old_Bucket", "arn:aws:s3:us-east-1:123456789012:accesspoint/x"} {
		_, err := Open(t.Context(), w.settings(func(s *Settings) { s.Bucket = bucket }))
		require.NoError(t, err, bucket)
	}
}

// TestDriveRequestsCarryWhatWasSet lists twice and looks at the requests.
func TestDriveRequestsCarryWhatWasSet(t *testing.T) {
	alone(t)
	for name, c := range map[string]struct {
		set   func(s *Settings, tokens string)
		auth  string
		claim string
	}{
		"nothing": {func(*Settings, string) {}, "", ""},
		"a key": {func(s *Settings, tokens string) { s.CredentialsFile = keyFile(t, tokens) },
			"Bearer the-token", `"iss":"me@example.com"`},
		"a key, for a user": {func(s *Settings, tokens string) {
			s.CredentialsFile, s.Impersonate = keyFile(t, tokens), "user@example.com"
		}, "Bearer the-token", `"sub":"user@example.com"`},
		"a user's file": {func(s *Settings, tokens string) {
			s.CredentialsFile = jsonFile(t, map[string]string{"type": "authorized_user", "client_id": "1",
				"client_secret": "2", "refresh_token": "the-refresh-token", "token_uri": tokens})
		}, "Bearer the-token", "the-refresh-token"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tokens := w.tokens(t, http.StatusOK)
			opening, cancel := context.WithCancel(t.Context())
			e, err := Open(opening, w.settings(func(s *Settings) { c.set(s, tokens.URL); s.PageSize = 7 }))
			require.NoError(t, err)
			defer e.Close()
			require.Empty(t, w.asked)
			cancel() // it bounds opening alone
			for range 2 {
				_, err = e.Source.List(t.Context(), migrator.Listing{Folder: "root"})
				require.NoError(t, err)
			}
			require.Len(t, w.asked, 2)
			for _, r := range w.asked {
				require.Equal(t, c.auth, r.Header.Get("Authorization"))
				require.Equal(t, "7", r.URL.Query().Get("pageSize"))
			}
			if c.auth == "" {
				require.Empty(t, w.claims)
				return
			}
			require.Len(t, w.claims, 1, "a token is for many requests")
			require.Contains(t, w.claims[0], c.claim)
			if strings.Contains(w.claims[0], "scope") {
				require.Contains(t, w.claims[0], "/auth/drive.readonly", "it cannot write")
			}
		})
	}
}

func TestATokenThatIsRefusedFailsTheListing(t *testing.T) {
	alone(t)
	w := newWorld(t)
	tokens := w.tokens(t, http.StatusUnauthorized)
	e, err := Open(t.Context(), w.settings(func(s *Settings) { s.CredentialsFile = keyFile(t, tokens.URL) }))
	require.NoError(t, err)
	_, err = e.Source.List(t.Context(), migrator.Listing{Folder: "root"})
	require.Error(t, err)
	require.Empty(t, w.asked, "nothing goes out without the token")
}

func TestUploadsCarryWhatWasSet(t *testing.T) {
	alone(t)
	for name, c := range map[string]struct {
		env    map[string]string
		set    func(*Settings)
		signed string // what the signature names; "" for none
	}{
		"a store here without credentials": {nil, func(*Settings) {}, ""},
		"a store here with credentials": {map[string]string{"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK"},
			func(*Settings) {}, "Credential=AK/"},
		"the default region": {map[string]string{"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK"},
			func(*Settings) {}, "/us-east-1/s3/"},
		"another region": {map[string]string{"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK"},
			func(s *Settings) { s.Region = "eu-west-3" }, "/eu-west-3/s3/"},
		"the environment's region": {map[string]string{"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK",
			"AWS_REGION": "eu-north-1"}, func(*Settings) {}, "/eu-north-1/s3/"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			e, err := Open(t.Context(), w.settings(c.set, func(s *Settings) {
				s.StorageClass, s.SSE = "STANDARD_IA", "AES256"
				s.S3Endpoint = strings.Replace(w.URL, "127.0.0.1", "localhost", 1) // a name, which a bucket could stand before
			}))
			require.NoError(t, err)
			defer e.Close()
			require.NoError(t, e.Sink.Put(t.Context(), migrator.Object{Key: "a/b", MD5: "d41d8cd98f00b204e9800998ecf8427e"},
				strings.NewReader(""), false))
			require.Len(t, w.asked, 1)
			r := w.asked[0]
			require.Equal(t, "/bucket/a/b", r.URL.Path, "the bucket is in the path of a store that is not AWS")
			require.Equal(t, "STANDARD_IA", r.Header.Get("X-Amz-Storage-Class"))
			require.Equal(t, "AES256", r.Header.Get("X-Amz-Server-Side-Encryption"))
			auth := r.Header.Get("Authorization")
			require.Contains(t, auth, c.signed)
			require.Equal(t, c.signed == "", auth == "")
		})
	}
}

func TestTheEnvironmentsBundleIsForS3Alone(t *testing.T) {
	alone(t)
	t.Setenv("AWS_CA_BUNDLE", textFile(t, "no certificate"))
	_, err := Open(t.Context(), newWorld(t).settings())
	require.ErrorContains(t, err, "no certificate in PEM form")
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	require.NoError(t, os.WriteFile(bundle,
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600))
	t.Setenv("AWS_CA_BUNDLE", bundle)
	e, err := Open(t.Context(), newWorld(t).settings(at(secure.URL)))
	require.NoError(t, err)
	_, err = e.Sink.Stat(t.Context(), "key")
	require.Equal(t, migrator.Missing, migrator.ClassOf(err), "it answers: %v", err)
	_, err = e.Source.List(t.Context(), migrator.Listing{Folder: "root"})
	require.ErrorContains(t, err, "certificate", "Drive is Google's, whose certificate the system knows")
}

func TestCloseDropsIdleConnections(t *testing.T) {
	alone(t)
	closed := make(chan struct{}, 10)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		fmt.Fprint(rw, `{"files":[]}`)
	}))
	opened := 0
	s.Config.ConnState = connStates(&opened, closed)
	s.Start()
	defer s.Close()
	forever := func(set *Settings) { set.IdleConnTimeout = 0 }
	e, err := Open(t.Context(), newWorld(t).settings(at(s.URL), forever))
	require.NoError(t, err)
	for range 3 {
		_, err = e.Source.List(t.Context(), migrator.Listing{Folder: "root"})
		require.NoError(t, err)
	}
	_, _ = e.Sink.Stat(t.Context(), "key")
	e.Close()
	require.Eventually(t, func() bool { return len(closed) == 2 }, 30*time.Second, time.Millisecond)
	require.Equal(t, 2, opened, "one connection of each side")
}
