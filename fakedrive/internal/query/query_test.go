package query

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// thing is a Subject of plain values.
type thing struct {
	text  map[Field]string
	times map[Field]time.Time
	flags map[Field]bool
	nums  map[Field]int64
	in    map[Field][]string
	props map[Field]map[string]string
}

func (t thing) Text(f Field) string    { return t.text[f] }
func (t thing) Time(f Field) time.Time { return t.times[f] }
func (t thing) Flag(f Field) bool      { return t.flags[f] }
func (t thing) Number(f Field) int64   { return t.nums[f] }
func (t thing) Member(f Field, v string) bool {
	for _, x := range t.in[f] {
		if x == v {
			return true
		}
	}
	return false
}

func (t thing) Property(f Field, k string) (string, bool) {
	v, ok := t.props[f][k]
	return v, ok
}

var report = thing{
	text: map[Field]string{
		Name: "Bob's Quarterly_Report v2.pdf", MimeType: "application/pdf", Visibility: "limited", ShortcutTarget: "T1",
		FullText: "Bob's Quarterly_Report v2.pdf numbers of the last quarter",
	},
	times: map[Field]time.Time{ModifiedTime: time.Date(2025, 6, 4, 12, 0, 0, 0, time.UTC)},
	flags: map[Field]bool{Starred: true},
	in: map[Field][]string{Parents: {"F1"}, Owners: {"bob@example.com"}, Writers: {"bob@example.com"},
		Labels: {"labels/L1"}},
	props: map[Field]map[string]string{Properties: {"mass": "1.3kg"}, AppProperties: {"id": "8e8aceg2af2ge72e78"}},
}

func TestMatch(t *testing.T) {
	for q, want := range map[string]bool{
		"": true,
		`name = 'bob\'s quarterly_report V2.pdf'`:                       true, // a name is compared without regard to case
		`name = "Bob's Quarterly_Report v2.pdf"`:                        true,
		`name != 'x'`:                                                   true,
		`name != 'BOB\'S quarterly_report v2.pdf'`:                      false,
		`name contains 'quart'`:                                         true, // the beginning of a word
		`name contains 'uarterly'`:                                      false,
		`name contains 'report bob'`:                                    true,
		`name contains ''`:                                              false,
		`fullText contains 'numbers quarter'`:                           true,
		`fullText contains 'number'`:                                    false, // whole words
		`fullText contains '"last quarter"'`:                            true,
		`fullText contains '"quarter last"'`:                            false,
		`mimeType = 'application/pdf'`:                                  true,
		`mimeType contains 'application/'`:                              true,
		`mimeType != 'application/pdf'`:                                 false,
		`modifiedTime > '2025-06-04T11:59:59'`:                          true, // UTC without a zone
		`modifiedTime > '2025-06-04T14:00:00+02:00'`:                    false,
		`modifiedTime >= '2025-06-04T14:00:00+02:00'`:                   true,
		`modifiedTime < '2025-06-05'`:                                   true,
		`modifiedTime = '2025-06-04T12:00:00Z'`:                         true,
		`modifiedTime != '2025-06-04T12:00:00Z'`:                        false,
		`viewedByMeTime > '2000-01-01'`:                                 false, // never viewed
		`trashed = false`:                                               true,
		`trashed=true`:                                                  false,
		`trashed != true`:                                               true,
		`starred`:                                                       true,
		`not starred`:                                                   false,
		`sharedWithMe and name contains 'bob'`:                          false,
		`'F1' in parents`:                                               true,
		`parents in 'F1'`:                                               true,
		`not 'F1' in parents`:                                           false,
		`'bob@example.com' in owners`:                                   true,
		`'eve@example.com' in writers or 'bob@example.com' in writers`:  true,
		`'labels/L1' in labels`:                                         true,
		`properties has { key='mass' and value='1.3kg' }`:               true,
		`properties has {key='mass' and value='2kg'}`:                   false,
		`appProperties has { key='id' and value='8e8aceg2af2ge72e78' }`: true,
		`visibility = 'limited'`:                                        true,
		`shortcutDetails.targetId = 'T1'`:                               true,
		`(starred or trashed=true) and not (name='x')`:                  true,
		`trashed=true or starred and name='x'`:                          false, // and binds more tightly
		`(trashed=true or starred) AND NOT name='x'`:                    true,
		`name = 'a\\b'`:                                                 false,
	} {
		p, err := Parse(q, Files)
		require.NoError(t, err, q)
		require.Equal(t, want, p.Match(report), q)
	}
	team := thing{text: map[Field]string{Name: "Team"}, nums: map[Field]int64{MemberCount: 3}}
	p, err := Parse("memberCount >= 3 and organizerCount < 1 and hidden = false and name contains 'te'", Drives)
	require.NoError(t, err)
	require.True(t, p.Match(team))
}

