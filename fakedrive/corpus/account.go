package corpus

import "strings"

// Account is the user whose Drive every tree is: the same in all trees, so that a server that starts empty and takes
// trees later speaks of one account from its start on.
func Account() User { return me }

// UserByEmail returns the account of an address that trees know: Account and those who share files with it.
func UserByEmail(email string) (User, bool) {
	if strings.EqualFold(email, me.Email) {
		return me, true
	}
	for _, u := range colleagues {
		if strings.EqualFold(email, u.Email) {
			return u, true
		}
	}
	return User{}, false
}

// Account returns the part of the tree that belongs to the account: the bytes that Drive charges for it, and those of
// them in the trash. Only items with a flag are visited.
func (t *Tree) Account() (charged, trash int64) {
	s := t.Stats()
	charged = s.Bytes
	for i := range t.exports.classes {
		c := &t.exports.classes[i]
		charged += c.sum(documentSize)
	}
	for k := range t.shared.count {
		charged -= t.Item(t.shape.fileAt(t.shared.inverse(k))).Size
	}
	t.trash(func(it Item) {
		if !it.SharedWithMe {
			trash += it.Size
		}
	})
	return charged, trash
}
