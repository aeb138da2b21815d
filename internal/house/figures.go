package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// binary is a program as the linker left it.
type binary struct {
	bytes    int64
	packages int
}

// build builds a program as a release does, except that its symbols stay, and counts the packages in it.
func build(ctx context.Context, root, pkg string) (binary, error) {
	dir, err := os.MkdirTemp("", "house-")
	if err != nil {
		return binary{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := filepath.Join(dir, "program")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", out, pkg)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	if err := cmd.Run(); err != nil {
		return binary{}, fmt.Errorf("go build %s: %w", pkg, err)
	}
	info, err := os.Stat(out)
	if err != nil {
		return binary{}, err
	}
	list := exec.CommandContext(ctx, "go", "list", "-deps", pkg)
	list.Dir = root
	deps, err := list.Output()
	if err != nil {
		return binary{}, fmt.Errorf("go list -deps %s: %w", pkg, err)
	}
	return binary{bytes: info.Size(), packages: len(strings.Fields(string(deps)))}, nil
}

// figures are the rows of the table.
func (c *counts) figures(soak binary) []figure {
	rooms, floors, chain := c.rooms("soak")
	large := c.large()
	wide := 0
	for _, n := range c.wide {
		wide += n
	}
	source := c.product + c.beside
	return []figure{
		{name: "lines of product", measured: float64(c.product), ask: bound{atMost, 55000}},
		{name: "lines of benches, specimens, replay, examples", measured: float64(c.beside), ask: bound{atMost, 14000}},
		{name: "lines of tests", measured: float64(c.tests)},
		{name: "tests / source", measured: ratio(c.tests, source), ask: bound{atLeast, 0.45}, digits: 2},
		{name: "packages above 1,500 lines", measured: float64(len(large)), ask: bound{atMost, 6}, notes: large},
		{name: "files above 400 lines", measured: float64(len(c.files)), ask: bound{atMost, 0}, notes: c.files},
		{name: "functions above 60 lines", measured: float64(len(c.functions)), ask: bound{atMost, 0}, notes: c.functions},
		{name: "lines above 120 columns", measured: float64(wide), ask: bound{atMost, 0}, notes: most(c.wide)},
		{name: "rooms of soak", measured: float64(len(rooms)), ask: bound{atMost, 30}, notes: rooms},
		{name: "floors of soak", measured: float64(floors), ask: bound{atMost, 7}, notes: chain},
		{name: "direct dependencies", measured: float64(len(c.direct)), ask: bound{atMost, 40}, notes: c.direct},
		{name: "direct dependencies of subjects and examples alone", measured: float64(len(c.onlyOthers()))},
		{name: "bin/soak, MB", measured: float64(soak.bytes) / 1e6, ask: bound{atMost, 45}, digits: 1},
		{name: "packages in bin/soak", measured: float64(soak.packages)},
		{name: "dialect in 1,000 comment lines", measured: 1000 * ratio(c.dialect, c.comments), digits: 1,
			ask: bound{atMost, 2}, notes: most(c.words)},
	}
}

// onlyOthers are requirements of modules beside the product that the product doesn't have.
func (c *counts) onlyOthers() []string {
	return slices.DeleteFunc(slices.Clone(c.others), func(m string) bool { return slices.Contains(c.direct, m) })
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// most are the ten entries with the highest counts.
func most(m map[string]int) []string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if m[a] != m[b] {
			return m[b] - m[a]
		}
		return strings.Compare(a, b)
	})
	var out []string
	for _, k := range keys[:min(10, len(keys))] {
		out = append(out, fmt.Sprintf("%s %d", k, m[k]))
	}
	return out
}

// large are the packages of the product above maxPackage lines.
func (c *counts) large() []string {
	var out []string
	for _, dir := range slices.Sorted(maps.Keys(c.packages)) {
		if n := c.packages[dir].lines; n > maxPackage && !isBeside(dir+"/") {
			out = append(out, fmt.Sprintf("%s %d", dir, n))
		}
	}
	return out
}

// rooms are the product's packages below a folder, the number of floors that they stand on, and the longest chain of
// imports among them, which is one package a floor.
func (c *counts) rooms(below string) (rooms []string, floors int, chain []string) {
	inside := func(dir string) bool {
		return (dir == below || strings.HasPrefix(dir, below+"/")) && !isBeside(dir+"/")
	}
	known := map[string][]string{}
	var longest func(dir string) []string
	longest = func(dir string) []string {
		if got, done := known[dir]; done {
			return got
		}
		var best []string
		for _, to := range c.packages[dir].imports {
			if c.packages[to] == nil || !inside(to) {
				continue
			}
			if l := longest(to); len(l) > len(best) {
				best = l
			}
		}
		known[dir] = append([]string{dir}, best...)
		return known[dir]
	}
	for _, dir := range slices.Sorted(maps.Keys(c.packages)) {
		if !inside(dir) {
			continue
		}
		rooms = append(rooms, dir)
		if l := longest(dir); len(l) > len(chain) {
			chain = l
		}
	}
	return rooms, len(chain), chain
}
