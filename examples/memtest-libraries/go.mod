module github.com/memsoak/memsoak/examples/memtest-libraries

go 1.23
