package fakedrive

import (
	"errors"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

const defaultPermission = "kind,id,type,role"

func errPermissionNotFound(id string) *apiError {
	e := errNotFound(id)
	e.message = "Permission not found: " + id + "."
	e.location = "permissionId"
	return e
}

// permissionsOf are the permissions of a file as their methods show them.
func (c *call) permissionsOf(f *resource.File) []resource.Permission {
	me := c.store.Me()
	return f.AllPermissions(&me)
}

// permissionsFile finds the file whose permissions a request is about.
func (c *call) permissionsFile() (*resource.File, error) {
	f, err := c.file(c.r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if me := c.store.Me(); !f.MayShare(&me) {
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
	if err := c.openPage(identity, &start); err != nil {
		return err
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

var (
	permissionTypes = []string{"user", "group", "domain", "anyone"}
	permissionRoles = []string{"owner", "organizer", "fileOrganizer", "writer", "commenter", "reader"}
)

// maxPermissions bounds the permissions of a file, as Drive does.
const maxPermissions = 600

// permissionID is the id of a grant: the same for the same grantee, on every file and wherever else the user is shown.
func permissionID(p *resource.Permission) string {
	if u, known := corpus.UserByEmail(p.EmailAddress); known && p.Type == "user" {
		return u.PermissionID
	}
	switch {
	case p.Type == "anyone" && p.AllowFileDiscovery != nil && *p.AllowFileDiscovery:
		return "anyone"
	case p.Type == "anyone":
		return "anyoneWithLink"
	}
	h := fnv.New64a()
	h.Write([]byte(p.Type + "\x00" + p.EmailAddress + p.Domain)) // a hash takes everything
	return strconv.FormatUint(h.Sum64(), 10)
}

func checkPermission(p *resource.Permission) error {
	switch {
	case p.Type == "" || p.Role == "":
		return errParam("permission", "required", "The permission type and role fields are required.")
	case !slices.Contains(permissionTypes, p.Type):
		return errParam("permission.type", "invalid", "The specified permission type is invalid.")
	case !slices.Contains(permissionRoles, p.Role):
		return errParam("permission.role", "invalid", "The specified role is invalid or not supported.")
	case (p.Type == "user" || p.Type == "group") && p.EmailAddress == "":
		return errParam("permission.emailAddress", "invalid",
			"The specified emailAddress is invalid or not applicable for the given permission type.")
	case p.Type == "domain" && p.Domain == "":
		return errParam("permission.domain", "invalid",
			"The specified domain is invalid or not applicable for the given permission type.")
	}
	return nil
}

// createPermission serves permissions.create. A second grant to the same grantee replaces the first.
func (c *call) createPermission() error {
	var p resource.Permission
	if err := c.body(&p); err != nil {
		return err
	}
	if err := checkPermission(&p); err != nil {
		return err
	}
	transfer, err := c.flag("transferOwnership")
	if err != nil {
		return err
	}
	if p.Role == "owner" && !transfer {
		return errForbidden("forbidden",
			"The transferOwnership parameter must be enabled when the permission role is 'owner'.")
	}
	f, err := c.permissionsFile()
	if err != nil {
		return err
	}
	p.Kind, p.ID, p.PermissionDetails = "drive#permission", permissionID(&p), nil
	if p.Type == "anyone" || p.Type == "domain" {
		if p.AllowFileDiscovery == nil {
			p.AllowFileDiscovery = new(bool)
		}
	} else {
		p.DisplayName, p.Deleted, p.PendingOwner = p.EmailAddress, new(bool), new(bool)
		if u, known := corpus.UserByEmail(p.EmailAddress); known {
			p.DisplayName = u.Name
		}
	}
	if i := slices.IndexFunc(c.permissionsOf(f), func(x resource.Permission) bool {
		return x.ID == p.ID && (x.Role == "owner" || x.Role == "organizer" && x.PermissionDetails != nil)
	}); i >= 0 {
		return c.value(c.permissionsOf(f)[i], "Permission", defaultPermission) // more than is granted already
	}
	_, err = c.store.Update(f.ID, false, func(f *resource.File) error {
		if p.Role == "owner" {
			return transferTo(f, &p, c.store.Me())
		}
		if len(f.Permissions) >= maxPermissions {
			return errForbidden("cannotShareTooManyUsers", "The file has too many permissions.")
		}
		kept := slices.DeleteFunc(slices.Clone(f.Permissions), func(x resource.Permission) bool { return x.ID == p.ID })
		f.Permissions = append(kept, p)
		return nil
	})
	if err != nil {
		return storeError(err, f.ID, "")
	}
	return c.value(p, "Permission", defaultPermission)
}

// transferTo makes another user the owner; the old one stays as a writer.
func transferTo(f *resource.File, p *resource.Permission, me resource.User) error {
	if f.DriveID != "" || p.Type != "user" {
		return errForbidden("invalidSharingRequest", "The owner of this file cannot be changed that way.")
	}
	if f.Access(&me) != resource.Owns {
		return errReason("insufficientFilePermissions")
	}
	old := f.AllPermissions(&me)[0]
	old.Role = "writer"
	f.Permissions = append(slices.Clone(f.Permissions), old)
	f.Permissions = slices.DeleteFunc(slices.Clone(f.Permissions),
		func(x resource.Permission) bool { return strings.EqualFold(x.EmailAddress, p.EmailAddress) })
	f.Owner = &resource.User{Name: p.DisplayName, Email: p.EmailAddress, PermissionID: p.ID,
		Me: strings.EqualFold(p.EmailAddress, me.Email)}
	return nil
}

// editPermission changes or removes the permission of the path: edit returns false to remove it.
func (c *call) editPermission(edit func(p *resource.Permission) (keep bool, err error)) (p resource.Permission,
	err error) {
	f, err := c.permissionsFile()
	if err != nil {
		return p, err
	}
	id := c.r.PathValue("permission")
	_, err = c.store.Update(f.ID, false, func(f *resource.File) error {
		list := slices.Clone(f.Permissions)
		i := slices.IndexFunc(list, func(x resource.Permission) bool { return x.ID == id })
		if i < 0 {
			if slices.ContainsFunc(c.permissionsOf(f), func(x resource.Permission) bool { return x.ID == id }) {
				return errReason("insufficientFilePermissions") // the owner's, or the drive's member
			}
			return errPermissionNotFound(id)
		}
		p = list[i]
		keep, err := edit(&p)
		if err != nil {
			return err
		}
		list[i] = p
		if !keep {
			list = slices.Delete(list, i, i+1)
		}
		f.Permissions = list
		return nil
	})
	return p, storeError(err, f.ID, "")
}

// updatePermission serves permissions.update: the role and the expiry can be changed.
func (c *call) updatePermission() error {
	var in resource.Permission
	if err := c.body(&in); err != nil {
		return err
	}
	if in.Role != "" && !slices.Contains(permissionRoles[1:], in.Role) {
		return errInvalid("permission.role", errors.New("no such role, or owner"))
	}
	removeExpiration, err := c.flag("removeExpiration")
	if err != nil {
		return err
	}
	p, err := c.editPermission(func(p *resource.Permission) (bool, error) {
		if in.Role != "" {
			p.Role = in.Role
		}
		if in.ExpirationTime != "" {
			p.ExpirationTime = in.ExpirationTime
		}
		if removeExpiration {
			p.ExpirationTime = ""
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return c.value(p, "Permission", defaultPermission)
}

// deletePermission serves permissions.delete.
func (c *call) deletePermission() error {
	if _, err := c.editPermission(func(*resource.Permission) (bool, error) { return false, nil }); err != nil {
		return err
	}
	return c.empty()
}
