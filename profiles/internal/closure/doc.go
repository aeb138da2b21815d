// Package closure adds up what findings explain and says what they leave: of growth between floors, of held states, of
// memory beside the heap. Each hypothesis is found, excluded with its detection limit, or open with what would decide.
package closure
