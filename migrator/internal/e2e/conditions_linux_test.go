package e2e

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/memsoak/memsoak/fakedrive/corpus"
)

// refuses waits for a run's end and wants exit code 1 and one line that says so much.
func (w *world) refuses(r *run, says string) {
	w.t.Helper()
	timer := time.AfterFunc(2*time.Minute, func() { _ = r.cmd.Process.Kill() }) // a hang: its exit code is another
	defer timer.Stop()
	require.Error(w.t, r.wait(), "%s", &r.out)
	assert.Equal(w.t, 1, r.cmd.ProcessState.ExitCode(), "%s", &r.out)
	var said []string
	for line := range strings.Lines(r.out.String()) {
		if strings.HasPrefix(line, "migrator: ") {
			said = append(said, line)
		}
	}
	require.Len(w.t, said, 1, "%s", &r.out)
	assert.Contains(w.t, said[0], says)
}

// TestReadOnlyFolderForTheQueue: one line, nothing stored, and the same command copies when the folder can be written.
func TestReadOnlyFolderForTheQueue(t *testing.T) {
	w := newWorld(t)
	row(t, "read-only folder", "one line, then "+complete, func() string { return "a tmpfs mounted read-only" })
	disk := filepath.Join(w.dir, "state")
	require.NoError(t, os.Mkdir(disk, 0o700))
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_RDONLY, "size=8m"); err != nil {
		t.Skip("NOT TESTED: a read-only folder, since mounting one needs root: ", err)
	}
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(disk, 0)) })
	tr := w.tree(faultTree, 1)
	w.refuses(w.start("copy", tr.root, "ro"), "read-only file system")
	assert.Empty(t, w.objects("ro"))
	require.NoError(t, unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, "size=8m"))
	w.finish("copy", tr.root, "ro")
	w.verify(tr, "ro")
}

// expired is a server whose certificate, that of its own authority, ended an hour ago; ca is a file with it.
func expired(t *testing.T, asked *int) (url, ca string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-48 * time.Hour),
		NotAfter: time.Now().Add(-time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	require.NoError(t, err)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { *asked++ }))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that the client ends
	s.StartTLS()
	t.Cleanup(s.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return s.URL, ca
}

// TestExpiredCertificates: of either side, one line that says so, and no request gets through.
func TestExpiredCertificates(t *testing.T) {
	w := newWorld(t)
	asked := 0
	row(t, "expired certificates", "one line, nothing stored", func() string {
		return fmt.Sprintf("%d requests let through", asked)
	})
	tr := w.tree(faultTree, 1)
	url, ca := expired(t, &asked)
	for _, flag := range []string{"--s3-endpoint", "--drive-endpoint"} {
		r := w.start("copy", tr.root, "expired", flag, url, "--ca-file", ca, "--attempts", "3")
		w.refuses(r, "certificate has expired")
	}
	assert.Zero(t, asked)
	assert.Empty(t, w.objects("expired"))
	w.finish("copy", tr.root, "expired")
	w.verify(tr, "expired")
}

// change gives small files other content and says what each has now, by its ordinal.
func (w *world) change(tr tree, n int) map[int64]string {
	now := map[int64]string{}
	for i := int64(1); i < tr.Len() && len(now) < n; i++ {
		it := tr.Item(i)
		if it.Kind != corpus.Binary || it.Trashed || it.Size == 0 || it.Size > 1<<20 {
			continue
		}
		now[i] = strings.Repeat(fmt.Sprintf("changed %d ", i), 3000)
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPatch,
			w.drive.HTTP+"/upload/drive/v3/files/"+tr.ID(i)+"?uploadType=media", strings.NewReader(now[i]))
		require.NoError(w.t, err)
		req.Header.Set("Content-Type", "text/plain")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(w.t, err)
		resp.Body.Close()
		require.Equal(w.t, http.StatusOK, resp.StatusCode)
	}
	return now
}

// TestFilesThatChangeDuringACopy: each object has the whole of what a file was at one time, never parts of two, and
// another run brings all that changed.
func TestFilesThatChangeDuringACopy(t *testing.T) {
	w := newWorld(t)
	var now map[int64]string
	row(t, "files change in a copy", complete, func() string { return fmt.Sprintf("%d files changed", len(now)) })
	tr := w.tree(faultTree, 1)
	w.faults("bandwidth: {total: 1MiB}\n", "")
	r := w.start("copy", tr.root, "changed")
	ended := make(chan struct{})
	go func() { _ = r.wait(); close(ended) }()
	require.True(t, w.moves(ended), "the copy was over before a file changed: %s", &r.out)
	now = w.change(tr, 15)
	w.faults("", "")
	require.NoError(t, r.wait(), "%s", &r.out)
	sum := func(s string) string { b := md5.Sum([]byte(s)); return hex.EncodeToString(b[:]) }
	check := func(old bool) {
		t.Helper()
		have, expect := w.objects("changed"), tr.expected("changed")
		require.Len(t, have, len(expect))
		for key, x := range expect {
			if strings.Contains(have[key].ETag, "-") {
				continue // none of those that go in parts changes
			}
			was := tr.Sums(x.content, corpus.MD5).MD5Hex()
			switch content, changes := now[x.content]; {
			case !changes:
				assert.Equal(t, was, have[key].MD5, key)
			case old:
				assert.Contains(t, []string{was, sum(content)}, have[key].MD5, key)
			default:
				assert.Equal(t, sum(content), have[key].MD5, key)
			}
		}
	}
	check(true)
	w.finish("copy", tr.root, "changed")
	check(false)
	w.finish("verify", tr.root, "changed")
}
