// Package migrator copies a Google Drive tree to an S3 bucket with memory bounded by the number of workers, never by
// the number of files, the shape of the tree or the size of a file.
//
// A [Copier] ties three parts together, each behind a small interface:
//
//   - a [Source] lists folders page by page and opens file contents at an offset (internal/drive: Drive v3);
//   - a [Sink] stores objects and looks them up (internal/s3: any S3-compatible store);
//   - a [Queue] holds everything between discovery and transfer, outside of memory (internal/queue: segments on disk).
//
// Discovery workers take folders from the queue and put the folders and files of one page back; transfer workers take
// files and stream each from GET to PUT. Keys depend on the tree alone ([Namer]), so that work done twice after a
// crash ends in the same object. The package wire assembles a Copier of the real parts from settings.
//
// The package is not a general sync tool: it never deletes anything on either side.
package migrator
