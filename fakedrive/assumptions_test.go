package fakedrive_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/api/drive/v3"
	"google.golang.org/api/googleapi"

	"github.com/memsoak/memsoak/fakedrive"
	"github.com/memsoak/memsoak/fakedrive/corpus"
)

// create makes a file with content below a parent.
func (f *fake) create(name, parent, content string) *drive.File {
	f.t.Helper()
	file := &drive.File{Name: name}
	if parent != "" {
		file.Parents = []string{parent}
	}
	out, err := f.sdk.Files.Create(file).Media(strings.NewReader(content),
		googleapi.ContentType("text/plain")).Fields("*").SupportsAllDrives(true).Do()
	require.NoError(f.t, err)
	return out
}

func (f *fake) folder(name, parent string) *drive.File {
	f.t.Helper()
	file := &drive.File{Name: name, MimeType: corpus.MimeFolder}
	if parent != "" {
		file.Parents = []string{parent}
	}
	out, err := f.sdk.Files.Create(file).Fields("*").SupportsAllDrives(true).Do()
	require.NoError(f.t, err)
	return out
}

func (f *fake) get(id string) *drive.File {
	f.t.Helper()
	out, err := f.sdk.Files.Get(id).Fields("*").SupportsAllDrives(true).Do()
	require.NoError(f.t, err)
	return out
}

// names lists the names that a query finds, in the order of the reply.
func (f *fake) names(q string, more ...googleapi.CallOption) (names []string) {
	f.t.Helper()
	l, err := f.sdk.Files.List().Q(q).PageSize(1000).Fields("files(name)").Do(more...)
	require.NoError(f.t, err)
	for _, x := range l.Files {
		names = append(names, x.Name)
	}
	return names
}

func TestFD001(t *testing.T) {
	f := newFake(t, "")
	_, err := f.AddRoot(spec(t, "files: 0"), 1)
	require.NoError(t, err)
	root, err := f.AddRoot(spec(t, "files: 2500\nfolders: 0"), 1)
	require.NoError(t, err)
	l, err := f.sdk.Files.List().Q("'" + root.ID + "' in parents").PageSize(5000).Do()
	require.NoError(t, err)
	require.Len(t, l.Files, 1000)
	l, err = f.sdk.Files.List().Q("'" + root.ID + "' in parents").Do()
	require.NoError(t, err)
	require.Len(t, l.Files, 100)
	for _, bad := range []string{"0", "-1", "x"} {
		resp, body := f.do("GET", "/drive/v3/files?pageSize="+bad, nil)
		require.Equal(t, 400, resp.StatusCode)
		require.Contains(t, body, `"location": "pageSize"`)
	}
}

func TestFD002(t *testing.T) {
	f := newFake(t, "")
	outer := f.folder("outer", "")
	inner := f.folder("inner", outer.Id)
	leaf := f.create("leaf", inner.Id, "x")
	_, err := f.sdk.Files.Update(inner.Id, &drive.File{Trashed: true}).Do()
	require.NoError(t, err)
	require.Equal(t, []string{"outer"}, f.names("trashed=false"))
	require.ElementsMatch(t, []string{"inner", "leaf"}, f.names("trashed=true"))
	require.Len(t, f.names(""), 3)
	got := f.get(leaf.Id)
	require.True(t, got.Trashed)
	require.False(t, got.ExplicitlyTrashed)
	_, err = f.sdk.Files.Update(inner.Id, &drive.File{Trashed: false, ForceSendFields: []string{"Trashed"}}).Do()
	require.NoError(t, err)
	require.False(t, f.get(leaf.Id).Trashed)
}

func TestFD003(t *testing.T) {
	f := newFake(t, "")
	file := f.create("x", "", "0123456789")
	path := "/drive/v3/files/" + file.Id + "?alt=media"
	for header, want := range map[string]string{
		"bytes=2-4": "206 234 bytes 2-4/10", "bytes=-3": "206 789 bytes 7-9/10", "bytes=8-": "206 89 bytes 8-9/10",
		"bytes=5-3":     "200 0123456789 ",
		"bytes=0-1,3-4": "200 0123456789 ", "": "200 0123456789 ",
	} {
		resp, body := f.do("GET", path, nil, "Range", header)
		require.Equal(t, want, fmt.Sprintf("%d %s %s", resp.StatusCode, body, resp.Header.Get("Content-Range")), header)
	}
	resp, _ := f.do("GET", path, nil, "Range", "bytes=10-")
	require.Equal(t, 416, resp.StatusCode)
	require.Equal(t, "bytes */10", resp.Header.Get("Content-Range"))
	resp, body := f.do("HEAD", path, nil)
	require.Equal(t, "10", resp.Header.Get("Content-Length"))
	require.Empty(t, body)
}

