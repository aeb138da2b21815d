package resource

import (
	"net/url"
	"strings"
	"time"

	"github.com/memsoak/memsoak/fakedrive/internal/fieldmask"
)

type fieldDef struct {
	name  string
	value appender
}

// text makes the appender of a string that is absent when empty.
func text(get func(*File) string) appender {
	return func(_ *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		s := get(f)
		if s == "" {
			return b, false
		}
		return AppendString(b, s), true
	}
}

func stamp(get func(*File) time.Time) appender {
	return func(_ *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		t := get(f)
		if t.IsZero() {
			return b, false
		}
		return AppendTime(b, t), true
	}
}

func flag(get func(*File) bool) appender {
	return func(_ *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		return appendBool(b, get(f)), true
	}
}

// binary makes the appender of a field that only files with content of their own have.
func binary(value func(e *Encoder, b []byte, f *File) []byte) appender {
	return func(e *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		if f.Content == nil || f.IsDocument() {
			return b, false
		}
		return value(e, b, f), true
	}
}

// fileFields are the fields of a file in the order in which they are written.
var fileFields = []fieldDef{
	{"kind", func(_ *Encoder, b []byte, _ *File, _ *fieldmask.Mask) ([]byte, bool) {
		return append(b, `"drive#file"`...), true
	}},
	{"id", text(func(f *File) string { return f.ID })},
	{"name", func(_ *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		return AppendString(b, f.Name), true
	}},
	{"mimeType", text(func(f *File) string { return f.MimeType })},
	{"description", text(func(f *File) string { return f.Description })},
	{"starred", flag(func(f *File) bool { return f.Starred })},
	{"trashed", flag(func(f *File) bool { return f.Trashed })},
	{"explicitlyTrashed", flag(func(f *File) bool { return f.ExplicitlyTrashed })},
	{"trashedTime", stamp(func(f *File) time.Time { return f.TrashedAt })},
	{"parents", appendParents},
	{"properties", func(_ *Encoder, b []byte, f *File, m *fieldmask.Mask) ([]byte, bool) {
		return appendStrings(b, f.Properties, m), len(f.Properties) > 0
	}},
	{"appProperties", func(_ *Encoder, b []byte, f *File, m *fieldmask.Mask) ([]byte, bool) {
		return appendStrings(b, f.AppProperties, m), len(f.AppProperties) > 0
	}},
	{"spaces", func(_ *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		space := f.Space
		if space == "" {
			space = "drive"
		}
		return append(AppendString(append(b, '['), space), ']'), true
	}},
	{"version", func(_ *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		return appendCount(b, max(f.Version, 1)), true
	}},
	{"webContentLink", func(e *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		if f.Content == nil || f.IsDocument() {
			return b, false
		}
		return AppendString(b, e.env.ContentLink(f)), true
	}},
	{"webViewLink", func(_ *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		return appendViewLink(b, f), true
	}},
	{"iconLink", func(_ *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		return AppendString(b, "https://drive-thirdparty.googleusercontent.com/16/type/"+f.MimeType), true
	}},
	{"hasThumbnail", flag(func(*File) bool { return false })},
	{"thumbnailVersion", func(_ *Encoder, b []byte, _ *File, _ *fieldmask.Mask) ([]byte, bool) {
		return append(b, `"0"`...), true
	}},
	{"viewedByMe", flag(func(f *File) bool { return !f.Viewed.IsZero() })},
	{"viewedByMeTime", stamp(func(f *File) time.Time { return f.Viewed })},
	{"createdTime", stamp(func(f *File) time.Time { return f.Created })},
	{"modifiedTime", stamp(func(f *File) time.Time { return f.Modified })},
	{"modifiedByMeTime", func(e *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		t := f.ModifiedByMe(&e.env.Me)
		return AppendTime(b, t), !t.IsZero()
	}},
	{"modifiedByMe", func(e *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		return appendBool(b, !f.ModifiedByMe(&e.env.Me).IsZero()), true
	}},
	{"sharedWithMeTime", stamp(func(f *File) time.Time { return f.SharedAt })},
	{"sharingUser", func(_ *Encoder, b []byte, f *File, m *fieldmask.Mask) ([]byte, bool) {
		if !f.SharedWithMe || f.Owner == nil {
			return b, false
		}
		return appendUser(b, f.Owner, m), true
	}},
	{"owners", func(_ *Encoder, b []byte, f *File, m *fieldmask.Mask) ([]byte, bool) {
		if f.Owner == nil || f.DriveID != "" {
			return b, false
		}
		return append(appendUser(append(b, '['), f.Owner, m), ']'), true
	}},
	{"driveId", text(func(f *File) string { return f.DriveID })},
	{"teamDriveId", text(func(f *File) string { return f.DriveID })},
	{"lastModifyingUser", func(e *Encoder, b []byte, f *File, m *fieldmask.Mask) ([]byte, bool) {
		return appendUser(b, f.LastModifier(&e.env.Me), m), true
	}},
	{"shared", flag((*File).Shared)},
	{"ownedByMe", flag(ownedByMe)},
	{"capabilities", appendCapabilities},
	{"viewersCanCopyContent", flag(func(f *File) bool { return !f.NoCopy })},
	{"copyRequiresWriterPermission", flag(func(f *File) bool { return f.NoCopy })},
	{"writersCanShare", flag(func(f *File) bool { return !f.NoShare })},
	{"permissions", func(e *Encoder, b []byte, f *File, m *fieldmask.Mask) ([]byte, bool) {
		if f.DriveID != "" || !f.MayShare(&e.env.Me) {
			return b, false // Drive shows permissions only to who may share, and never of a shared drive's items
		}
		return appendValue(b, f.AllPermissions(&e.env.Me), m), true
	}},
	{"permissionIds", func(e *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		if !f.MayShare(&e.env.Me) {
			return b, false
		}
		b = append(b, '[')
		for i, p := range f.AllPermissions(&e.env.Me) {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendString(b, p.ID)
		}
		return append(b, ']'), true
	}},
	{"folderColorRgb", func(_ *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		if !f.IsFolder() {
			return b, false
		}
		if f.FolderColor != "" {
			return AppendString(b, f.FolderColor), true
		}
		return append(b, `"#8f8f8f"`...), true
	}},
	{"originalFilename", binary(func(_ *Encoder, b []byte, f *File) []byte {
		if f.OriginalFilename != "" {
			return AppendString(b, f.OriginalFilename)
		}
		return AppendString(b, f.Name)
	})},
	{"fullFileExtension", binary(func(_ *Encoder, b []byte, f *File) []byte {
		_,
			full := f.Extension()
		return AppendString(b, full)
	})},
	{"fileExtension", binary(func(_ *Encoder, b []byte, f *File) []byte {
		ext, _ := f.Extension()
		return AppendString(b, ext)
	})},
	{"md5Checksum", binary(func(e *Encoder, b []byte, _ *File) []byte { return appendHex(b, e.sums.MD5[:]) })},
	{"sha1Checksum", binary(func(e *Encoder, b []byte, _ *File) []byte { return appendHex(b, e.sums.SHA1[:]) })},
	{"sha256Checksum", binary(func(e *Encoder, b []byte, _ *File) []byte { return appendHex(b, e.sums.SHA256[:]) })},
	{"size", func(_ *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		n, ok := f.Size()
		return appendCount(b, n), ok
	}},
	{"quotaBytesUsed", func(_ *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		n, _ := f.Size()
		return appendCount(b, n), true
	}},
	{"headRevisionId", binary(func(_ *Encoder, b []byte, f *File) []byte { return AppendString(b, f.HeadRevisionID()) })},
	{"isAppAuthorized", flag(func(*File) bool { return true })},
	{"shortcutDetails", appendShortcut},
	{"exportLinks", appendExportLinks},
	{"resourceKey", text(func(f *File) string { return f.ResourceKey })},
	{"linkShareMetadata", func(_ *Encoder, b []byte, f *File, m *fieldmask.Mask) ([]byte, bool) {
		v := map[string]bool{"securityUpdateEligible": f.ResourceKey != "", "securityUpdateEnabled": f.ResourceKey != ""}
		return appendValue(b, v, m), true
	}},
	{"contentRestrictions", func(_ *Encoder, b []byte, f *File, m *fieldmask.Mask) ([]byte, bool) {
		if len(f.Restrictions) == 0 {
			return b, false
		}
		return appendRaw(b, f.Restrictions, m), true
	}},
	{"hasAugmentedPermissions", func(_ *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
		return append(b, "false"...), f.DriveID != ""
	}},
	{"inheritedPermissionsDisabled", flag(func(*File) bool { return false })},
}

