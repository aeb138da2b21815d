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
	owning   // only to the owner, or in a shared drive
	noRoot   // not on a root
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
	{"canDelete", onFile | onFolder | owning | noRoot},
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
	{"canMoveItemIntoTeamDrive", onFile | owning},
	{"canMoveItemOutOfDrive", onFile | onFolder | owning | noRoot},
	{"canMoveItemOutOfTeamDrive", onFile | onFolder | inShared | noRoot},
	{"canMoveItemWithinDrive", onFile | onFolder | noRoot},
	{"canMoveItemWithinTeamDrive", onFile | onFolder | inShared | noRoot},
	{"canMoveTeamDriveItem", onFile | onFolder | inShared | noRoot},
	{"canReadDrive", onFile | onFolder | inShared},
	{"canReadLabels", onFile},
	{"canReadRevisions", onFile},
	{"canReadTeamDrive", onFile | onFolder | inShared},
	{"canRemoveChildren", onFolder | inMine},
	{"canRemoveContentRestriction", 0},
	{"canRemoveMyDriveParent", onFile | onFolder | inMine | noRoot},
	{"canRename", onFile | onFolder},
	{"canShare", onFile | onFolder},
	{"canStartApproval", onFile},
	{"canTrash", onFile | onFolder | owning | noRoot},
	{"canTrashChildren", onFolder | inShared},
	{"canUntrash", onFile | onFolder | onTrash | owning},
}

// appendCapabilities appends what the account may do.
func appendCapabilities(e *Encoder, b []byte, f *File, m *fieldmask.Mask) ([]byte, bool) {
	b = append(b, '{')
	empty, access, share := true, f.Access(&e.env.Me), f.MayShare(&e.env.Me)
	for _, c := range capabilities {
		if !m.Has(c.name) {
			continue
		}
		if !empty {
			b = append(b, ',')
		}
		empty = false
		b = append(append(append(b, '"'), c.name...), '"', ':')
		b = strconv.AppendBool(b, capable(f, c.where, access) && (share || c.name != "canShare"))
	}
	return append(b, '}'), true
}

func capable(f *File, where int, access Access) bool {
	kind := onFile
	if f.IsFolder() {
		kind = onFolder
	}
	switch {
	case where&kind == 0,
		where&onTrash != 0 && !f.ExplicitlyTrashed,
		where&inShared != 0 && f.DriveID == "",
		where&inMine != 0 && f.DriveID != "",
		access < Writes && where&reading == 0,
		access < Owns && where&owning != 0,
		f.Root && where&noRoot != 0:
		return false
	}
	return true
}
