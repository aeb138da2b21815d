// Package fit says what a quantity grows with. A [Quantity] is something measured in every snapshot: a site's live
// bytes, a group of goroutines, a part of the process. [Units] are what may explain it. [Retained] fits what stays from
// floor to floor, [HeldTerms] what held states have and rest has not; a [Term] is one unit with its slope.
//
// Whether a term is believed, and what it is called, is for package classes.
package fit
