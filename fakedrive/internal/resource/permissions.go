package resource

import (
	"slices"
	"strings"
	"time"
)

// Access is what the account may do with a file.
type Access int

// The kinds of access, each with all that the ones before it allow.
const (
	NoAccess Access = iota
	Reads
	Writes
	Owns
)

// Access says what me may do with the file: as its owner or as organizer of its shared drive everything, else what the
// permission says.
func (f *File) Access(me *User) Access {
	switch {
	case f.SharedWithMe:
		return Reads
	case f.DriveID != "" || f.Owner == nil || f.Owner.Me:
		return Owns
	}
	best := NoAccess
	for i := range f.Permissions {
		switch p := &f.Permissions[i]; {
		case !strings.EqualFold(p.EmailAddress, me.Email):
		case slices.Contains(writeRoles, p.Role):
			return Writes
		default:
			best = Reads
		}
	}
	return best
}

// MayShare says whether me sees and changes the permissions of the file.
func (f *File) MayShare(me *User) bool {
	a := f.Access(me)
	return a == Owns || a == Writes && !f.NoShare
}

// LastModifier is who changed the file last.
func (f *File) LastModifier(me *User) *User {
	if f.DriveID != "" || f.Owner == nil {
		return me
	}
	return f.Owner
}

// ModifiedByMe is the time of me's last change; zero without one.
func (f *File) ModifiedByMe(me *User) time.Time {
	if !f.LastModifier(me).Me {
		return time.Time{}
	}
	return f.Modified
}

// ownerPermission is the permission that comes with owning the file, or with being the organizer of its shared drive.
func (f *File) ownerPermission(me *User) (Permission, bool) {
	who, role := f.Owner, "owner"
	var details []Detail
	if f.DriveID != "" {
		who, role = me, "organizer"
		details = []Detail{{PermissionType: "member", Role: role, Inherited: f.ID != f.DriveID, InheritedFrom: f.DriveID}}
	}
	if who == nil {
		return Permission{}, false
	}
	return Permission{
		Kind: "drive#permission", ID: who.PermissionID, Type: "user", Role: role, EmailAddress: who.Email,
		DisplayName: who.Name,
		Deleted:     new(bool), PendingOwner: new(bool), PermissionDetails: details,
	}, true
}

// AllPermissions are the owner's, or the organizer's, and all that were granted.
func (f *File) AllPermissions(me *User) []Permission {
	own, ok := f.ownerPermission(me)
	if !ok {
		return slices.Clone(f.Permissions)
	}
	return append([]Permission{own}, f.Permissions...)
}

// Visibility is the value of the search term of that name.
func (f *File) Visibility() string {
	best := "limited"
	for _, p := range f.Permissions {
		discover := p.AllowFileDiscovery != nil && *p.AllowFileDiscovery
		switch {
		case p.Type == "anyone" && discover:
			return "anyoneCanFind"
		case p.Type == "anyone":
			best = "anyoneWithLink"
		case p.Type == "domain" && discover && best != "anyoneWithLink":
			best = "domainCanFind"
		case p.Type == "domain" && best == "limited":
			best = "domainWithLink"
		}
	}
	return best
}

// The roles that count for the search terms owners, writers and readers.
var (
	ownRoles   = []string{"owner"}
	writeRoles = []string{"owner", "organizer", "fileOrganizer", "writer"}
	readRoles  = append([]string{"commenter", "reader"}, writeRoles...)
)

// HasReader, HasWriter and HasOwner say whether the address has at least that access by a permission of its own.
func (f *File) HasReader(email string, me *User) bool {
	return f.SharedWithMe && strings.EqualFold(email, me.Email) || f.hasRole(email, readRoles, me)
}

// HasWriter: see HasReader.
func (f *File) HasWriter(email string, me *User) bool { return f.hasRole(email, writeRoles, me) }

// HasOwner: see HasReader.
func (f *File) HasOwner(email string, me *User) bool { return f.hasRole(email, ownRoles, me) }

func (f *File) hasRole(email string, roles []string, me *User) bool {
	all := f.MayShare(me) // or only the owner's and its own permissions are known to the account
	return slices.ContainsFunc(f.AllPermissions(me), func(p Permission) bool {
		if !all && p.Role != "owner" && !strings.EqualFold(p.EmailAddress, me.Email) {
			return false
		}
		return p.EmailAddress != "" && strings.EqualFold(p.EmailAddress, email) && slices.Contains(roles, p.Role)
	})
}
