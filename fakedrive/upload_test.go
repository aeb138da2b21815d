package fakedrive_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/api/drive/v3"
	"google.golang.org/api/googleapi"

	"github.com/memsoak/memsoak/fakedrive"
)

// session begins a resumable upload and returns where its chunks go.
func (f *fake) session(name string, header ...string) string {
	f.t.Helper()
	resp, body := f.do("POST", "/upload/drive/v3/files?uploadType=resumable&fields=id,size,md5Checksum",
		strings.NewReader(`{"name":"`+name+`"}`), header...)
	require.Equal(f.t, 200, resp.StatusCode, body)
	return strings.TrimPrefix(resp.Header.Get("Location"), f.url)
}

// chunk sends a part of a resumable upload and says what came back: status and Range.
func (f *fake) chunk(location, contentRange string, data []byte, header ...string) string {
	f.t.Helper()
	if contentRange != "" {
		header = append(header, "Content-Range", contentRange)
	}
	resp, _ := f.do("PUT", location, bytes.NewReader(data), header...)
	return strings.TrimSpace(fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Range")))
}

func TestFD017(t *testing.T) {
	const unit = 256 << 10
	f := newFake(t, "")
	data := bytes.Repeat([]byte("0123456789abcdef"), 3*unit/16+1)
	at := f.session("x")
	require.Equal(t, "308", f.chunk(at, "bytes */*", nil), "nothing yet")
	require.Equal(t, "400", f.chunk(at, "bytes 0-9/*", data[:10]), "no multiple of 256 KiB")
	require.Equal(t, "400", f.chunk(at, "potato", nil))
	require.Equal(t, "308 bytes=0-262143", f.chunk(at, "bytes 0-262143/*", data[:unit]))
	require.Equal(t, "503", f.chunk(at, "bytes 524288-786431/*", data[2*unit:3*unit]), "a gap")
	require.Equal(t, "308 bytes=0-524287", f.chunk(at, "bytes 0-524287/*", data[:2*unit]), "what had arrived is skipped")
	require.Equal(t, "200 bytes=0-524287", f.chunk(at, fmt.Sprintf("bytes */%d", len(data)), nil, "X-GUploader-No-308",
		"yes"))
	require.Equal(t, "400", f.chunk(at, "bytes 524288-524289/12345678", data[:2]), "another total")
	require.Empty(t, f.names(""), "nothing is there before the last byte")
	require.Equal(t, "200", f.chunk(at, fmt.Sprintf("bytes 524288-%d/%d", len(data)-1, len(data)), data[2*unit:]))
	require.Equal(t, "200", f.chunk(at, fmt.Sprintf("bytes */%d", len(data)), nil),
		"a client that missed the reply asks again")
	require.Equal(t, []string{"x"}, f.names(""))
	files, _ := f.listAll("", 1, "files(id)")
	_, body := f.do("GET", "/drive/v3/files/"+files[0].Id+"?alt=media", nil)
	require.Equal(t, string(data), body)

	whole := f.session("whole")
	require.Equal(t, "200", f.chunk(whole, "", data[:100]))
	empty := f.session("empty")
	require.Equal(t, "200", f.chunk(empty, "bytes */0", nil))
	gone := f.session("gone")
	resp, _ := f.do("DELETE", gone, nil)
	require.Equal(t, 499, resp.StatusCode)
	require.Equal(t, "404", f.chunk(gone, "bytes */*", nil))
	resp, _ = f.do("POST", "/upload/drive/v3/files?uploadType=resumable", strings.NewReader(`{"parents":["nope"]}`))
	require.Equal(t, 404, resp.StatusCode, "refused before the content is sent")
}

func TestFD024(t *testing.T) {
	f := newFake(t, "")
	x, err := f.sdk.Files.Create(&drive.File{Name: "table", MimeType: "application/vnd.google-apps.spreadsheet"}).
		Media(strings.NewReader("name,size\nBob's,3\n"), googleapi.ContentType("text/csv")).Fields("*").Do()
	require.NoError(t, err)
	require.Empty(t, x.Md5Checksum)
	for mime, check := range map[string]func(body []byte){
		"text/csv": func(b []byte) { require.Contains(t, string(b), "Bob's") },
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": func(b []byte) {
			require.Contains(t,
				inZip(t, b, "xl/worksheets/sheet1.xml"), "Bob&#39;s")
		},
		"application/vnd.oasis.opendocument.spreadsheet": func(b []byte) {
			require.Contains(t, inZip(t, b, "content.xml"),
				"Bob&#39;s")
		},
		"application/pdf": func(b []byte) { require.Contains(t, string(b), "(Bob's,3) Tj") },
	} {
		resp, err := f.sdk.Files.Export(x.Id, mime).Download()
		require.NoError(t, err, mime)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		check(body)
		again, err := f.sdk.Files.Create(&drive.File{Name: "again", MimeType: x.MimeType}).Media(bytes.NewReader(body),
			googleapi.ContentType(mime)).Do()
		if mime != "application/pdf" {
			require.NoError(t, err, mime)
			resp, text := f.do("GET", "/drive/v3/files/"+again.Id+"/export?mimeType=text/csv", nil)
			require.Equal(t, 200, resp.StatusCode)
			require.Contains(t, text, "Bob's", "an export can be imported: %s", mime)
		} else {
			require.Error(t, err, "no spreadsheet is made of a PDF")
		}
	}
}

