package fakedrive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/memsoak/memsoak/fakedrive/internal/resource"
	"github.com/memsoak/memsoak/fakedrive/internal/store"
)

// Bounds of a file's metadata.
const (
	maxMetadata      = 1 << 20 // bytes of JSON
	maxName          = 32 << 10
	maxDescription   = 256 << 10
	maxPropertyBytes = 124 // key and value of a property
	maxProperties    = 100
)

// metadata is a file's resource as a client sends it: an absent field is not changed.
type metadata struct {
	ID                           *string            `json:"id"`
	Name                         *string            `json:"name"`
	MimeType                     *string            `json:"mimeType"`
	Description                  *string            `json:"description"`
	Starred                      *bool              `json:"starred"`
	Trashed                      *bool              `json:"trashed"`
	Parents                      *[]string          `json:"parents"`
	Properties                   map[string]*string `json:"properties"`
	AppProperties                map[string]*string `json:"appProperties"`
	CreatedTime                  *stampJSON         `json:"createdTime"`
	ModifiedTime                 *stampJSON         `json:"modifiedTime"`
	ViewedByMeTime               *stampJSON         `json:"viewedByMeTime"`
	OriginalFilename             *string            `json:"originalFilename"`
	FolderColorRgb               *string            `json:"folderColorRgb"`
	CopyRequiresWriterPermission *bool              `json:"copyRequiresWriterPermission"`
	ViewersCanCopyContent        *bool              `json:"viewersCanCopyContent"`
	WritersCanShare              *bool              `json:"writersCanShare"`
	ContentRestrictions          json.RawMessage    `json:"contentRestrictions"`
	ShortcutDetails              *struct {
		TargetID string `json:"targetId"`
	} `json:"shortcutDetails"`
}

// stampJSON is a time in RFC 3339.
type stampJSON struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (s *stampJSON) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return fmt.Errorf("%q is not an RFC 3339 time", text)
	}
	s.Time = t.UTC().Truncate(time.Millisecond)
	return nil
}

// readOnly are the fields that Drive refuses in a request, of those that it shows.
var readOnly = set(`capabilities driveId exportLinks fileExtension fullFileExtension hasAugmentedPermissions
	hasThumbnail headRevisionId iconLink isAppAuthorized lastModifyingUser md5Checksum modifiedByMe modifiedByMeTime
	ownedByMe owners permissionIds permissions quotaBytesUsed resourceKey sha1Checksum sha256Checksum shared
	sharedWithMeTime sharingUser size spaces teamDriveId thumbnailLink thumbnailVersion trashedTime trashingUser
	version viewedByMe webContentLink webViewLink explicitlyTrashed`)

// parseMetadata reads a file's resource.
func parseMetadata(raw []byte) (*metadata, error) {
	m := &metadata{}
	if len(bytes.TrimSpace(raw)) == 0 {
		return m, nil
	}
	var names map[string]json.RawMessage
	if err := json.Unmarshal(raw, &names); err != nil {
		return nil, errParse(err)
	}
	for name := range names {
		if readOnly[name] {
			e := errForbidden("fieldNotWritable", "The resource body includes fields which are not directly writable.")
			e.detail = name
			return nil, e
		}
	}
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, errParse(err)
	}
	return m, m.check()
}

func (m *metadata) check() error {
	switch {
	case m.Name != nil && len(*m.Name) > maxName:
		return errInvalid("name", fmt.Errorf("the name is longer than %d bytes", maxName))
	case m.Description != nil && len(*m.Description) > maxDescription:
		return errInvalid("description", fmt.Errorf("the description is longer than %d bytes", maxDescription))
	case len(m.ContentRestrictions) > maxMetadata/16:
		return errInvalid("contentRestrictions", errors.New("too long"))
	case m.Parents != nil && len(*m.Parents) > 1:
		return errInvalidParents("multipleParentsNotAllowed",
			"A shared drive item must have exactly one parent, and other items at most one.")
	}
	for _, kv := range []map[string]*string{m.Properties, m.AppProperties} {
		for k, v := range kv {
			if v != nil && len(k)+len(*v) > maxPropertyBytes {
				return errForbidden("propertyTooLong", "The key and the value of a property have more than 124 bytes.")
			}
		}
	}
	return nil
}

