module github.com/memsoak/memsoak/examples/memtest-library

go 1.23

require github.com/memsoak/memsoak/profiles/memtest v0.0.0

// Outside this repository: go get github.com/memsoak/memsoak/profiles/memtest
replace github.com/memsoak/memsoak/profiles/memtest => ../../profiles/memtest