func inZip(t *testing.T, raw []byte, name string) string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	require.NoError(t, err)
	r, err := z.Open(name)
	require.NoError(t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(text)
}

func TestEveryAssumptionHasATest(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var tests []byte
	for _, name := range []string{"assumptions_test.go", "upload_test.go"} {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		tests = append(tests, raw...)
	}
	numbers := regexp.MustCompile(`(?m)^//\tFD(\d+)  `).FindAllSubmatch(doc, -1)
	require.Greater(t, len(numbers), 30)
	for i, n := range numbers {
		require.Equal(t, fmt.Sprintf("%03d", i+1), string(n[1]))
		require.Contains(t, string(tests), "func TestFD"+string(n[1])+"(")
	}
}

func TestRevisions(t *testing.T) {
	f := newFake(t, "")
	x := f.create("x", "", "one")
	_, err := f.sdk.Files.Update(x.Id, nil).Media(strings.NewReader("two!")).Do()
	require.NoError(t, err)
	l, err := f.sdk.Revisions.List(x.Id).Fields("*").Do()
	require.NoError(t, err)
	require.Len(t, l.Revisions, 2)
	require.EqualValues(t, 3, l.Revisions[0].Size)
	resp, err := f.sdk.Revisions.Get(x.Id, l.Revisions[0].Id).Download()
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	require.NoError(t, err)
	require.Equal(t, "one", string(body))
	r, err := f.sdk.Revisions.Update(x.Id, l.Revisions[0].Id, &drive.Revision{KeepForever: true}).Fields("*").Do()
	require.NoError(t, err)
	require.True(t, r.KeepForever)
	require.Error(t, f.sdk.Revisions.Delete(x.Id, l.Revisions[1].Id).Do(), "the head stays")
	require.NoError(t, f.sdk.Revisions.Delete(x.Id, l.Revisions[0].Id).Do())
	require.Equal(t, l.Revisions[1].Id, f.get(x.Id).HeadRevisionId)
}

func TestPermissions(t *testing.T) {
	f := newFake(t, "tiny")
	files, _ := f.listAll("'root' in parents", 1, "files(id)")
	id := files[0].Id
	p, err := f.sdk.Permissions.Create(id, &drive.Permission{Type: "user", Role: "writer",
		EmailAddress: "eve@example.com"}).Do()
	require.NoError(t, err)
	_, err = f.sdk.Permissions.Create(id, &drive.Permission{Type: "anyone", Role: "reader"}).Do()
	require.NoError(t, err)
	require.Len(t, f.names("'eve@example.com' in writers"), 1)
	require.Len(t, f.names("visibility = 'anyoneWithLink'"), 1)
	l, err := f.sdk.Permissions.List(id).Fields("*").Do()
	require.NoError(t, err)
	require.Len(t, l.Permissions, 3, "the owner's too")
	_, err = f.sdk.Permissions.Update(id, p.Id, &drive.Permission{Role: "reader"}).Do()
	require.NoError(t, err)
	require.Empty(t, f.names("'eve@example.com' in writers"))
	require.NoError(t, f.sdk.Permissions.Delete(id, p.Id).Do())
	_, err = f.sdk.Permissions.Get(id, p.Id).Do()
	code, _ := reason(t, err)
	require.Equal(t, 404, code)
	for _, bad := range []*drive.Permission{{}, {Type: "user", Role: "reader"}, {Type: "x", Role: "reader"}, {Type: "user",
		Role: "owner", EmailAddress: "a@b.c"}} {
		_, err := f.sdk.Permissions.Create(id, bad).Do()
		require.Error(t, err)
	}
}

