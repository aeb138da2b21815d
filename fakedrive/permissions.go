package fakedrive

import (
	"memsoak/fakedrive/fault"
	"memsoak/fakedrive/internal/resource"
)

const defaultPermission = "kind,id,type,role"

func errPermissionNotFound(id string) *apiError {
	e := errNotFound(id)
	e.message = "Permission not found: " + id + "."
	e.location = "permissionId"
	return e
}

// permissionsOf are the permissions of a file as their methods show them: those of a shared drive's items come with
// the member that every drive has, and with where they come from.
func (c *call) permissionsOf(f *resource.File) []resource.Permission {
	list := f.AllPermissions()
	if f.DriveID != "" {
		me := c.store.Me()
		list = append([]resource.Permission{{
			Kind: "drive#permission", ID: me.PermissionID, Type: "user", Role: "organizer", EmailAddress: me.Email, DisplayName: me.Name,
			Deleted: new(bool), PendingOwner: new(bool),
			PermissionDetails: []resource.Detail{{PermissionType: "member", Role: "organizer", Inherited: f.ID != f.DriveID, InheritedFrom: f.DriveID}},
		}}, list...)
	}
	return list
}

// permissionsFile finds the file whose permissions a request is about.
func (c *call) permissionsFile() (*resource.File, error) {
	f, err := c.file(c.r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if f.SharedWithMe {
		return nil, errReason("insufficientFilePermissions")
	}
	return f.File, c.admit(fault.Request{Name: f.Name, Key: f.ID})
}

// listPermissions serves permissions.list. pageSize counts only for shared drives, as documented; all fit in a page.
func (c *call) listPermissions() error {
	size, err := c.count("pageSize", 100, 100, false)
	if err != nil {
		return err
	}
	f, err := c.permissionsFile()
	if err != nil {
		return err
	}
	start := 0
	identity := "permissions\x00" + f.ID
	if token := c.q.Get("pageToken"); token != "" {
		if err := c.pages.Open(token, identity, &start); err != nil {
			return errInvalid("pageToken", err)
		}
	}
	all := c.permissionsOf(f)
	reply := map[string]any{"kind": "drive#permissionList"}
	end := min(start+size, len(all))
	if end < len(all) {
		if reply["nextPageToken"], err = c.pages.Seal(identity, end); err != nil {
			return err
		}
	}
	reply["permissions"] = all[min(start, end):end]
	return c.value(reply, "PermissionList", "kind,nextPageToken,permissions("+defaultPermission+")")
}

// getPermission serves permissions.get.
func (c *call) getPermission() error {
	f, err := c.permissionsFile()
	if err != nil {
		return err
	}
	id := c.r.PathValue("permission")
	for _, p := range c.permissionsOf(f) {
		if p.ID == id || id == "me" && p.EmailAddress == c.store.Me().Email {
			return c.value(p, "Permission", defaultPermission)
		}
	}
	return errPermissionNotFound(id)
}
