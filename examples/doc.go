// Package examples holds the smallest programs that memsoak can measure, and the files that go with them. They import
// none of memsoak: to be measured a service needs nothing of it. The tests here run each of them.
package examples
