package query

// Field is a search term.
type Field int

// The search terms of files.list, then those that only drives.list knows.
const (
	Name Field = iota + 1
	FullText
	MimeType
	ModifiedTime
	ViewedByMeTime
	CreatedTime
	Trashed
	Starred
	SharedWithMe
	Parents
	Owners
	Writers
	Readers
	Labels
	Properties
	AppProperties
	Visibility
	ShortcutTarget
	MemberCount
	OrganizerCount
	Hidden
)

// Domain selects the terms that a query may use.
type Domain int

// The two domains of Drive.
const (
	Files Domain = iota
	Drives
)

type valueKind int

const (
	textValue valueKind = iota
	timeValue
	boolValue
	intValue
	collection // 'x' in field
	properties // field has {...}
	labelValue // 'labels/ID' in labels
)

type fieldSpec struct {
	field Field
	kind  valueKind
	ops   []Op
	enum  []string // allowed values, if limited
}

var (
	textOps = []Op{Contains, Eq, Ne}
	timeOps = []Op{Le, Lt, Eq, Ne, Gt, Ge}
	boolOps = []Op{Eq, Ne}
)

var fileFields = map[string]fieldSpec{
	"name":                     {field: Name, ops: textOps},
	"fullText":                 {field: FullText, ops: []Op{Contains}},
	"mimeType":                 {field: MimeType, ops: textOps},
	"modifiedTime":             {field: ModifiedTime, kind: timeValue, ops: timeOps},
	"viewedByMeTime":           {field: ViewedByMeTime, kind: timeValue, ops: timeOps},
	"createdTime":              {field: CreatedTime, kind: timeValue, ops: timeOps},
	"trashed":                  {field: Trashed, kind: boolValue, ops: boolOps},
	"starred":                  {field: Starred, kind: boolValue, ops: boolOps},
	"sharedWithMe":             {field: SharedWithMe, kind: boolValue, ops: boolOps},
	"parents":                  {field: Parents, kind: collection, ops: []Op{In}},
	"owners":                   {field: Owners, kind: collection, ops: []Op{In}},
	"writers":                  {field: Writers, kind: collection, ops: []Op{In}},
	"readers":                  {field: Readers, kind: collection, ops: []Op{In}},
	"labels":                   {field: Labels, kind: labelValue, ops: []Op{In}},
	"properties":               {field: Properties, kind: properties, ops: []Op{Has}},
	"appProperties":            {field: AppProperties, kind: properties, ops: []Op{Has}},
	"shortcutDetails.targetId": {field: ShortcutTarget, ops: []Op{Eq, Ne}},
	"visibility": {field: Visibility, ops: []Op{Eq, Ne},
		enum: []string{"anyoneCanFind", "anyoneWithLink", "domainCanFind", "domainWithLink", "limited"}},
}

var driveFields = map[string]fieldSpec{
	"name":           {field: Name, ops: textOps},
	"createdTime":    {field: CreatedTime, kind: timeValue, ops: timeOps},
	"hidden":         {field: Hidden, kind: boolValue, ops: boolOps},
	"memberCount":    {field: MemberCount, kind: intValue, ops: timeOps},
	"organizerCount": {field: OrganizerCount, kind: intValue, ops: timeOps},
}

// Op is an operator between a term and its value.
type Op int

// The operators.
const (
	Eq Op = iota + 1
	Ne
	Lt
	Le
	Gt
	Ge
	Contains
	In
	Has
)

var opNames = map[string]Op{"=": Eq, "!=": Ne, "<": Lt, "<=": Le, ">": Gt, ">=": Ge, "contains": Contains, "in": In,
	"has": Has}

func (o Op) String() string {
	for name, v := range opNames {
		if v == o {
			return name
		}
	}
	return "?"
}
