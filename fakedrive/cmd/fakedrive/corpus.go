package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
)

func newCorpusCmd() *cobra.Command {
	return command.Group("corpus", "Show the synthetic Drives that can be served",
		newCorpusListCmd(), newCorpusShowCmd())
}

func newCorpusListCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the presets",
		Example: "  fakedrive corpus list",
		Args:    command.Args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return listCorpora(c.OutOrStdout(), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// corpusLine is one line of the list of presets.
type corpusLine struct {
	Name    string `json:"name"`
	Purpose string `json:"purpose"`
	Files   int64  `json:"files"`
	Folders int64  `json:"folders"`
	Bytes   int64  `json:"bytes"`
}

func listCorpora(w io.Writer, asJSON bool) error {
	var lines []corpusLine
	for _, name := range corpus.Presets() {
		text, err := corpus.PresetText(name)
		if err != nil {
			return err
		}
		tree, err := loadTree(name, 1)
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(string(text), "\n")
		s := tree.Stats()
		lines = append(lines, corpusLine{name, strings.TrimPrefix(first, "# "), s.Files, s.Folders, s.Bytes})
	}
	if asJSON {
		return printJSON(w, lines)
	}
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "NAME\tFILES\tFOLDERS\tBYTES\tPURPOSE")
	for _, l := range lines {
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\n", l.Name, units.Comma(l.Files), units.Comma(l.Folders),
			units.FormatBytes(l.Bytes), l.Purpose)
	}
	return tab.Flush()
}

// loadTree returns the tree of a preset or of a spec's file.
func loadTree(nameOrFile string, generation uint64) (*corpus.Tree, error) {
	spec, err := loadCorpus(nameOrFile)
	if err != nil {
		return nil, err
	}
	tree, err := corpus.New(spec, generation)
	if err != nil {
		return nil, exitcode.Usage(err)
	}
	return tree, nil
}

// specHelp is a spec with every key.
const specHelp = `  seed: 1               # another seed is another tree
  files: 1000           # everything but folders
  folders: 50           # below the root
  depth: 3              # levels of folders; without it, as few as fan_out allows
  fan_out: 4            # mean number of folders in a folder
  spread: varied        # how files and folders are dealt to folders; or even
  place: everywhere     # or deepest: no files but in the deepest folders
  size:                 # or one size for all: size: 64KiB
    classes:            # or one of the distributions alone
      - {share: 1, fixed: 1MiB}
      - {share: 2, uniform: {min: 0, max: 8KiB}}
      - {share: 3, lognormal: {median: 64KiB, sigma: 2, min: 1, max: 64MiB}}
      - {share: 4, pareto: {min: 1KiB, alpha: 1.1, max: 1GiB}}
  export_size: 40KiB    # of documents; takes the same as size
  kinds: {documents: 3%, spreadsheets: 2%, presentations: 1%, shortcuts: 5, dangling: 2}
  flags: {starred: 1%, shared_with_me: 1%, trashed: 10, trashed_folders: 2}
  names: {duplicates: 1%, slashes: 5, quotes: 5, emoji: 5, long: 5, spaces: 5}
  shared_drive: Team    # the tree is a shared drive of this name
`

func newCorpusShowCmd() *cobra.Command {
	var asJSON, asSpec bool
	var lines int
	cmd := &cobra.Command{
		Use:   "show NAME|FILE",
		Short: "Print the statistics and a sample of a tree",
		Long: "Print the statistics and a sample of a tree: of a preset, or of the spec in a file. Every key of a spec is " +
			"optional:\n\n" + specHelp,
		Example: "  fakedrive corpus show mixed\n" +
			"  fakedrive corpus show --spec mixed > mine.yaml   # edit it, then:\n" +
			"  fakedrive corpus show mine.yaml",
		Args: command.Args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if asSpec {
				text, err := corpus.PresetText(args[0])
				if err != nil {
					return exitcode.Usage(err)
				}
				_, err = c.OutOrStdout().Write(text)
				return err
			}
			tree, err := loadTree(args[0], 1)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), describeTree(tree, lines))
			}
			return showTree(c.OutOrStdout(), tree, lines)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&asSpec, "spec", false, "print the YAML of a preset")
	cmd.Flags().IntVar(&lines, "sample", 24, "items of the tree to print")
	cmd.MarkFlagsMutuallyExclusive("json", "spec")
	return cmd
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// treeInfo is what `corpus show --json` prints.
type treeInfo struct {
	Name   string       `json:"name"`
	Stats  corpus.Stats `json:"stats"`
	Sample []sampleItem `json:"sample"`
}