func errInvalidParents(reason, message string) *apiError {
	e := errForbidden(reason, message)
	e.location, e.locationType = "parents", "parameter"
	return e
}

// apply puts what the client sent into a file.
func (m *metadata) apply(f *resource.File, now time.Time) error {
	setText(&f.Name, m.Name)
	setText(&f.Description, m.Description)
	setText(&f.OriginalFilename, m.OriginalFilename)
	setText(&f.FolderColor, m.FolderColorRgb)
	if m.Starred != nil {
		f.Starred = *m.Starred
	}
	if m.Trashed != nil && *m.Trashed != f.ExplicitlyTrashed {
		f.ExplicitlyTrashed, f.TrashedAt = *m.Trashed, time.Time{}
		if f.ExplicitlyTrashed {
			f.TrashedAt = now
		}
	}
	if m.CopyRequiresWriterPermission != nil {
		f.NoCopy = *m.CopyRequiresWriterPermission
	} else if m.ViewersCanCopyContent != nil {
		f.NoCopy = !*m.ViewersCanCopyContent
	}
	if m.WritersCanShare != nil {
		f.NoShare = !*m.WritersCanShare
	}
	if m.ContentRestrictions != nil {
		f.Restrictions = m.ContentRestrictions
	}
	if m.ModifiedTime != nil {
		f.Modified = m.ModifiedTime.Time
	}
	if m.ViewedByMeTime != nil {
		f.Viewed = m.ViewedByMeTime.Time
	}
	f.Properties = mergeProperties(f.Properties, m.Properties)
	f.AppProperties = mergeProperties(f.AppProperties, m.AppProperties)
	if len(f.Properties)+len(f.AppProperties) > maxProperties {
		return errForbidden("propertyLimitExceeded", "The file has too many properties.")
	}
	return nil
}

func setText(into, from *string) {
	if from != nil {
		*into = strings.ToValidUTF8(*from, "\ufffd")
	}
}

// mergeProperties returns the properties with the changes: null removes one.
func mergeProperties(old map[string]string, change map[string]*string) map[string]string {
	if len(change) == 0 {
		return old
	}
	merged := maps.Clone(old)
	if merged == nil {
		merged = map[string]string{}
	}
	for k, v := range change {
		if v == nil {
			delete(merged, k)
		} else {
			merged[k] = *v
		}
	}
	return merged
}

// storeError is the reply to a change that the store refuses; id is the file's, parent the folder's it was to go into.
func storeError(err error, id, parent string) error {
	var e *apiError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, store.ErrNotFound):
		return errNotFound(id)
	case errors.Is(err, store.ErrNoParent):
		return errNotFound(parent)
	case errors.Is(err, store.ErrNotFolder):
		return errInvalidParents("parentNotAFolder", "The specified parent is not a folder.")
	case errors.Is(err, store.ErrExists):
		return &apiError{status: 409, reason: "fileIdInUse", message: "A file already exists with the provided ID."}
	case errors.Is(err, store.ErrCycle):
		return errInvalidParents("cyclicParent", "A folder cannot be moved into itself or into a folder below it.")
	case errors.Is(err, store.ErrOtherSide):
		return errForbidden("teamDrivesFolderMoveInNotSupported",
			"Moving folders between My Drive and shared drives is not supported.")
	case errors.Is(err, store.ErrRoot):
		return errReason("insufficientFilePermissions")
	case errors.Is(err, store.ErrFull):
		return errReason("storageQuotaExceeded")
	}
	return err
}