func TestFD004(t *testing.T) {
	f := newFake(t, "tiny")
	l, err := f.sdk.Files.List().PageSize(1).Fields("files(id)").Do()
	require.NoError(t, err)
	require.Empty(t, l.NextPageToken)
	l, err = f.sdk.Files.List().PageSize(1).Fields("nextPageToken", "files(id)").Do()
	require.NoError(t, err)
	require.NotEmpty(t, l.NextPageToken)
}

func TestFD005(t *testing.T) {
	f := newFake(t, "tiny")
	l, err := f.sdk.Files.List().Q("trashed=false").PageSize(1).Do()
	require.NoError(t, err)
	next := func(q, token string) error {
		_, err := f.sdk.Files.List().Q(q).PageSize(1).PageToken(token).Do()
		return err
	}
	require.NoError(t, next("trashed=false", l.NextPageToken))
	for _, err := range []error{next("trashed=true", l.NextPageToken), next("trashed=false", "nonsense"),
		func() error { *f.now = f.now.Add(7 * time.Hour); return next("trashed=false", l.NextPageToken) }()} {
		code, why := reason(t, err)
		require.Equal(t, 400, code)
		require.Equal(t, "invalid", why)
	}
}

func TestFD006(t *testing.T) {
	f := newFake(t, "")
	f.create("HelloWorld report", "", "x")
	require.Len(t, f.names("name = 'HELLOWORLD REPORT'"), 1)
	require.Len(t, f.names("name contains 'hello'"), 1)
	require.Len(t, f.names("name contains 'rep'"), 1)
	require.Empty(t, f.names("name contains 'World'"))
	require.Empty(t, f.names("fullText contains 'rep'"))
	require.Len(t, f.names("fullText contains 'report'"), 1)
}

func TestFD007(t *testing.T) {
	f := newFake(t, "")
	_, err := f.sdk.Files.List().Q("'no-such-folder' in parents").Do()
	code, why := reason(t, err)
	require.Equal(t, 404, code)
	require.Equal(t, "notFound", why)
	require.ErrorContains(t, err, "File not found: .")
}

func TestFD008(t *testing.T) {
	f := newFake(t, "")
	f.create("a", "", "x")
	for _, q := range []string{"parents in 'root'", `name = "a"`, "name='a' AND NOT starred", "not sharedWithMe"} {
		require.Equal(t, []string{"a"}, f.names(q), q)
	}
}

func TestFD009(t *testing.T) {
	f := newFake(t, "tiny")
	_, err := f.sdk.About.Get().Do()
	code, why := reason(t, err)
	require.Equal(t, 400, code)
	require.Equal(t, "required", why)
	a, err := f.sdk.About.Get().Fields("*").Do()
	require.NoError(t, err)
	require.NotEmpty(t, a.User.EmailAddress)
	require.NotEmpty(t, a.ExportFormats[corpus.MimeDocument])
	require.NotEmpty(t, a.ImportFormats["application/msword"])
	require.Positive(t, a.StorageQuota.Usage)
}

func TestFD010(t *testing.T) {
	f := newFake(t, "mixed")
	kinds := map[string]int{}
	files, _ := f.listAll("", 1000, "files(*)")
	for _, x := range files {
		binary := !strings.HasPrefix(x.MimeType, "application/vnd.google-apps.")
		kinds[x.MimeType]++
		require.Equal(t, binary, x.Md5Checksum != "" && x.Sha1Checksum != "" && x.Sha256Checksum != "" &&
			x.HeadRevisionId != "", x.Name)
		require.Equal(t, x.MimeType == corpus.MimeShortcut, x.ShortcutDetails != nil)
		require.Equal(t, strings.Contains(".document.spreadsheet.presentation", strings.TrimPrefix(x.MimeType,
			"application/vnd.google-apps")), len(x.ExportLinks) > 0, x.MimeType)
	}
	require.NotZero(t, kinds[corpus.MimeShortcut])
	_, body := f.do("GET", "/drive/v3/files/"+files[0].Parents[0]+"?fields=size,md5Checksum", nil)
	require.Equal(t, "{}\n", body, "a folder has neither")
	var binary *drive.File
	for _, x := range files {
		if x.Md5Checksum != "" {
			binary = x
		}
	}
	_, body = f.do("GET", "/drive/v3/files/"+binary.Id+"?fields=size", nil)
	require.Contains(t, body, fmt.Sprintf(`"size": "%d"`, binary.Size))
}

