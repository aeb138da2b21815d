package fakedrive

import (
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/internal/fieldmask"
	"github.com/memsoak/memsoak/fakedrive/internal/query"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
	"github.com/memsoak/memsoak/fakedrive/internal/store"
)

// Sizes of pages of files.
const (
	defaultPage = 100
	maxPage     = 1000
	// scanBudget is how many files one request looks at. A search that finds little beyond that gets a short page,
	// or an empty one, with a token, as from the real Drive.
	scanBudget = 200_000
)

const (
	defaultFile = "kind,id,name,mimeType,resourceKey,driveId,teamDriveId"
	defaultList = "kind,nextPageToken,incompleteSearch,files(" + defaultFile + ")"
)

// listing is a files.list request, understood.
type listing struct {
	query *query.Query
	scope store.Scope
	order *ordering // nil: as they come
	size  int
	mask  *fieldmask.Mask
	// identity is what a page token is bound to.
	identity string
	match    matcher
}

// listPlace is where a page token points.
type listPlace struct {
	store.Position
	After *sortKey `json:"k,omitempty"` // of ordered listings: the last file's key
	Empty int      `json:"e,omitempty"` // empty pages that a fault has made of this place
}

var pageBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 256<<10); return &b }}

// maxPooled is the largest page buffer that is kept.
const maxPooled = 4 << 20

// list serves files.list.
func (c *call) list() error {
	l, err := c.readListing()
	if err != nil {
		return err
	}
	place := listPlace{}
	if err := c.openPage(l.identity, &place); err != nil {
		return err
	}
	name := ""
	if len(l.scope.Parents) > 0 {
		f, err := c.store.Get(l.scope.Parents[0])
		if err != nil {
			return errNotFound("")
		}
		name = f.Name
	}
	if err := c.admit(fault.Request{Name: name, Key: l.identity + c.q.Get("pageToken")}); err != nil {
		return err
	}
	if err := c.ctl.At(c.r.Context(), fault.ListPage); err != nil {
		return err
	}
	buf := pageBuffers.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= maxPooled {
			pageBuffers.Put(buf)
		}
	}()
	p := page{c: c, l: l, b: (*buf)[:0]}
	err = p.build(place)
	*buf = p.b
	if err != nil {
		return err
	}
	c.ctl.Page(p.files, p.folders)
	return c.reply(p.b)
}

// page is a reply of files.list as it grows.
type page struct {
	c              *call
	l              *listing
	b              []byte
	enc            *resource.Encoder
	n              int
	files, folders int
	again          int // entries that a fault still wants twice
}

func (p *page) build(place listPlace) error {
	if fm := p.l.mask.Field("files"); fm != nil {
		p.enc = resource.NewEncoder(fm, p.c.env())
	}
	p.again = p.c.act.Duplicates
	p.b = append(p.b, '{')
	p.member("kind", `"drive#fileList"`)
	if p.enc != nil {
		p.member("files", "[")
	}
	next, more, err := p.fill(place)
	if err != nil {
		return err
	}
	if p.enc != nil {
		p.b = append(p.b, ']')
	}
	p.member("incompleteSearch", "false")
	if more && p.l.mask.Has("nextPageToken") {
		token, err := p.c.pages.Seal(p.l.identity, next)
		if err != nil {
			return err
		}
		p.member("nextPageToken", `"`+token+`"`)
	}
	p.b = append(p.b, '}')
	return nil
}

// fill writes the files from a place on and returns the next place.
func (p *page) fill(place listPlace) (next listPlace, more bool, err error) {
	switch {
	case p.c.act.EmptyPage:
		place.Empty++
		return place, true, nil
	case p.l.order != nil:
		return p.fillOrdered(place)
	}
	visit := func(f store.Found, _ store.Position) bool {
		if !p.l.match.matches(f.File) {
			return true
		}
		if p.n == p.l.size {
			return false
		}
		p.add(f)
		return true
	}
	next.Position, more, err = p.c.store.Scan(p.l.scope, place.Position, scanBudget, visit)
	return next, more, scanError(err)
}

// scanError: a parent that does not exist is a file that is not found, without its id.
func scanError(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errNotFound("")
	}
	return err
}

// member writes a member of the reply's object, if the mask selects it.
func (p *page) member(name, value string) {
	if !p.l.mask.Has(name) {
		return
	}
	if len(p.b) > 1 {
		p.b = append(p.b, ',')
	}
	p.b = append(append(append(p.b, '"'), name...), '"', ':')
	p.b = append(p.b, value...)
}

