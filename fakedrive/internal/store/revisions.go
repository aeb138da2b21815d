package store

import (
	"time"

	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// Revision is one content that a file had.
type Revision struct {
	ID               string
	Modified         time.Time
	MimeType         string
	OriginalFilename string
	Content          resource.Content
	KeepForever      bool
}
