module github.com/memsoak/memsoak/profiles/memtest

go 1.23
