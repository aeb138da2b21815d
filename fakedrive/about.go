package fakedrive

import (
	"strconv"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// quotaLimit is the size of the Drive that about tells, doubled until its files fit; nothing enforces it.
const quotaLimit = 15 << 40

// maxUpload is the largest file that Drive takes.
const maxUpload = 5_242_880_000_000

func userJSON(u resource.User) map[string]any {
	return map[string]any{"kind": "drive#user", "displayName": u.Name, "me": u.Me, "permissionId": u.PermissionID,
		"emailAddress": u.Email}
}

func countText(n int64) string { return strconv.FormatInt(n, 10) }

// about serves about.get, which shows nothing that is not asked for.
func (c *call) about() error {
	if c.q.Get("fields") == "" && c.q.Get("$fields") == "" {
		return errParam("fields", "required", "The 'fields' parameter is required for this method.")
	}
	if err := c.admit(fault.Request{}); err != nil {
		return err
	}
	usage, trash := c.store.Usage()
	limit := int64(quotaLimit)
	for limit < usage {
		limit *= 2
	}
	sizes := map[string]string{
		resource.Document: countText(10 << 20), resource.Spreadsheet: countText(100 << 20),
		resource.Presentation: countText(100 << 20),
		resource.Drawing:      countText(2 << 20),
	}
	return c.value(map[string]any{
		"kind": "drive#about",
		"user": userJSON(c.store.Me()),
		"storageQuota": map[string]string{
			"limit": countText(limit), "usage": countText(usage), "usageInDrive": countText(usage),
			"usageInDriveTrash": countText(trash),
		},
		"importFormats": importFormats, "exportFormats": exportFormats, "maxImportSizes": sizes,
		"maxUploadSize": countText(maxUpload),
		"appInstalled":  true, "canCreateDrives": true, "canCreateTeamDrives": true, "driveThemes": []any{},
		"teamDriveThemes": []any{},
		"folderColorPalette": []string{"#ac725e", "#d06b64", "#f83a22", "#fa573c", "#ff7537", "#ffad46", "#42d692", "#16a765",
			"#7bd148",
			"#b3dc6c", "#fbe983", "#fad165", "#92e1c0", "#9fe1e7", "#9fc6e7", "#4986e7", "#9a9cff", "#b99aff", "#8f8f8f",
			"#cabdbf",
			"#cca6ac", "#f691b2", "#cd74e6", "#a47ae2"},
	}, "About", "*")
}

// listLabels serves files.listLabels: no file has labels here.
func (c *call) listLabels() error {
	if _, err := c.file(c.r.PathValue("id")); err != nil {
		return err
	}
	if err := c.admit(fault.Request{}); err != nil {
		return err
	}
	m, err := c.mask("LabelList", "kind,labels")
	if err != nil {
		return err
	}
	body, err := selectFields(map[string]any{"kind": "drive#labelList", "labels": []any{}}, m)
	if err != nil {
		return err
	}
	return c.reply(body)
}
