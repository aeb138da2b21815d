package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/corpus"
)

const treeFile = "testdata/tree.yaml"

// remotes is an rclone configuration: a Drive with a token that needs no refresh, and perhaps a sink.
func remotes(t *testing.T, extra string, sink *server) string {
	t.Helper()
	conf := `[drive]
type = drive
scope = drive
client_id = id
client_secret = secret
token = {"access_token":"static","token_type":"Bearer","refresh_token":"refresh","expiry":"2036-01-01T00:00:00Z"}
pacer_min_sleep = 1ms
` + extra
	if sink != nil {
		conf += fmt.Sprintf("[sink]\ntype = s3\nprovider = Other\nendpoint = %s\naccess_key_id = k\nsecret_access_key = s\n"+
			"force_path_style = true\n", sink.HTTP)
	}
	file := filepath.Join(t.TempDir(), "rclone.conf")
	require.NoError(t, os.WriteFile(file, []byte(conf), 0o600))
	return file
}

// rclone returns a function that runs rclone with a configuration against a Drive.
func rclone(t *testing.T, s *server, conf string) func(args ...string) string {
	t.Helper()
	path, err := rclonePath()
	require.NoError(t, err)
	return func(args ...string) string {
		t.Helper()
		return run(t, s.env(), "", path, append([]string{"--config", conf, "--ca-cert", s.CAFile}, args...)...)
	}
}

// rcloneItem is an entry of rclone lsjson.
type rcloneItem struct {
	Path, Name, ID string
	Size           int64
	IsDir          bool
	Hashes         map[string]string
}

func parseItems(t *testing.T, text string) []rcloneItem {
	t.Helper()
	var items []rcloneItem
	require.NoError(t, json.Unmarshal([]byte(text), &items))
	return items
}

// visible counts the files and folders that a client lists below the root if it leaves dangling shortcuts out.
func visible(tr *corpus.Tree) (files, folders int) {
	for it := range tr.All() {
		switch {
		case it.Trashed || it.Ordinal == 0 || it.Dangling(tr.Len()):
		case it.Kind == corpus.Folder:
			folders++
		default:
			files++
		}
	}
	return files, folders
}

func TestRcloneListsEverything(t *testing.T) {
	wanted(t)
	s := startDrive(t, treeFile)
	rc := rclone(t, s, remotes(t, "", nil))
	tr := tree(t, treeFile)
	files, folders := visible(tr)

	items := parseItems(t, rc("lsjson", "-R", "--hash", "--drive-skip-dangling-shortcuts", "drive:"))
	gotFiles, gotFolders, hashed := 0, 0, 0
	for _, x := range items {
		if x.IsDir {
			gotFolders++
			continue
		}
		gotFiles++
		id, _, _ := strings.Cut(x.ID, "\t") // rclone's ids of shortcuts name both ends
		n, ok := tr.Ordinal(id)
		require.True(t, ok, "%s: id %q", x.Path, x.ID)
		it := tr.Item(n)
		if it.Kind != corpus.Binary {
			continue
		}
		sums := tr.Sums(n, corpus.AllHashes)
		require.Equal(t, it.Size, x.Size, x.Path)
		require.Equal(t, map[string]string{"md5": sums.MD5Hex(), "sha1": fmt.Sprintf("%x", sums.SHA1),
			"sha256": fmt.Sprintf("%x", sums.SHA256)}, x.Hashes, x.Path)
		hashed++
	}
	require.Equal(t, folders, gotFolders)
	require.Equal(t, files, gotFiles)
	require.NotZero(t, hashed)

	for _, fast := range []string{"--fast-list", "--disable=ListR"} {
		lines := strings.Split(strings.TrimSpace(rc("lsf", "-R", fast, "--drive-skip-dangling-shortcuts", "drive:")), "\n")
		require.Len(t, lines, files+folders, fast)
	}

	var size struct{ Count, Bytes, Sizeless int64 }
	require.NoError(t, json.Unmarshal([]byte(rc("size", "--json", "--drive-skip-dangling-shortcuts", "drive:")), &size))
	require.EqualValues(t, files, size.Count)
	var sum int64
	for _, x := range items {
		if !x.IsDir && x.Size > 0 {
			sum += x.Size
		}
	}
	require.Equal(t, sum, size.Bytes)

	var about struct{ Used, Trashed, Total int64 }
	require.NoError(t, json.Unmarshal([]byte(rc("about", "--json", "drive:")), &about))
	// Workspace files and the trash use the quota as well; the agreement test of package fakedrive compares it to the
	// byte.
	require.GreaterOrEqual(t, about.Used, tr.Stats().Bytes)
	require.LessOrEqual(t, about.Used, tr.Stats().Bytes+about.Trashed+tr.Stats().Bytes/10)
	require.Greater(t, about.Total, about.Used)
	s.understood()
}

