package fakedrive

import (
	"encoding/json"
	"strconv"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
	"github.com/memsoak/memsoak/fakedrive/internal/store"
)

const defaultChanges = "kind,nextPageToken,newStartPageToken," +
	"changes(kind,type,changeType,time,removed,fileId,driveId,file(" + defaultFile + "),drive(" + defaultDrive + "))"

// startPageToken serves changes.getStartPageToken.
func (c *call) startPageToken() error {
	if err := c.admit(fault.Request{}); err != nil {
		return err
	}
	return c.value(map[string]string{
		"kind": "drive#startPageToken", "startPageToken": strconv.FormatInt(c.store.NextChange(), 10),
	}, "StartPageToken", "kind,startPageToken")
}

// listChanges serves changes.list. Its page tokens are the numbers of changes, as Drive's are.
func (c *call) listChanges() error {
	size, err := c.count("pageSize", defaultPage, maxPage, true)
	if err != nil {
		return err
	}
	m, err := c.mask("ChangeList", defaultChanges)
	if err != nil {
		return err
	}
	text := c.q.Get("pageToken")
	if text == "" {
		return errParam("pageToken", "required", "Required parameter: pageToken")
	}
	from, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return errInvalid("pageToken", err)
	}
	removed := c.q.Get("includeRemoved") != "false"
	all, err := c.flag("includeItemsFromAllDrives")
	if err != nil {
		return err
	}
	if err := c.admit(fault.Request{Key: text}); err != nil {
		return err
	}
	space := c.q.Get("spaces")
	if space == "drive" {
		space = ""
	}
	list, next, ok := c.store.Changes(from, size)
	if !ok {
		return errInvalid("pageToken", nil)
	}
	out := []any{}
	enc := resource.NewEncoder(m.Field("changes").Field("file"), c.env())
	driveID := c.q.Get("driveId")
	for _, ch := range list {
		if driveID != "" && ch.DriveID != driveID || driveID == "" && ch.DriveID != "" && !all || ch.Space != space {
			continue
		}
		if v := c.change(&ch, enc); removed || v["removed"] == false {
			out = append(out, v)
		}
	}
	reply := map[string]any{"kind": "drive#changeList", "changes": out}
	if next == c.store.NextChange() {
		reply["newStartPageToken"] = strconv.FormatInt(next, 10)
	} else {
		reply["nextPageToken"] = strconv.FormatInt(next, 10)
	}
	return c.value(reply, "ChangeList", defaultChanges)
}

// change is an entry of the list. A file that the account can't see any more, since a folder above it is gone or since
// it is no longer shared, counts as removed.
func (c *call) change(ch *store.Change, enc *resource.Encoder) map[string]any {
	v := map[string]any{"kind": "drive#change", "time": resource.FormatTime(ch.Time), "removed": ch.Removed,
		"type": "file", "changeType": "file", "fileId": ch.FileID}
	if ch.DriveID != "" {
		v["driveId"] = ch.DriveID
	}
	switch {
	case ch.IsDrive:
		delete(v, "fileId")
		v["type"], v["changeType"] = "drive", "drive"
		if d, err := c.store.Drive(ch.FileID); err == nil {
			v["drive"] = driveJSON(d)
		}
	case !ch.Removed:
		if f, err := c.seen(ch.FileID); err == nil {
			v["file"] = json.RawMessage(enc.Append(nil, f.File))
		} else {
			v["removed"] = true
		}
	}
	return v
}