func (p *page) add(f store.Found) {
	p.n++
	if f.IsFolder() {
		p.folders++
	} else if !f.IsShortcut() {
		p.files++
		f.Listed()
	}
	if p.enc == nil {
		return
	}
	if p.n > 1 {
		p.b = append(p.b, ',')
	}
	start := len(p.b)
	p.b = p.enc.Append(p.b, f.File)
	if p.again > 0 {
		p.again--
		end := len(p.b)
		p.b = append(p.b, ',')
		p.b = append(p.b, p.b[start:end]...)
	}
}

// readListing understands the parameters.
func (c *call) readListing() (l *listing, err error) {
	l = &listing{}
	if l.size, err = c.count("pageSize", defaultPage, maxPage, true); err != nil {
		return nil, err
	}
	if l.mask, err = c.mask("FileList", defaultList); err != nil {
		return nil, err
	}
	if l.query, err = query.Parse(c.q.Get("q"), query.Files); err != nil {
		return nil, errInvalid("q", err)
	}
	if l.order, err = parseOrder(c.q.Get("orderBy")); err != nil {
		return nil, errInvalid("orderBy", err)
	}
	if l.order != nil && l.query.Uses(query.FullText) {
		return nil, errForbidden("badRequest",
			"Sorting is not supported for queries with fullText terms. Results are always in descending relevance order.")
	}
	if err := c.readScope(l); err != nil {
		return nil, err
	}
	if ids, ok := l.query.Parents(); ok {
		l.scope.Parents = ids
	} else if l.query.Requires(query.SharedWithMe, true) {
		l.scope.Flag = new(corpus.Flag)
		*l.scope.Flag = corpus.SharedWithMe
	} else if l.query.Requires(query.Starred, true) {
		l.scope.Flag = new(corpus.Flag)
		*l.scope.Flag = corpus.Starred
	}
	l.match = matcher{query: l.query, store: c.store, domainOnly: c.q.Get("corpora") == "domain"}
	l.identity = strings.Join([]string{c.q.Get("q"), c.q.Get("orderBy"), c.q.Get("corpora"), c.q.Get("driveId"),
		c.q.Get("teamDriveId"),
		c.q.Get("spaces"), c.q.Get("includeItemsFromAllDrives"), c.q.Get("includeTeamDriveItems")}, "\x00")
	return l, nil
}

// readScope reads corpora, spaces and what belongs to shared drives.
func (c *call) readScope(l *listing) error {
	all, err := c.allDrives()
	if err != nil {
		return err
	}
	items, err := c.flag("includeItemsFromAllDrives")
	if err != nil {
		return err
	}
	if !items {
		if items, err = c.flag("includeTeamDriveItems"); err != nil {
			return err
		}
	}
	if items && !all {
		return errForbidden("teamDrivesNotSupported",
			"The supportsAllDrives parameter must be set to true if includeItemsFromAllDrives is set to true.")
	}
	driveID := c.q.Get("driveId") + c.q.Get("teamDriveId")
	corpora := c.q.Get("corpora")
	switch corpora {
	case "", "user", "domain":
		// A folder of a shared drive is listed by its id if the client is ready for it; searches stay in My Drive.
		ids, byParent := l.query.Parents()
		l.scope.AllDrives = items && byParent && len(ids) > 0
	case "allDrives":
		if !items {
			return errForbidden("teamDrivesNotSupported",
				"The includeItemsFromAllDrives parameter must be set to true if corpora is allDrives.")
		}
		l.scope.AllDrives = true
	case "drive", "teamDrive":
		if !items {
			return errForbidden("teamDrivesNotSupported",
				"The includeItemsFromAllDrives parameter must be set to true if corpora is drive.")
		}
	default:
		return errInvalid("corpora", errors.New("want user, domain, drive or allDrives"))
	}
	if (corpora == "drive" || corpora == "teamDrive") != (driveID != "") {
		return errForbidden("teamDriveIdRequired",
			"The driveId parameter must be specified if and only if corpora is set to drive.")
	}
	if driveID != "" {
		if _, err := c.store.Drive(driveID); err != nil {
			return &apiError{status: http.StatusNotFound, reason: "notFound", message: "Shared drive not found: " + driveID,
				location: "driveId", locationType: "parameter"}
		}
		l.scope.DriveID = driveID
	}
	switch spaces := c.q.Get("spaces"); spaces {
	case "", "drive", "appDataFolder", "photos":
		l.scope.Space = spaces
	default:
		return errInvalid("spaces", errors.New("want drive or appDataFolder"))
	}
	return nil
}
