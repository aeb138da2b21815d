// Package office turns office files into text and text into office files, as far as a fake Drive needs it: an import
// keeps the words, an export is a file of the right format with them. It is not a converter: layout, formulas and
// pictures are lost, and of the old binary formats only runs of readable characters survive.
package office
