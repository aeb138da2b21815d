package migrator

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

func hashID(id string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return h.Sum64()
}

// list lists one page of a folder: its children and the next page go into the queue, the page is dropped.
func (c *Copier) list(ctx context.Context, l *Lease) (Result, error) {
	it := &l.Item
	var page Page
	err := c.source(ctx, func() (err error) {
		page, err = c.src.List(ctx, Listing{Folder: it.ID, Page: it.Page})
		return err
	})
	if ClassOf(err) == PageGone && it.Page != "" {
		// Listing anew finds the same keys; what was copied is skipped.
		again := Item{Kind: Folder, ID: it.ID, Key: it.Key, Ancestors: it.Ancestors, Shortcuts: it.Shortcuts}
		return Result{Outcome: Returned, Produced: []Item{again}}, nil
	}
	if err != nil {
		return Result{}, err
	}
	c.stats.Pages.Add(1)
	n := namer{exports: c.cfg.Exports, taken: func(names []string) (map[string]bool, error) { return c.taken(ctx, it.ID, names) }}
	decided, held, err := n.page(it.Held, page.Entries, it.Page == "", page.Next == "")
	if err != nil {
		return Result{}, err
	}
	res := Result{Outcome: Listed, Produced: make([]Item, 0, len(decided)+1)}
	for i := range decided {
		if err := c.child(ctx, it, &decided[i], &res); err != nil {
			return Result{}, err
		}
	}
	if page.Next != "" {
		res.Outcome = Returned
		res.Produced = append(res.Produced, Item{Kind: Folder, ID: it.ID, Key: it.Key, Page: page.Next, Held: held,
			Ancestors: it.Ancestors, Shortcuts: it.Shortcuts})
	}
	c.event(Event{Type: "listed", ID: it.ID, Key: it.Key})
	return res, nil
}

// taken asks which of the names files of a folder have that aren't documents.
func (c *Copier) taken(ctx context.Context, folder string, names []string) (map[string]bool, error) {
	have := map[string]bool{}
	for next := ""; ; {
		var page Page
		err := c.source(ctx, func() (err error) {
			page, err = c.src.List(ctx, Listing{Folder: folder, Page: next, Names: names})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("look for names: %w", err)
		}
		for _, e := range page.Entries {
			if !e.Folder && !e.Document && slices.Contains(names, e.Name) {
				have[e.Name] = true
			}
		}
		if next = page.Next; next == "" {
			return have, nil
		}
	}
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
			c.park(res, Failed, d, parent, ReasonOf(err), err.Error())
			return nil
		}
	}
	c.file(parent, d, res)
	return nil
}

// file queues a file unless it can't be had or isn't wanted.
func (c *Copier) file(parent *Item, d *named, res *Result) {
	key := FileKey(parent.Key, d.segment)
	if d.Document && d.export == "" {
		c.park(res, Failed, d, parent, "noExportFormat", "no export format for "+d.MIME)
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
	res.Produced = append(res.Produced, Item{Kind: File, ID: d.ID, Key: key, Name: d.Name, Parent: parent.ID, Size: size,
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
	res.Produced = append(res.Produced, Item{Kind: Folder, ID: id, Key: FolderPrefix(parent.Key, d.segment),
		Ancestors: append(slices.Clone(parent.Ancestors), h), Shortcuts: depth})
}

// follow makes a shortcut to a file the file itself, under the shortcut's name.
func (c *Copier) follow(ctx context.Context, d *named) error {
	var target Entry
	err := c.source(ctx, func() (err error) { target, err = c.src.Stat(ctx, d.TargetID); return err })
	if err != nil {
		return fmt.Errorf("shortcut to %s: %w", d.TargetID, err)
	}
	if target.Trashed {
		return &Error{Op: "follow", Object: d.ID, Reason: "targetTrashed", Class: Refused, Err: fmt.Errorf("shortcut to %s, which is in the trash", d.TargetID)}
	}
	d.ID, d.Size, d.MD5, d.Modified = target.ID, target.Size, target.MD5, target.Modified
	return nil
}

// park records an entry that isn't queued.
func (c *Copier) park(res *Result, o Outcome, d *named, parent *Item, reason, detail string) {
	key := FileKey(parent.Key, d.segment)
	res.Parked = append(res.Parked, Parked{ID: d.ID, Path: key, Outcome: o, Reason: reason, Detail: detail, Bytes: max(d.Size, 0)})
	e := Event{Type: o.String(), ID: d.ID, Key: key, Reason: reason, Detail: detail}
	if o == Failed {
		c.stats.Failed.Add(1)
	} else {
		c.stats.Filtered.Add(1)
	}
	c.event(e)
}
