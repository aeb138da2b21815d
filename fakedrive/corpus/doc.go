// Package corpus is a synthetic Drive as a pure function: of a small spec, a seed and a generation.
package corpus
