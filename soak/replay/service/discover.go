package service

import (
	"context"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	gdrive "google.golang.org/api/drive/v3"
)

// file is what the service remembers of a file until all are uploaded.
type file struct {
	id    string
	name  string
	path  string // below the prefix, or the whole key
	mime  string
	md5   string
	size  int64
	whole bool // path is the whole key
}

// tree is what discovery found: all of it, before the first upload.
type tree struct {
	mu    sync.Mutex
	files []*file
	paths map[string]string // of folders, by id
}

const (
	folderType = "application/vnd.google-apps.folder"
	googleType = "application/vnd.google-apps."
)

// discover lists everything below root with so many concurrent listings, one level of folders after the other.
func discover(ctx context.Context, drive *gdrive.FilesService, root string, workers int) (*tree, error) {
	t := &tree{paths: map[string]string{root: ""}}
	for todo := []string{root}; len(todo) > 0; {
		var err error
		if todo, err = t.level(ctx, drive, todo, workers); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// level lists folders and returns those below them.
func (t *tree) level(ctx context.Context, drive *gdrive.FilesService, folders []string, workers int) ([]string, error) {
	var mu sync.Mutex
	var found []string
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, id := range folders {
		g.Go(func() error {
			below, err := t.list(ctx, drive, id)
			mu.Lock()
			defer mu.Unlock()
			found = append(found, below...)
			return err
		})
	}
	return found, g.Wait()
}

// list adds the children of a folder to the tree and returns those that are folders.
func (t *tree) list(ctx context.Context, drive *gdrive.FilesService, folder string) (below []string, err error) {
	call := drive.List().Q("'"+folder+"' in parents and trashed = false").PageSize(1000).
		Fields("nextPageToken", "files(id,name,mimeType,size,md5Checksum)").
		IncludeItemsFromAllDrives(true).SupportsAllDrives(true)
	err = call.Pages(ctx, func(page *gdrive.FileList) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		at := t.paths[folder]
		for _, f := range page.Files {
			switch {
			case f.MimeType == folderType:
				t.addFolder(f.Id, at+f.Name+"/")
				below = append(below, f.Id)
			case !strings.HasPrefix(f.MimeType, googleType):
				t.addFile(f, at)
			}
		}
		return nil
	})
	return below, err
}

// addFolder remembers where a folder is.
func (t *tree) addFolder(id, path string) { t.paths[id] = path }

// addFile remembers a file.
func (t *tree) addFile(f *gdrive.File, at string) {
	t.files = append(t.files, &file{id: f.Id, name: f.Name, path: at + f.Name, mime: f.MimeType, md5: f.Md5Checksum,
		size: f.Size})
}