func TestFD011(t *testing.T) {
	f := newFake(t, "", func(c *fakedrive.Config) {
		c.Corpus = spec(t, "files: 2\nfolders: 0\nkinds: {documents: 2}\nexport_size: {classes: [{share: 1, fixed: 9000}, "+
			"{share: 1, fixed: 11MiB}]}")
	})
	files, _ := f.listAll("", 10, "files(id,exportLinks)")
	require.Len(t, files, 2)
	sizes := map[int]bool{}
	for _, x := range files {
		link, err := url.Parse(x.ExportLinks["application/pdf"])
		require.NoError(t, err)
		resp, body := f.do("GET", link.RequestURI(), nil, "Range", "bytes=0-10")
		require.Equal(t, 200, resp.StatusCode)
		require.EqualValues(t, -1, resp.ContentLength)
		sizes[len(body)] = true
		_, err = f.sdk.Files.Export(x.Id, "application/pdf").Download()
		if len(body) > 10<<20 {
			code, why := reason(t, err)
			require.Equal(t, "403 exportSizeLimitExceeded", fmt.Sprint(code, " ", why))
		} else {
			require.NoError(t, err)
		}
	}
	require.Equal(t, map[int]bool{9000: true, 11 << 20: true}, sizes)
	_, err := f.sdk.Files.Export(files[0].Id, "text/potato").Download()
	code, _ := reason(t, err)
	require.Equal(t, 400, code)
	_, err = f.sdk.Files.Get(files[0].Id).Download()
	_, why := reason(t, err)
	require.Equal(t, "fileNotDownloadable", why)
}

func TestFD012(t *testing.T) {
	f := newFake(t, "")
	_, body := f.do("GET", "/drive/v3/files/nope", nil)
	require.JSONEq(t, `{"error":{"code":404,"message":"File not found: nope.","errors":[
		{"message":"File not found: nope.","domain":"global","reason":"notFound",
		"location":"fileId","locationType":"parameter"}]}}`, body)
	resp, body := f.do("GET", "/drive/v3/files?q=foo", nil)
	require.Contains(t, body, `"message": "Invalid Value"`)
	require.Contains(t, resp.Header.Get("X-Fakedrive-Detail"), "at byte 0", "the position is for whoever debugs")
}

func TestFD013(t *testing.T) {
	f := newFake(t, "", func(c *fakedrive.Config) {
		c.More = append(c.More, spec(t, "files: 3\nfolders: 1\nshared_drive: Team"))
	})
	drives, err := f.sdk.Drives.List().Do()
	require.NoError(t, err)
	require.Len(t, drives.Drives, 1)
	id := drives.Drives[0].Id
	l, err := f.sdk.Files.List().Corpora("drive").DriveId(id).IncludeItemsFromAllDrives(true).
		SupportsAllDrives(true).Fields("files(*)").Do()
	require.NoError(t, err)
	require.Len(t, l.Files, 4)
	item := l.Files[0]
	for _, x := range l.Files {
		require.Equal(t, id, x.DriveId)
		require.Empty(t, x.Owners)
		if x.Md5Checksum != "" {
			item = x
		}
	}
	require.Empty(t, f.names(""), "a search of My Drive does not find them")
	_, err = f.sdk.Files.Get(item.Id).Do()
	code, _ := reason(t, err)
	require.Equal(t, 404, code)
	resp, err := f.sdk.Files.Get(item.Id).Download()
	require.NoError(t, err)
	resp.Body.Close()
	for _, bad := range []*drive.FilesListCall{
		f.sdk.Files.List().Corpora("drive").IncludeItemsFromAllDrives(true).SupportsAllDrives(true),
		f.sdk.Files.List().DriveId(id).IncludeItemsFromAllDrives(true).SupportsAllDrives(true),
		f.sdk.Files.List().Corpora("drive").DriveId(id).SupportsAllDrives(true),
		f.sdk.Files.List().IncludeItemsFromAllDrives(true),
		f.sdk.Files.List().Corpora("potato"),
	} {
		_, err := bad.Do()
		require.Error(t, err)
	}
	l, err = f.sdk.Files.List().Corpora("allDrives").IncludeItemsFromAllDrives(true).SupportsAllDrives(true).Do()
	require.NoError(t, err)
	require.Len(t, l.Files, 4)
}

