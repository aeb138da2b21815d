package resource

import "slices"

// OwnerPermission is the permission that the file's owner has by owning it.
func (f *File) OwnerPermission() (Permission, bool) {
	if f.Owner == nil || f.DriveID != "" {
		return Permission{}, false
	}
	return Permission{
		Kind: "drive#permission", ID: f.Owner.PermissionID, Type: "user", Role: "owner",
		EmailAddress: f.Owner.Email, DisplayName: f.Owner.Name, Deleted: new(bool), PendingOwner: new(bool),
	}, true
}

// AllPermissions are the owner's and all that were granted.
func (f *File) AllPermissions() []Permission {
	own, ok := f.OwnerPermission()
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

// readRoles and writeRoles are the roles that count for the search terms readers and writers.
var (
	writeRoles = []string{"owner", "organizer", "fileOrganizer", "writer"}
	readRoles  = append([]string{"commenter", "reader"}, writeRoles...)
)

// HasReader, HasWriter and HasOwner say whether the account has at least that access by a permission of its own.
func (f *File) HasReader(email string) bool { return f.hasRole(email, readRoles) }

// HasWriter: see HasReader.
func (f *File) HasWriter(email string) bool { return f.hasRole(email, writeRoles) }

// HasOwner: see HasReader.
func (f *File) HasOwner(email string) bool { return f.hasRole(email, writeRoles[:1]) }

func (f *File) hasRole(email string, roles []string) bool {
	return slices.ContainsFunc(f.AllPermissions(), func(p Permission) bool {
		return p.EmailAddress == email && slices.Contains(roles, p.Role)
	})
}
