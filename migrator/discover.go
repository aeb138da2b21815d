package migrator

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

// maxAncestors is how far up a cycle is looked for: Drive nests folders 100 deep. Cycles beyond end by ShortcutDepth.
const maxAncestors = 128

func hashID(id string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return h.Sum64()
}

// list lists one page of a folder: its children and the next page go into the queue, the page is dropped.
func (c *Copier) list(ctx context.Context, l *Lease) (Result, error) {
	it := &l.Item
	page, err := c.listPage(ctx, Listing{Folder: it.ID, Page: it.Page})
	if ClassOf(err) == PageGone && it.Page != "" {
		// A second listing finds the same keys; files already copied are skipped.
		again := Item{Kind: Folder, ID: it.ID, Key: it.Key, Ancestors: it.Ancestors, Shortcuts: it.Shortcuts}
		return Result{Outcome: Returned, Produced: []Item{again}}, nil
	}
	if err != nil {
		return Result{}, err
	}
	c.stats.Pages.Add(1)
	decided := c.namer.page(page.Entries)
	res := Result{Outcome: Listed, Produced: make([]Item, 0, len(decided)+1)}
	for i := range decided {
		if err := c.child(ctx, it, &decided[i], &res); err != nil {
			return Result{}, err
		}
	}
	if page.Next != "" {
		res.Outcome = Returned
		res.Produced = append(res.Produced, Item{Kind: Folder, ID: it.ID, Key: it.Key, Page: page.Next,
			Ancestors: it.Ancestors, Shortcuts: it.Shortcuts})
	}
	c.event(Event{Type: "listed", ID: it.ID, Key: it.Key})
	return res, nil
}

// child decides what becomes of one entry. Only what stops the whole run is an error.
func (c *Copier) child(ctx context.Context, parent *Item, d *named, res *Result) error {
	isShortcut := d.TargetID != ""
	if d.Folder {
		c.folder(parent, d, isShortcut, res)
		return nil
	}
	if isShortcut {
		err := c.follow(ctx, d)
		if err != nil && (ctx.Err() != nil || ClassOf(err) == Fatal) {
			return err
		}
		if err != nil {
			c.park(res, outcomeOf(err), d, parent, ReasonOf(err), err.Error())
			return nil
		}
	}
	c.file(parent, d, res)
	return nil
}

// file queues a file unless it can't be had or isn't wanted.
func (c *Copier) file(parent *Item, d *named, res *Result) {
	key := d.key(parent.Key)
	if d.Document && d.export == "" {
		c.park(res, Unavailable, d, parent, "noExportFormat", "no export format for "+d.MIME)
		return
	}
	if why := c.cfg.Filter.takes(strings.TrimPrefix(key, c.prefix), d.Size, d.Modified); why != "" {
		c.park(res, Filtered, d, parent, why, "")
		return
	}
	size := d.Size
	if d.Document {
		size = -1
	}
	c.stats.Found.Add(1)
	c.stats.FoundBytes.Add(max(size, 0))
	res.Produced = append(res.Produced, Item{Kind: File, ID: d.ID, Target: d.TargetID, Key: key, Name: d.target,
		Parent: parent.ID, Size: size,
		MD5: d.MD5, Modified: d.Modified, MIME: d.MIME, Export: d.export})
}

// folder queues a folder, or a shortcut to one that leads into no cycle.
func (c *Copier) folder(parent *Item, d *named, isShortcut bool, res *Result) {
	id, depth := d.ID, parent.Shortcuts
	if isShortcut {
		id = d.TargetID
		depth++
	}
	h := hashID(id)
	switch {
	case slices.Contains(parent.Ancestors, h):
		c.park(res, Filtered, d, parent, "cycle", "the shortcut leads to a folder that it lies in")
		return
	case int(depth) > c.cfg.ShortcutDepth:
		c.park(res, Filtered, d, parent, "shortcutDepth", "a shortcut to a folder below another one; see --shortcut-depth")
		return
	}
	above := parent.Ancestors
	if n := len(above); n >= maxAncestors {
		above = above[n-maxAncestors+1:]
	}
	res.Produced = append(res.Produced, Item{Kind: Folder, ID: id, Key: FolderPrefix(parent.Key, d.target),
		Ancestors: append(slices.Clone(above), h), Shortcuts: depth})
}

// follow fills in what a shortcut to a file doesn't say: the target's size, sum and time.
func (c *Copier) follow(ctx context.Context, d *named) error {
	target, err := c.statEntry(ctx, d.TargetID)
	if err != nil {
		return fmt.Errorf("shortcut to %s: %w", d.TargetID, err)
	}
	if target.Trashed {
		return &Error{Op: "follow", Object: d.ID, Reason: "targetTrashed", Class: Refused,
			Err: fmt.Errorf("shortcut to %s, which is in the trash", d.TargetID)}
	}
	d.Size, d.MD5, d.Modified = target.Size, target.MD5, target.Modified
	return nil
}

// park records an entry that isn't queued.
func (c *Copier) park(res *Result, o Outcome, d *named, parent *Item, reason, detail string) {
	res.Parked = append(res.Parked, Parked{ID: d.ID, Path: d.key(parent.Key), Outcome: o, Reason: reason, Detail: detail,
		Bytes: max(d.Size, 0)})
	c.parked(&res.Parked[len(res.Parked)-1])
}