func TestFD014(t *testing.T) {
	f := newFake(t, "")
	a, b := f.folder("a", ""), f.folder("b", "")
	x := f.create("x", a.Id, "1")
	_, err := f.sdk.Files.Update(x.Id, nil).AddParents(b.Id).Do()
	code, why := reason(t, err)
	require.Equal(t, "403 cannotAddParent", fmt.Sprint(code, " ", why))
	_, err = f.sdk.Files.Update(x.Id, nil).AddParents(b.Id).RemoveParents(a.Id).Do()
	require.NoError(t, err)
	require.Equal(t, []string{b.Id}, f.get(x.Id).Parents)
	require.Equal(t, []string{"x"}, f.names("'"+b.Id+"' in parents"))
	require.Empty(t, f.names("'"+a.Id+"' in parents"))
	_, err = f.sdk.Files.Update(b.Id, nil).AddParents(b.Id).RemoveParents("root").Do()
	require.Error(t, err, "a folder does not go into itself")
	_, err = f.sdk.Files.Create(&drive.File{Name: "y", Parents: []string{"nope"}}).Do()
	code, _ = reason(t, err)
	require.Equal(t, 404, code)
	_, err = f.sdk.Files.Create(&drive.File{Name: "y", Parents: []string{x.Id}}).Do()
	require.Error(t, err, "a file is no parent")
}

func TestFD015(t *testing.T) {
	f := newFake(t, "")
	ids, err := f.sdk.Files.GenerateIds().Count(3).Do()
	require.NoError(t, err)
	require.Len(t, ids.Ids, 3)
	_, err = f.sdk.Files.Create(&drive.File{Id: ids.Ids[0], Name: "x"}).Do()
	require.NoError(t, err)
	_, err = f.sdk.Files.Create(&drive.File{Id: ids.Ids[0], Name: "y"}).Do()
	code, why := reason(t, err)
	require.Equal(t, "409 fileIdInUse", fmt.Sprint(code, " ", why))
}

