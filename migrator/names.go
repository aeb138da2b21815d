package migrator

import "cmp"

// named is an entry with what its key ends in.
type named struct {
	Entry
	target string // the plain segment: the name as a key has it, an export's with its extension
	export string // MIME type
	dup    bool   // the key carries the id
}

// key is the entry's key below a folder's prefix.
func (d *named) key(prefix string) string {
	key := FileKey(prefix, d.target)
	if d.dup {
		return WithID(key, d.ID)
	}
	return key
}

// Namer decides keys.
//
// The rule: of the files that want the same key, the one whose id sorts first has it, and the others carry their ids.
// Folders of the same name in one folder share a prefix. So keys depend on the tree alone, not on the order in which
// it is found.
//
// Within a page of a listing the rule is applied immediately. Between pages, and between folders of the same name,
// there is no table of names: the sink tells whose object has the key ([Copier] then applies the rule).
type Namer struct{ Exports map[string]Export }

// target is the plain segment of an entry and the MIME type of its export.
func (n Namer) target(e *Entry) (segment, export string) {
	name := e.Name
	if e.Document {
		if x, ok := n.Exports[e.MIME]; ok {
			export = x.MIME
			name += x.Ext
		}
	}
	return Segment(name), export
}

// page names the entries of one page. An entry that a page has twice is kept once.
func (n Namer) page(entries []Entry) []named {
	out := make([]named, 0, len(entries))
	first := make(map[string]int, len(entries)) // by target: who has the plain key so far
	var clashes map[string]bool                 // ids of entries that may be there twice
	for _, e := range entries {
		d := named{Entry: e}
		d.target, d.export = n.target(&e)
		if e.Folder {
			out = append(out, d)
			continue
		}
		i, taken := first[d.target]
		if !taken {
			first[d.target] = len(out)
			out = append(out, d)
			continue
		}
		if clashes == nil {
			clashes = map[string]bool{}
		}
		if out[i].ID == d.ID || clashes[d.ID] {
			continue
		}
		clashes[d.ID], clashes[out[i].ID] = true, true
		loser := &d
		if cmp.Less(d.ID, out[i].ID) {
			first[d.target] = len(out)
			loser = &out[i]
		}
		loser.dup = true
		out = append(out, d)
	}
	return out
}
