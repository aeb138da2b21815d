// Package report turns a run's directory into what a person looks at: report.html, one self-contained page that works
// offline and on paper, and report.md for a pull request.
//
// It reads the files that are there ([Load]) and shows them; it measures nothing and judges nothing. A damaged or
// unfinished run is shown in part, with its gaps named. Text from a run (function names, file names, reasons) is never
// trusted: it reaches the page through html/template alone.
package report
