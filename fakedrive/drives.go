package fakedrive

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/internal/query"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
	"github.com/memsoak/memsoak/fakedrive/internal/store"
)

const defaultDrive = "kind,id,name"

// driveCapabilities are an organizer's.
var driveCapabilities = func() map[string]bool {
	m := map[string]bool{}
	for name := range set(`canAddChildren canChangeCopyRequiresWriterPermissionRestriction
		canChangeDomainUsersOnlyRestriction canChangeDownloadRestriction canChangeDriveBackground
		canChangeDriveMembersOnlyRestriction canChangeSharingFoldersRequiresOrganizerPermissionRestriction canComment
		canCopy canDeleteChildren canDeleteDrive canDownload canEdit canListChildren canManageMembers canReadRevisions
		canRename canRenameDrive canResetDriveRestrictions canShare canTrashChildren`) {
		m[name] = true
	}
	return m
}()

func driveJSON(d store.Drive) map[string]any {
	return map[string]any{
		"kind": "drive#drive", "id": d.ID, "name": d.Name, "hidden": d.Hidden, "createdTime": resource.FormatTime(d.Created),
		"colorRgb": "#4986e7", "themeId": "abacus", "capabilities": driveCapabilities,
		"restrictions": map[string]bool{
			"adminManagedRestrictions": false, "copyRequiresWriterPermission": false, "domainUsersOnly": false,
			"driveMembersOnly":                          false,
			"sharingFoldersRequiresOrganizerPermission": false,
		},
	}
}

func errDriveNotFound(id string) *apiError {
	return &apiError{status: http.StatusNotFound, reason: "notFound", message: "Shared drive not found: " + id,
		location: "driveId", locationType: "parameter"}
}

// getDrive serves drives.get.
func (c *call) getDrive() error {
	id := c.r.PathValue("id")
	d, err := c.store.Drive(id)
	if err != nil {
		return errDriveNotFound(id)
	}
	if err := c.admit(fault.Request{Name: d.Name, Key: id}); err != nil {
		return err
	}
	return c.value(driveJSON(d), "Drive", defaultDrive)
}

// listDrives serves drives.list.
func (c *call) listDrives() error {
	size, err := c.count("pageSize", 10, 100, false)
	if err != nil {
		return err
	}
	q, err := query.Parse(c.q.Get("q"), query.Drives)
	if err != nil {
		return errInvalid("q", err)
	}
	start := 0
	identity := "drives\x00" + c.q.Get("q")
	if err := c.openPage(identity, &start); err != nil {
		return err
	}
	if err := c.admit(fault.Request{}); err != nil {
		return err
	}
	reply := map[string]any{"kind": "drive#driveList"}
	list := []any{}
	for i, d := range c.store.Drives() {
		if i < start || !q.Match(driveSubject{d, c.members(d.ID)}) {
			continue
		}
		if len(list) == size {
			if reply["nextPageToken"], err = c.pages.Seal(identity, i); err != nil {
				return err
			}
			break
		}
		list = append(list, driveJSON(d))
	}
	reply["drives"] = list
	return c.value(reply, "DriveList", "kind,nextPageToken,drives("+defaultDrive+")")
}

// driveSubject is a shared drive as the search language sees it. Its members are the permissions of its root.
type driveSubject struct {
	d       store.Drive
	members []resource.Permission
}

func (s driveSubject) Text(query.Field) string                     { return s.d.Name }
func (s driveSubject) Time(query.Field) time.Time                  { return s.d.Created }
func (s driveSubject) Flag(query.Field) bool                       { return s.d.Hidden }
func (s driveSubject) Member(query.Field, string) bool             { return false }
func (s driveSubject) Property(query.Field, string) (string, bool) { return "", false }

func (s driveSubject) Number(f query.Field) (n int64) {
	for _, p := range s.members {
		if p.Type == "user" && (f == query.MemberCount || p.Role == "organizer") {
			n++
		}
	}
	return n
}

// members are the permissions of a shared drive.
func (c *call) members(driveID string) []resource.Permission {
	f, err := c.store.Get(driveID)
	if err != nil {
		return nil
	}
	return c.permissionsOf(f.File)
}

// createDrive serves drives.create.
func (c *call) createDrive() error {
	var in struct{ Name string }
	if err := c.body(&in); err != nil {
		return err
	}
	switch {
	case c.q.Get("requestId") == "":
		return errParam("requestId", "required", "Required parameter: requestId")
	case in.Name == "" || len(in.Name) > maxName:
		return errInvalid("name", errors.New("a shared drive needs a name"))
	}
	if err := c.admit(fault.Request{Name: in.Name}); err != nil {
		return err
	}
	d, err := c.store.AddDrive(in.Name)
	if err != nil {
		return storeError(err, "", "")
	}
	return c.value(driveJSON(d), "Drive", defaultDrive)
}

// editDrive changes the shared drive of the path and replies with it.
func (c *call) editDrive(edit func(*store.Drive)) error {
	id := c.r.PathValue("id")
	if err := c.admit(fault.Request{Key: id}); err != nil {
		return err
	}
	d, err := c.store.EditDrive(id, edit)
	if err != nil {
		return errDriveNotFound(id)
	}
	return c.value(driveJSON(d), "Drive", defaultDrive)
}

// updateDrive serves drives.update: the name can be changed.
func (c *call) updateDrive() error {
	var in struct{ Name string }
	if err := c.body(&in); err != nil {
		return err
	}
	return c.editDrive(func(d *store.Drive) {
		if in.Name != "" && len(in.Name) <= maxName {
			d.Name = in.Name
		}
	})
}

// hideDrive serves drives.hide and drives.unhide.
func (c *call) hideDrive() error {
	hide := strings.HasSuffix(c.r.URL.Path, "/hide")
	return c.editDrive(func(d *store.Drive) { d.Hidden = hide })
}

// deleteDrive serves drives.delete. allowItemDeletion takes the files with it.
func (c *call) deleteDrive() error {
	id := c.r.PathValue("id")
	all, err := c.flag("allowItemDeletion")
	if err != nil {
		return err
	}
	if err := c.admit(fault.Request{Key: id}); err != nil {
		return err
	}
	switch err := c.store.DeleteDrive(id, all); {
	case errors.Is(err, store.ErrNotFound):
		return errDriveNotFound(id)
	case errors.Is(err, store.ErrNotEmpty):
		return errForbidden("cannotDeleteResourceWithChildren",
			"The shared drive cannot be deleted because it contains items.")
	case err != nil:
		return storeError(err, id, "")
	}
	return c.empty()
}
