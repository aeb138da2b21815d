package broker

import "github.com/memsoak/memsoak/migrator"

// Count adds how an item ended to the totals.
func Count(t *migrator.Totals, o migrator.Outcome, bytes int64) {
	switch o {
	case migrator.Listed:
		t.Listed++
	case migrator.Copied:
		t.Copied++
		t.Bytes += bytes
	case migrator.Skipped:
		t.Skipped++
	}
}

// CountParked adds a parked item to the totals and names the list that it belongs to.
func CountParked(t *migrator.Totals, o migrator.Outcome) string {
	switch o {
	case migrator.Failed:
		t.Failed++
	case migrator.Unavailable:
		t.Unavailable++
	default:
		t.Filtered++
		o = migrator.Filtered
	}
	return o.String()
}

// CountReason counts a reason; once there are so many of them, new ones count as other.
func CountReason(n map[string]int64, reason, other string, most int) {
	if _, known := n[reason]; !known && len(n) >= most {
		reason = other
	}
	n[reason]++
}

// Add adds totals.
func Add(t, more *migrator.Totals) {
	t.Folders += more.Folders
	t.Files += more.Files
	t.Size += more.Size
	t.Listed += more.Listed
	t.Copied += more.Copied
	t.Skipped += more.Skipped
	t.Filtered += more.Filtered
	t.Unavailable += more.Unavailable
	t.Failed += more.Failed
	t.Bytes += more.Bytes
}

// Found says that an item which came of another (nil: from outside) is a folder not counted yet, and neither the next
// page of one nor its first page again.
func Found(of, it *migrator.Item) bool {
	return it.Kind == migrator.Folder && it.Page == "" && (of == nil || of.ID != it.ID)
}
