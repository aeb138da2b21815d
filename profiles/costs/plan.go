package costs

// Plan is the work that a capacity has to hold for.
type Plan struct {
	Limit int64 // of the memory cgroup, bytes
	// LargestFile is in bytes; 0: as large as the largest files that the run held.
	LargestFile int64
	// Files is the planned number of files; 0: DefaultPlannedFiles.
	Files int64
	// Workers is the count that the largest file is asked for, and without a limit the smallest limit; 0: as many as the
	// largest sound trial had.
	Workers int
}

// Default amounts of planned work.
const (
	DefaultPlannedFiles = 1_000_000
	DefaultLargestFile  = 5 << 30
)
