package resource

import (
	"strconv"

	"github.com/memsoak/memsoak/fakedrive/internal/fieldmask"
)

// Where a capability holds, as bits.
const (
	onFile = 1 << iota // files with content, documents and shortcuts
	onFolder
	inShared // only in shared drives
	inMine   // only in My Drive
	onTrash  // only in the trash
	reading  // to who may only read as well
)

// capabilities lists every capability of the discovery document with where an owner has it. 0 is never.
var capabilities = []struct {
	name  string
	where int
}{
	{"canAcceptOwnership", 0},
	{"canAddChildren", onFolder},
	{"canAddFolderFromAnotherDrive", 0},
	{"canAddMyDriveParent", 0},
	{"canChangeCopyRequiresWriterPermission", onFile | onFolder},
	{"canChangeItemDownloadRestriction", onFile},
	{"canChangeSecurityUpdateEnabled", 0},
	{"canChangeViewersCanCopyContent", onFile},
	{"canComment", onFile | onFolder},
	{"canCopy", onFile | reading},
	{"canDelete", onFile | onFolder},
	{"canDeleteChildren", onFolder | inShared},
	{"canDisableInheritedPermissions", onFolder},
	{"canDownload", onFile | reading},
	{"canEdit", onFile | onFolder},
	{"canEnableInheritedPermissions", 0},
	{"canListChildren", onFolder | reading},
	{"canModifyContent", onFile | onFolder},
	{"canModifyContentRestriction", onFile},
	{"canModifyEditorContentRestriction", onFile},
	{"canModifyLabels", onFile},
	{"canModifyOwnerContentRestriction", onFile},
	{"canMoveChildrenOutOfDrive", onFolder | inShared},
	{"canMoveChildrenOutOfTeamDrive", onFolder | inShared},
	{"canMoveChildrenWithinDrive", onFolder},
	{"canMoveChildrenWithinTeamDrive", onFolder | inShared},
	{"canMoveItemIntoTeamDrive", onFile},
	{"canMoveItemOutOfDrive", onFile | onFolder},
	{"canMoveItemOutOfTeamDrive", onFile | onFolder | inShared},
	{"canMoveItemWithinDrive", onFile | onFolder},
	{"canMoveItemWithinTeamDrive", onFile | onFolder | inShared},
	{"canMoveTeamDriveItem", onFile | onFolder | inShared},
	{"canReadDrive", onFile | onFolder | inShared},
	{"canReadLabels", onFile},
	{"canReadRevisions", onFile},
	{"canReadTeamDrive", onFile | onFolder | inShared},
	{"canRemoveChildren", onFolder | inMine},
	{"canRemoveContentRestriction", 0},
	{"canRemoveMyDriveParent", onFile | onFolder | inMine},
	{"canRename", onFile | onFolder},
	{"canShare", onFile | onFolder},
	{"canStartApproval", onFile},
	{"canTrash", onFile | onFolder},
	{"canTrashChildren", onFolder | inShared},
	{"canUntrash", onFile | onFolder | onTrash},
}

// appendCapabilities appends what the user, an owner or a shared drive's organizer, may do.
func appendCapabilities(_ *Encoder, b []byte, f *File, m *fieldmask.Mask) ([]byte, bool) {
	b = append(b, '{')
	empty := true
	for _, c := range capabilities {
		if !m.Has(c.name) {
			continue
		}
		if !empty {
			b = append(b, ',')
		}
		empty = false
		b = append(append(append(b, '"'), c.name...), '"', ':')
		b = strconv.AppendBool(b, capable(f, c.where))
	}
	return append(b, '}'), true
}

func capable(f *File, where int) bool {
	kind := onFile
	if f.IsFolder() {
		kind = onFolder
	}
	switch {
	case where&kind == 0,
		where&onTrash != 0 && !f.ExplicitlyTrashed,
		where&inShared != 0 && f.DriveID == "",
		where&inMine != 0 && f.DriveID != "",
		f.SharedWithMe && where&reading == 0:
		return false
	}
	return true
}
