package migrator

import (
	"encoding/binary"
	"strings"
)

// maxRun is how many names that differ by case alone are held back at the end of a page. A longer run of them has the
// id in every key.
const maxRun = 64

// Held is what one page of a listing leaves undecided for the next: the entries at its end whose names may come again.
type Held struct {
	Entries []Entry
	// Run is the folded name of a run longer than maxRun that the page ended in.
	Run string
}

// named is an entry with its decided segment of the key.
type named struct {
	Entry
	segment string
	export  string // MIME type
}

// namer decides the keys of one page. Listings come in the order of names, so entries of the same name are neighbours
// (but for case, which the order may ignore), and one page with what the one before held back is all that has to be
// looked at: the rule needs no table of a folder's names.
//
// The rule: files of one folder with the same name all carry their id, and so do folders. A document whose exported
// name is that of another file carries its id, and the other doesn't. What comes first plays no part in it.
type namer struct {
	exports map[string]Export
	// taken tells which of the names some file that isn't a document has, anywhere in the folder.
	taken func(names []string) (map[string]bool, error)
}

// page decides a page that follows held. last says that no page follows; first that none went before.
func (n *namer) page(held Held, entries []Entry, first, last bool) ([]named, Held, error) {
	all := make([]named, 0, len(held.Entries)+len(entries))
	for _, e := range held.Entries {
		all = append(all, named{Entry: e})
	}
	for _, e := range entries {
		all = append(all, named{Entry: e})
	}
	forced, rest := runs(all, held.Run, last)
	decided := all[:len(all)-len(rest.Entries)]

	count := make(map[string]int, len(decided))
	for i := range decided {
		n.target(&decided[i])
		count[slot(&decided[i])]++
	}
	taken := map[string]bool{}
	for i := range decided {
		if d := &decided[i]; d.Document && count[d.segment] > 0 {
			taken[d.segment] = true
		}
	}
	if !first || !last {
		if err := n.ask(decided, taken); err != nil {
			return nil, Held{}, err
		}
	}
	for i := range decided {
		d := &decided[i]
		if forced[i] || count[slot(d)] > 1 || d.Document && taken[d.segment] {
			d.segment = "" // decided below: counts still need the plain ones
		}
	}
	for i := range decided {
		if d := &decided[i]; d.segment == "" {
			n.target(d)
			d.segment = withID(d.segment, d.ID)
		}
	}
	return decided, rest, nil
}

// target sets the plain segment and the export.
func (n *namer) target(d *named) {
	name := d.Name
	if d.Document {
		if x, ok := n.exports[d.MIME]; ok {
			d.export = x.MIME
			name += x.Ext
		}
	}
	d.segment = Segment(name)
}

// slot keeps apart what can't collide: folders, documents and other files.
func slot(d *named) string {
	switch {
	case d.Folder:
		return "/" + d.segment
	case d.Document:
		return "=" + d.segment
	}
	return d.segment
}

// ask adds to taken the exported names of documents that a file on another page of the folder has.
func (n *namer) ask(decided []named, taken map[string]bool) error {
	var names []string
	for i := range decided {
		if d := &decided[i]; d.Document && d.export != "" && !taken[d.segment] {
			names = append(names, d.Name+n.exports[d.MIME].Ext)
		}
	}
	for len(names) > 0 {
		k := min(len(names), 40)
		have, err := n.taken(names[:k])
		if err != nil {
			return err
		}
		for name := range have {
			taken[Segment(name)] = true
		}
		names = names[k:]
	}
	return nil
}

// runs finds the runs of names that differ by case alone: it marks the members of those longer than maxRun, and
// returns what has to be held back unless this is the last page.
func runs(all []named, run string, last bool) (forced []bool, rest Held) {
	forced = make([]bool, len(all))
	for i := 0; i < len(all); {
		key := fold(all[i].Name)
		end := i + 1
		for end < len(all) && fold(all[end].Name) == key {
			end++
		}
		long := end-i > maxRun || i == 0 && run != "" && key == run
		if end == len(all) && !last {
			if !long {
				for _, d := range all[i:] {
					rest.Entries = append(rest.Entries, d.Entry)
				}
				return forced, rest
			}
			rest.Run = key
		}
		for k := i; long && k < end; k++ {
			forced[k] = true
		}
		i = end
	}
	return forced, rest
}

func fold(name string) string { return strings.ToLower(name) }

func (h *Held) append(b []byte) []byte {
	b = appendText(b, h.Run)
	b = binary.AppendUvarint(b, uint64(len(h.Entries)))
	for _, e := range h.Entries {
		for _, s := range []string{e.ID, e.Name, e.MIME, e.MD5, e.TargetID} {
			b = appendText(b, s)
		}
		b = binary.AppendVarint(b, e.Size)
		b = binary.AppendVarint(b, unixMilli(e.Modified))
		b = append(b, flag(e.Folder)|flag(e.Document)<<1)
	}
	return b
}

func (h *Held) read(d *decoder) {
	h.Run = d.text()
	n := d.count(8)
	if n == 0 {
		return
	}
	h.Entries = make([]Entry, n)
	for i := range h.Entries {
		e := &h.Entries[i]
		for _, s := range []*string{&e.ID, &e.Name, &e.MIME, &e.MD5, &e.TargetID} {
			*s = d.text()
		}
		e.Size, e.Modified = d.varint(), fromUnixMilli(d.varint())
		f := d.byte()
		e.Folder, e.Document = f&1 != 0, f&2 != 0
	}
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