// sampleItem is one item of a sample. Path is relative to the root; names in it may contain "/".
type sampleItem struct {
	ID       string      `json:"id"`
	Path     string      `json:"path"`
	Depth    int         `json:"depth"`
	Kind     corpus.Kind `json:"kind"`
	MimeType string      `json:"mimeType"`
	Size     int64       `json:"size"`
	Export   int64       `json:"export_size,omitempty"`
	MD5      string      `json:"md5,omitempty"`
	Trashed  bool        `json:"trashed,omitempty"`
	name     string
	skipped  int64 // siblings behind it that are left out
}

func describeTree(tree *corpus.Tree, lines int) treeInfo {
	return treeInfo{tree.Spec().Name, tree.Stats(), sampleTree(tree, lines)}
}

// sampleTree picks up to lines items, parents before their children: of each folder, the first two folders and the
// first three files.
func sampleTree(tree *corpus.Tree, lines int) []sampleItem {
	sample := []sampleItem{}
	var visit func(folder int64, path string)
	add := func(n int64, path string) string {
		it := tree.Item(n)
		s := sampleItem{ID: tree.ID(n), Path: path + it.Name, Depth: it.Depth, Kind: it.Kind, MimeType: it.MimeType,
			Size: it.Size, Export: it.ExportSize, Trashed: it.Trashed, name: it.Name}
		if it.Kind == corpus.Binary {
			s.MD5 = tree.Sums(n, corpus.MD5).MD5Hex()
		}
		sample = append(sample, s)
		return s.Path + "/"
	}
	visit = func(folder int64, path string) {
		first, count := tree.Children(folder)
		folders := tree.Subfolders(folder)
		files := first + folders
		for n := files; n < min(files+3, first+count) && len(sample) < lines; n++ {
			add(n, path)
			if n == files+2 {
				sample[len(sample)-1].skipped = first + count - n - 1
			}
		}
		for n := first; n < min(first+2, files) && len(sample) < lines; n++ {
			at := len(sample)
			below := add(n, path)
			if n == first+1 {
				sample[at].skipped = files - n - 1
			}
			visit(n, below)
		}
	}
	visit(tree.Root(), "")
	return sample
}

func showTree(w io.Writer, tree *corpus.Tree, lines int) error {
	s := tree.Stats()
	bytes := units.FormatBytes
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tab, "corpus\t%s\n", tree.Spec().Name)
	fmt.Fprintf(tab, "files\t%s: %s binaries, %s documents, %s shortcuts (%s dangling)\n", units.Comma(s.Files),
		units.Comma(s.Binaries), units.Comma(s.Documents), units.Comma(s.Shortcuts), units.Comma(s.Dangling))
	fmt.Fprintf(tab, "folders\t%s, %d levels deep, at most %s items in one\n", units.Comma(s.Folders), s.Depth,
		units.Comma(s.MaxChildren))
	fmt.Fprintf(tab, "bytes\t%s in binaries from %s to %s, %s in exports\n", bytes(s.Bytes), bytes(s.Smallest),
		bytes(s.Largest), bytes(s.ExportBytes))
	fmt.Fprintf(tab, "to download\t%s files, %s\n", units.Comma(s.Downloadable), bytes(s.DownloadBytes))
	fmt.Fprintf(tab, "flags\t%s starred, %s shared with me, %s in the trash\n", units.Comma(s.Starred),
		units.Comma(s.SharedWithMe), units.Comma(s.Trashed))
	if name := tree.SharedDrive(); name != "" {
		fmt.Fprintf(tab, "shared drive\t%s\n", name)
	}
	fmt.Fprintln(tab, "\nSIZE FROM\tFILES\tBYTES")
	for _, bar := range s.Sizes {
		fmt.Fprintf(tab, "%s\t%s\t%s\n", bytes(bar.From), units.Comma(bar.Files), bytes(bar.Bytes))
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	return showSample(w, tree, sampleTree(tree, lines))
}

func showSample(w io.Writer, tree *corpus.Tree, sample []sampleItem) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s (%s)\n", tree.Item(tree.Root()).Name, tree.ID(tree.Root()))
	for _, it := range sample {
		indent := strings.Repeat("  ", it.Depth)
		switch it.Kind {
		case corpus.Folder:
			fmt.Fprintf(&b, "%s%s/\n", indent, it.name)
		case corpus.Binary:
			fmt.Fprintf(&b, "%s%s  %s\n", indent, it.name, units.FormatBytes(it.Size))
		default:
			fmt.Fprintf(&b, "%s%s  (%s)\n", indent, it.name, it.Kind)
		}
		if it.skipped > 0 && it.Kind != corpus.Folder {
			fmt.Fprintf(&b, "%s... %s more files\n", indent, units.Comma(it.skipped))
		}
	}
	fmt.Fprintf(&b, "... %s items in all\n", units.Comma(tree.Len()))
	_, err := io.WriteString(w, b.String())
	return err
}