func TestBoundsAreKept(t *testing.T) {
	f := newFake(t, "", func(c *fakedrive.Config) { c.MaxDisk, c.MaxFiles = 1000, 6 })
	_, err := f.sdk.Files.Create(&drive.File{Name: "big"}).Media(bytes.NewReader(make([]byte, 2000)),
		googleapi.ChunkSize(0)).Do()
	code, why := reason(t, err)
	require.Equal(t, "403 storageQuotaExceeded", fmt.Sprint(code, " ", why))
	x := f.create("x", "", strings.Repeat("x", 900))
	require.NoError(t, f.sdk.Files.Delete(x.Id).Do())
	f.create("y", "", strings.Repeat("x", 900)) // the room is free again
	for i := range 3 {
		f.folder(fmt.Sprint(i), "")
	}
	_, err = f.sdk.Files.Create(&drive.File{Name: "one too many"}).Do()
	_, why = reason(t, err)
	require.Equal(t, "storageQuotaExceeded", why)
}

func TestStateSurvives(t *testing.T) {
	dir := t.TempDir()
	keep := func(c *fakedrive.Config) { c.Dir, c.State = dir, true }
	var ids [3]string
	t.Run("first", func(t *testing.T) {
		f := newFake(t, "tiny", keep)
		d := f.folder("d", "")
		x := f.create("x", d.Id, "content")
		gone := f.create("gone", d.Id, "1")
		require.NoError(t, f.sdk.Files.Delete(gone.Id).Do())
		files, _ := f.listAll("'root' in parents and name != 'd'", 1, "files(id)")
		_, err := f.sdk.Files.Update(files[0].Id, &drive.File{Name: "renamed"}).Do()
		require.NoError(t, err)
		ids = [3]string{x.Id, gone.Id, files[0].Id}
	})
	// A crash in the middle of a line.
	journal := filepath.Join(dir, "journal.ndjson")
	file, err := os.OpenFile(journal, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString(`{"put":{"file":{"ID":"ha`)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	orphan := filepath.Join(dir, "contents", "zzz")
	require.NoError(t, os.WriteFile(orphan, []byte("half an upload"), 0o600))
	t.Run("second", func(t *testing.T) {
		f := newFake(t, "tiny", keep)
		require.Equal(t, "x", f.get(ids[0]).Name)
		_, body := f.do("GET", "/drive/v3/files/"+ids[0]+"?alt=media", nil)
		require.Equal(t, "content", body)
		_, err := f.sdk.Files.Get(ids[1]).Do()
		require.Error(t, err)
		require.Equal(t, "renamed", f.get(ids[2]).Name)
		f.create("more", "", "1")
		require.NoFileExists(t, orphan)
	})
	require.NoError(t, os.WriteFile(journal, []byte("{nonsense}\n"), 0o600))
	cfg := fakedrive.DefaultConfig()
	keep(&cfg)
	_, err = fakedrive.New(cfg)
	require.ErrorContains(t, err, "line 1")
}

// TestConcurrentWriters: nothing is lost, whatever comes in between. WRITERS x FILES is larger under make conformance.
func TestConcurrentWriters(t *testing.T) {
	writers, files := 20, 40
	if os.Getenv("MEMSOAK_CONFORMANCE") != "" {
		writers, files = 100, 1000
	}
	f := newFake(t, "tiny")
	root := f.folder("root", "")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}}
	post := func(body string) error {
		resp, err := client.Post(f.url+"/upload/drive/v3/files?uploadType=multipart&fields=id",
			"multipart/related; boundary=b", strings.NewReader(body))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
			return fmt.Errorf("status %d: %w", resp.StatusCode, err)
		}
		return nil
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range files {
				body := fmt.Sprintf("--b\r\nContent-Type: application/json\r\n\r\n{\"name\":\"%d-%d\",\"parents\":[\"%s\"]}\r\n"+
					"--b\r\n\r\n%d\r\n--b--\r\n", w, i, root.Id, w*files+i)
				if err := post(body); err != nil {
					t.Errorf("writer %d, file %d: %v", w, i, err)
					return
				}
			}
		})
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 1 {
		readers.Go(func() { // lists while all write: each page continues where the last one ended
			for {
				select {
				case <-stop:
					return
				default:
				}
				seen := map[string]bool{}
				err := f.sdk.Files.List().Q("'"+root.Id+"' in parents").PageSize(1000).Fields("nextPageToken",
					"files(id,name)").Pages(t.Context(), func(l *drive.FileList) error {
					for _, x := range l.Files {
						if seen[x.Id] {
							return fmt.Errorf("%s came twice", x.Name)
						}
						seen[x.Id] = true
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	readers.Wait()
	got, _ := f.listAll("'"+root.Id+"' in parents", 1000, "files(id,name,size)")
	names := map[string]bool{}
	for _, x := range got {
		names[x.Name] = true
	}
	require.Len(t, names, writers*files)
	require.Zero(t, f.Control().Counters().InFlight)
}