func ownedByMe(f *File) bool { return f.DriveID == "" && f.Owner != nil && f.Owner.Me }

func appendParents(_ *Encoder, b []byte, f *File, _ *fieldmask.Mask) ([]byte, bool) {
	if f.Parent == "" {
		return b, false
	}
	b = AppendString(append(b, '['), f.Parent)
	return append(b, ']'), true
}

// viewLinks are where the web interface shows what needs an editor of its own.
var viewLinks = map[string][2]string{
	Folder:       {"https://drive.google.com/drive/folders/", ""},
	Document:     {"https://docs.google.com/document/d/", "/edit?usp=drivesdk"},
	Spreadsheet:  {"https://docs.google.com/spreadsheets/d/", "/edit?usp=drivesdk"},
	Presentation: {"https://docs.google.com/presentation/d/", "/edit?usp=drivesdk"},
	Drawing:      {"https://docs.google.com/drawings/d/", "/edit?usp=drivesdk"},
}

func appendViewLink(b []byte, f *File) []byte {
	link := [2]string{"https://drive.google.com/file/d/", "/view?usp=drivesdk"}
	if strings.HasPrefix(f.MimeType, AppPrefix) {
		if special, ok := viewLinks[f.MimeType]; ok {
			link = special
		}
	}
	b = append(append(b, '"'), link[0]...)
	b = appendText(b, f.ID)
	return append(append(b, link[1]...), '"')
}

func appendShortcut(_ *Encoder, b []byte, f *File, m *fieldmask.Mask) ([]byte, bool) {
	if !f.IsShortcut() {
		return b, false
	}
	v := map[string]string{"targetId": f.TargetID, "targetMimeType": f.TargetMimeType}
	if f.TargetKey != "" {
		v["targetResourceKey"] = f.TargetKey
	}
	return appendStrings(b, v, m), true
}

func appendExportLinks(e *Encoder, b []byte, f *File, m *fieldmask.Mask) ([]byte, bool) {
	if !strings.HasPrefix(f.MimeType, AppPrefix) {
		return b, false
	}
	formats := e.env.Exports[f.MimeType]
	if len(formats) == 0 {
		return b, false
	}
	links := make(map[string]string, len(formats))
	for _, mime := range formats {
		links[mime] = e.env.ExportLink(f, mime)
	}
	return appendStrings(b, links, m), true
}

// HeadRevisionID is the id of the revision that a download gets.
func (f *File) HeadRevisionID() string {
	if f.HeadRevision != "" {
		return f.HeadRevision
	}
	return "0B" + url.PathEscape(f.ID) // of a file that was never written to: one revision, as old as the file
}