func TestErrorsHaveAPosition(t *testing.T) {
	for q, want := range map[string]struct {
		off int
		msg string
	}{
		"this is a bad query":        {0, "unknown term"},
		"name = 'x":                  {7, "no closing"},
		"name == 'x'":                {6, "want a string"},
		"name ~ 'x'":                 {5, "unexpected character"},
		"name = x":                   {7, "want a string in quotes"},
		"name > 'x'":                 {5, "does not take the operator >"},
		"title = 'x'":                {0, "unknown term"},
		"size > 3":                   {0, "unknown term"},
		"trashed = 'false'":          {10, "want true or false"},
		"trashed = maybe":            {10, "want true or false"},
		"modifiedTime > 'yesterday'": {15, "not an RFC 3339 time"},
		"modifiedTime > 2020":        {15, "want a time in quotes"},
		"(name = 'x'":                {0, "not closed"},
		"name = 'x')":                {10, "unexpected"},
		"name = 'x' name = 'y'":      {11, "want and, or"},
		"and":                        {0, "unknown term"},
		"name = 'x' and":             {14, "want a term"},
		"'x' in":                     {6, "want a term"},
		"'x' in name":                {7, "not a collection"},
		"'x' parents":                {4, "want in"},
		"name":                       {4, "want an operator"},
		"visibility = 'secret'":      {13, "not a value of visibility"},
		"properties has {key='a'}":   {23, "want and"},
		"properties has key":         {15, `want "{"`},
		"properties = 'a'":           {11, "does not take the operator ="},
		"memberCount > 1":            {0, "unknown term"}, // of drives, not of files
		"name ! 'x'":                 {5, "want !="},
		strings.Repeat("(", 100):     {65, "nested deeper"},
		strings.Repeat("not ", 100):  {260, "nested deeper"},
		"name='" + strings.Repeat("a", MaxLen) + "'": {MaxLen, "longer than"},
	} {
		_, err := Parse(q, Files)
		var e *Error
		require.ErrorAs(t, err, &e, q)
		require.Equal(t, want.off, e.Off, "%.60s: %v", q, err)
		require.Contains(t, e.Msg, want.msg, "%.60s", q)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestParentsOfAQuery(t *testing.T) {
	for q, want := range map[string]string{
		"'a' in parents": "a",
		"trashed=false and ('a' in parents or 'b' in parents or 'a' in parents)": "a b",
		"('a' in parents and starred) or 'b' in parents":                         "a b",
		"'a' in parents or starred":                                              "-",
		"not 'a' in parents":                                                     "-",
		"name='x'":                                                               "-",
		"":                                                                       "-",
	} {
		p, err := Parse(q, Files)
		require.NoError(t, err)
		ids, ok := p.Parents()
		require.Equal(t, want != "-", ok, q)
		if ok {
			require.Equal(t, want, strings.Join(ids, " "), q)
		}
	}
	p, err := Parse("sharedWithMe and (trashed=false or trashed!=true)", Files)
	require.NoError(t, err)
	require.True(t, p.Requires(SharedWithMe, true))
	require.True(t, p.Requires(Trashed, false))
	require.False(t, p.Requires(Starred, true))
	require.True(t, p.Uses(Trashed))
	require.False(t, p.Uses(FullText))
}

func FuzzParse(f *testing.F) {
	for _, q := range []string{"", "trashed=false and ('a' in parents)", `name = 'it\'s' or not (starred)`,
		"properties has { key='a' and value='b' }", "modifiedTime > '2020-01-01'", "'x"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, q string) {
		p, err := Parse(q, Files)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Off < 0 || e.Off > len(q) || e.Msg == "" {
				t.Fatalf("%q: bad error %#v", q, err)
			}
			return
		}
		first := p.Match(report)
		if again, err := Parse("not ("+q+")", Files); err == nil && q != "" && again.Match(report) == first {
			t.Fatalf("%q and its negation agree", q)
		}
		if ids, ok := p.Parents(); ok && first {
			found := false
			for _, id := range ids {
				found = found || id == "F1"
			}
			if !found {
				t.Fatalf("%q matches outside of the parents %q", q, ids)
			}
		}
	})
}
