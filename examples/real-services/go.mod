module github.com/memsoak/memsoak/examples/real-services

go 1.26