func TestFD016(t *testing.T) {
	f := newFake(t, "")
	for i, name := range []string{"b10", "B2", "a1", "c3"} {
		*f.now = f.now.Add(time.Minute)
		f.create(name, "", strings.Repeat("x", 10-i))
	}
	f.folder("d", "")
	for order, want := range map[string]string{
		"name": "a1 b10 B2 c3 d", "name desc": "d c3 B2 b10 a1", "name_natural": "a1 B2 b10 c3 d",
		"folder,name desc": "d c3 B2 b10 a1",
		"quotaBytesUsed":   "d c3 a1 B2 b10", "createdTime": "b10 B2 a1 c3 d", "modifiedTime desc,name": "c3 d a1 B2 b10",
	} {
		var got []string
		err := f.sdk.Files.List().OrderBy(order).PageSize(2).Pages(t.Context(), func(l *drive.FileList) error {
			for _, x := range l.Files {
				got = append(got, x.Name)
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, want, strings.Join(got, " "), order)
	}
	_, err := f.sdk.Files.List().OrderBy("potato").Do()
	_, why := reason(t, err)
	require.Equal(t, "invalid", why)
	_, err = f.sdk.Files.List().OrderBy("name").Q("fullText contains 'x'").Do()
	code, _ := reason(t, err)
	require.Equal(t, 403, code)
}

func TestFD018(t *testing.T) {
	f := newFake(t, "mixed")
	files, _ := f.listAll("mimeType='"+corpus.MimeFolder+"' and 'root' in parents", 10, "files(id)")
	require.NotEmpty(t, files)
	folder := files[0].Id
	mine := f.folder("mine", folder)
	x := f.create("x", mine.Id, "1")
	inside, _ := f.listAll("'"+folder+"' in parents", 1000, "files(id)")
	before, _ := f.listAll("", 1000, "files(id)")
	_, err := f.sdk.Files.Update(folder, &drive.File{Trashed: true}).Do()
	require.NoError(t, err)
	require.True(t, f.get(inside[0].Id).Trashed)
	require.False(t, f.get(x.Id).ExplicitlyTrashed)
	require.NoError(t, f.sdk.Files.Delete(folder).Do())
	for _, id := range []string{folder, inside[0].Id, x.Id} {
		_, err := f.sdk.Files.Get(id).Do()
		code, _ := reason(t, err)
		require.Equal(t, 404, code)
	}
	after, _ := f.listAll("", 1000, "files(id)")
	require.Less(t, len(after), len(before)-len(inside), "everything below is gone from listings too")
	err = f.sdk.Files.Delete("root").Do()
	code, _ := reason(t, err)
	require.Equal(t, 403, code)
}

func TestFD019(t *testing.T) {
	f := newFake(t, "")
	start, err := f.sdk.Changes.GetStartPageToken().Do()
	require.NoError(t, err)
	a, b := f.create("a", "", "1"), f.create("b", "", "2")
	_, err = f.sdk.Files.Update(a.Id, &drive.File{Name: "a2"}).Do()
	require.NoError(t, err)
	require.NoError(t, f.sdk.Files.Delete(b.Id).Do())
	var got []string
	token := start.StartPageToken
	for {
		l, err := f.sdk.Changes.List(token).PageSize(1).Fields("*").Do()
		require.NoError(t, err)
		for _, c := range l.Changes {
			name := ""
			if c.File != nil {
				name = c.File.Name
			}
			got = append(got, fmt.Sprintf("%s removed=%v", name, c.Removed))
		}
		if token = l.NextPageToken; token == "" {
			require.NotEmpty(t, l.NewStartPageToken)
			token = l.NewStartPageToken
			break
		}
	}
	require.Equal(t, []string{"a2 removed=false", " removed=true"}, got)
	l, err := f.sdk.Changes.List(token).Do()
	require.NoError(t, err)
	require.Empty(t, l.Changes)
	_, err = f.sdk.Changes.List("99999999").Do()
	require.Error(t, err)
}

func TestFD020(t *testing.T) {
	f := newFake(t, "")
	for _, fields := range []string{"files(potato)", "files(id", "potato"} {
		_, err := f.sdk.Files.List().Fields(googleapi.Field(fields)).Do()
		code, why := reason(t, err)
		require.Equal(t, "400 invalidParameter", fmt.Sprint(code, " ", why))
	}
}

func TestFD021(t *testing.T) {
	f := newFake(t, "", func(c *fakedrive.Config) { c.RequireAuth = true })
	resp, body := f.do("GET", "/drive/v3/files", nil)
	require.Equal(t, 401, resp.StatusCode)
	require.Contains(t, body, `"reason": "required"`)
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"id"}, "refresh_token": {"r"}}
	resp, body = f.do("POST", "/token", strings.NewReader(form.Encode()), "Content-Type",
		"application/x-www-form-urlencoded")
	require.Equal(t, 200, resp.StatusCode, body)
	token := "Bearer " + between(body, `"access_token": "`, `"`)
	list := func(token string) int {
		resp, _ := f.do("GET", "/drive/v3/files", nil, "Authorization", token)
		return resp.StatusCode
	}
	require.Equal(t, 200, list(token))
	require.Equal(t, 200, list("Bearer static"), "a token of somebody else's")
	require.Equal(t, 401, list(token+"x"))
	require.Equal(t, 401, list("Basic abc"))
	*f.now = f.now.Add(time.Hour)
	require.Equal(t, 401, list(token))
	resp, body = f.do("GET", "/drive/v3/files", nil, "Authorization", token)
	require.Contains(t, body, `"reason": "authError"`)
	require.NotEmpty(t, resp.Header.Get("WWW-Authenticate"))
	for want, form := range map[string]url.Values{
		"invalid_grant": {"grant_type": {"refresh_token"}, "client_id": {"id"},
			"refresh_token": {fakedrive.RevokedRefreshToken}},
		"invalid_request":        {"grant_type": {"refresh_token"}, "client_id": {"id"}},
		"unsupported_grant_type": {"grant_type": {"password"}},
	} {
		resp, body := f.do("POST", "/token", strings.NewReader(form.Encode()), "Content-Type",
			"application/x-www-form-urlencoded")
		require.Equal(t, 400, resp.StatusCode)
		require.Contains(t, body, want)
	}
	form = url.Values{"grant_type": {"authorization_code"}, "client_id": {"id"}, "code": {"c"}}
	_, body = f.do("POST", "/token", strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	require.Contains(t, body, "refresh_token")
	fresh := "Bearer " + between(body, `"access_token": "`, `"`)
	require.Equal(t, 200, list(fresh))
	f.do("POST", "/_fake/v1/tokens/revoke", nil)
	require.Equal(t, 401, list(fresh))
}

// between is the text between two marks.
func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

func TestFD022(t *testing.T) {
	f := newFake(t, "tiny", func(c *fakedrive.Config) { c.AbusiveEvery = 1 })
	files, _ := f.listAll("", 100, "files(id,md5Checksum)")
	for _, x := range files {
		if x.Md5Checksum == "" {
			continue
		}
		_, err := f.sdk.Files.Get(x.Id).Download()
		code, why := reason(t, err)
		require.Equal(t, "403 cannotDownloadAbusiveFile", fmt.Sprint(code, " ", why))
		resp, err := f.sdk.Files.Get(x.Id).AcknowledgeAbuse(true).Download()
		require.NoError(t, err)
		resp.Body.Close()
		return
	}
	t.Fatal("no binary file")
}

func TestFD023(t *testing.T) {
	f := newFake(t, "mixed", func(c *fakedrive.Config) { c.ResourceKeys = true })
	files, _ := f.listAll("sharedWithMe", 100, "files(id,resourceKey,sharedWithMeTime,ownedByMe)")
	require.NotEmpty(t, files)
	x := files[0]
	require.NotEmpty(t, x.ResourceKey)
	_, err := f.sdk.Files.Get(x.Id).Do()
	code, _ := reason(t, err)
	require.Equal(t, 404, code)
	call := f.sdk.Files.Get(x.Id)
	call.Header().Set("X-Goog-Drive-Resource-Keys", "other/k,"+x.Id+"/"+x.ResourceKey)
	_, err = call.Do()
	require.NoError(t, err)
}

func TestFD025(t *testing.T) {
	f := newFake(t, "")
	x := f.create("x", "", "content")
	c, err := f.sdk.Files.Copy(x.Id, &drive.File{}).Fields("*").Do()
	require.NoError(t, err)
	require.Equal(t, "Copy of x", c.Name)
	require.Equal(t, x.Md5Checksum, c.Md5Checksum)
	require.NotEqual(t, x.Id, c.Id)
	require.NoError(t, f.sdk.Files.Delete(x.Id).Do())
	resp, body := f.do("GET", "/drive/v3/files/"+c.Id+"?alt=media", nil)
	require.Equal(t, "200 content", fmt.Sprint(resp.StatusCode, " ", body))
	_, err = f.sdk.Files.Copy(f.folder("d", "").Id, &drive.File{}).Do()
	_, why := reason(t, err)
	require.Equal(t, "cannotCopyFile", why)
}

func TestFD026(t *testing.T) {
	f := newFake(t, "")
	f.create("x", "", "1")
	form := url.Values{"q": {"name = 'x' or name = '" + strings.Repeat("y", 10_000) + "'"}, "fields": {"files(name)"}}
	resp, body := f.do("POST", "/drive/v3/files", strings.NewReader(form.Encode()), "Content-Type",
		"application/x-www-form-urlencoded",
		"X-HTTP-Method-Override", "GET")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, body, `"name": "x"`)
}

