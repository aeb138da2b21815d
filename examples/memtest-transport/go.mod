// The path lies below migrator, so that the example may use its internal packages.
module github.com/memsoak/memsoak/migrator/examples/memtest-transport

go 1.26.0

require (
	github.com/memsoak/memsoak v0.0.0
	github.com/memsoak/memsoak/profiles/memtest v0.0.0
)

require github.com/goccy/go-yaml v1.19.2 // indirect

replace github.com/memsoak/memsoak => ../..

replace github.com/memsoak/memsoak/profiles/memtest => ../../profiles/memtest