func TestRcloneCopiesToTheSink(t *testing.T) {
	wanted(t)
	s := startDrive(t, treeFile)
	sink := start(t, "soak", "fakes3", "serve", "--listen", "127.0.0.1:0", "--bucket", "plain", "--bucket", "fast",
		"--bucket", "streams")
	rc := rclone(t, s, remotes(t, "", sink))
	for bucket, flags := range map[string][]string{
		"plain": {"--disable", "ListR", "--multi-thread-streams", "0"},
		"fast":  {"--fast-list", "--checkers", "16"},
		"streams": {"--multi-thread-cutoff", "8M", "--multi-thread-streams", "4", "--multi-thread-chunk-size", "8M",
			"--s3-upload-cutoff", "8M", "--s3-chunk-size", "5M"},
	} {
		t.Run(bucket, func(t *testing.T) {
			common := []string{"--drive-skip-dangling-shortcuts", "--retries", "1", "--s3-no-check-bucket"}
			rc(append(append([]string{"copy", "drive:", "sink:" + bucket, "--transfers", "8"}, common...), flags...)...)
			rc(append([]string{"check", "drive:", "sink:" + bucket}, common...)...)
			docs := 0
			for _, x := range parseItems(t, rc("lsjson", "-R", "--files-only", "sink:"+bucket)) {
				switch filepath.Ext(x.Name) {
				case ".docx", ".xlsx", ".pptx":
					docs++
				}
			}
			require.GreaterOrEqual(t, docs, 20, "documents are exported")
		})
	}
	s.understood()
}

func TestRcloneSeesSharedDrivesTrashAndWhatIsShared(t *testing.T) {
	wanted(t)
	s := startDrive(t, treeFile, "--add", "testdata/team.yaml")
	rc := rclone(t, s, remotes(t, "", nil))
	var drives []struct{ ID, Name string }
	require.NoError(t, json.Unmarshal([]byte(rc("backend", "drives", "drive:")), &drives))
	require.Len(t, drives, 1)
	require.Equal(t, "Team", drives[0].Name)

	team := tree(t, "testdata/team.yaml")
	files, folders := visible(team)
	items := parseItems(t, rc("lsjson", "-R", "--drive-team-drive", drives[0].ID, "--drive-root-folder-id", "", "drive:"))
	require.Len(t, items, files+folders)
	rc("about", "--drive-team-drive", drives[0].ID, "drive:")

	mine := tree(t, treeFile)
	shared := parseItems(t, rc("lsjson", "--drive-shared-with-me", "drive:"))
	starred := parseItems(t, rc("lsjson", "--drive-starred-only", "drive:"))
	wantShared, wantStarred := 0, 0
	for it := range mine.All() {
		if it.Trashed || it.Dangling(mine.Len()) {
			continue
		}
		if it.SharedWithMe {
			wantShared++
		}
		if it.Starred {
			wantStarred++
		}
	}
	require.Len(t, shared, wantShared)
	require.Len(t, starred, wantStarred)

	trashed := parseItems(t, rc("lsjson", "-R", "--files-only", "--drive-trashed-only", "--drive-skip-dangling-shortcuts",
		"drive:"))
	require.NotEmpty(t, trashed)
	for _, x := range trashed {
		n, ok := mine.Ordinal(x.ID)
		require.True(t, ok)
		require.True(t, mine.Item(n).Trashed, x.Path)
	}
	s.understood()
}