func TestFD027(t *testing.T) {
	f := newFake(t, "")
	x := f.create("x", "", "1")
	shortcut := func(target string) (*drive.File, error) {
		return f.sdk.Files.Create(&drive.File{Name: "s", MimeType: corpus.MimeShortcut,
			ShortcutDetails: &drive.FileShortcutDetails{TargetId: target}}).Fields("*").Do()
	}
	s, err := shortcut(x.Id)
	require.NoError(t, err)
	require.Equal(t, "text/plain", s.ShortcutDetails.TargetMimeType)
	for _, bad := range []string{"", "nope", s.Id} {
		_, err := shortcut(bad)
		require.Error(t, err, bad)
	}
	require.Equal(t, []string{"s"}, f.names("shortcutDetails.targetId='"+x.Id+"'"))
	require.NoError(t, f.sdk.Files.Delete(x.Id).Do())
	require.Equal(t, x.Id, f.get(s.Id).ShortcutDetails.TargetId)
}

func TestFD028(t *testing.T) {
	f := newFake(t, "")
	d, x := f.folder("d", ""), f.create("x", "", "1")
	changed := func(change *drive.File, call func(*drive.FilesUpdateCall) *drive.FilesUpdateCall) bool {
		before := f.get(x.Id)
		*f.now = f.now.Add(time.Minute)
		_, err := call(f.sdk.Files.Update(x.Id, change)).Do()
		require.NoError(t, err)
		after := f.get(x.Id)
		require.Greater(t, after.Version, before.Version)
		return after.ModifiedTime != before.ModifiedTime
	}
	same := func(c *drive.FilesUpdateCall) *drive.FilesUpdateCall { return c }
	require.False(t, changed(&drive.File{Starred: true}, same))
	require.False(t, changed(nil,
		func(c *drive.FilesUpdateCall) *drive.FilesUpdateCall { return c.AddParents(d.Id).RemoveParents("root") }))
	require.False(t, changed(&drive.File{Trashed: true}, same))
	require.True(t, changed(&drive.File{Name: "y"}, same))
	require.True(t, changed(nil,
		func(c *drive.FilesUpdateCall) *drive.FilesUpdateCall { return c.Media(strings.NewReader("2")) }))
	_, err := f.sdk.Files.Update(x.Id, &drive.File{ModifiedTime: "2001-02-03T04:05:06.789Z"}).Do()
	require.NoError(t, err)
	require.Equal(t, "2001-02-03T04:05:06.789Z", f.get(x.Id).ModifiedTime)
}

func TestFD029(t *testing.T) {
	f := newFake(t, "")
	resp, _ := f.do("GET", "/drive/v3/files?potato=1", nil)
	require.Equal(t, 200, resp.StatusCode)
	require.EqualValues(t, 1, f.Control().Counters().NotUnderstood)
}

func TestFD030(t *testing.T) {
	f := newFake(t, "")
	a, b := f.create("same", "", "1"), f.create("same", "", "2")
	require.NotEqual(t, a.Id, b.Id)
	require.Equal(t, []string{"same", "same"}, f.names("name='same'"))
}

func TestFD031(t *testing.T) {
	f := newFake(t, "")
	good := "--b\r\nContent-Type: application/json\r\n\r\n{\"name\":\"x\"}\r\n--b\r\nContent-Type: text/plain\r\n\r\n" +
		"hello\r\n--b--\r\n"
	send := func(body, contentType string) int {
		resp, _ := f.do("POST", "/upload/drive/v3/files?uploadType=multipart", strings.NewReader(body), "Content-Type",
			contentType)
		return resp.StatusCode
	}
	const related = "multipart/related; boundary=b"
	for _, bad := range []string{"", "--b\r\n", good[:len(good)-20], good[:len(good)-6], strings.Replace(good, `"x"`, `"x`,
		1),
		strings.Replace(good, "--b--", "--b\r\n\r\nmore\r\n--b--", 1)} {
		require.Equal(t, 400, send(bad, related), "%q", bad)
	}
	require.Equal(t, 400, send(good, "text/plain"))
	require.Empty(t, f.names(""))
	require.Equal(t, 413, send(strings.Replace(good, `"x"`, `"`+strings.Repeat("x", 2<<20)+`"`, 1), related))
	require.Empty(t, f.names(""))
	require.Equal(t, 200, send(good, related))
	require.Equal(t, []string{"x"}, f.names(""))
}

func TestFD032(t *testing.T) {
	f := newFake(t, "")
	x := f.create("x", "", "1")
	for _, body := range []string{`{"size":"3"}`, `{"md5Checksum":"x"}`, `{"parents":["root"]}`, `{"id":"other"}`,
		`{"createdTime":"2020-01-01T00:00:00Z"}`} {
		resp, reply := f.do("PATCH", "/drive/v3/files/"+x.Id, strings.NewReader(body), "Content-Type", "application/json")
		require.Equal(t, 403, resp.StatusCode, body)
		require.Contains(t, reply, "fieldNotWritable", body)
	}
	resp, _ := f.do("PATCH", "/drive/v3/files/"+x.Id, strings.NewReader(`{"modifiedTime":"yesterday"}`))
	require.Equal(t, 400, resp.StatusCode)
	resp, _ = f.do("PATCH", "/drive/v3/files/"+x.Id,
		strings.NewReader(`{"name":"y","kind":"drive#file","properties":{"a":"b"}}`))
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, []string{"y"}, f.names("properties has { key='a' and value='b' }"))
}
