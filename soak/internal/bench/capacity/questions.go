package main

import "github.com/memsoak/memsoak/soak"

// asks are the questions about a subject.
type asks int

const (
	workers       asks = iota // how many workers fit, each with a file of the question's size
	files                     // how many files fit
	smallestLimit             // soak limit: the smallest limit that survives
)

// question is a subject and the questions about it below each of its limits (bytes).
type question struct {
	name    string
	asks    asks
	subject string // a subject's name, or its file
	set     soak.Cell
	size    int64 // of a file, bytes
	limits  []int64
}

const mib = 1 << 20

const specimens = "soak/specimens/subject.yaml"

// specimen is a question of how many workers fit.
func specimen(name string, size int64, limits ...int64) question {
	for i := range limits {
		limits[i] *= mib
	}
	return question{name: name, subject: specimens, set: soak.Cell{"specimen": name}, size: size * mib, limits: limits}
}

func leak(name string, limits ...int64) question {
	q := specimen(name, 0, limits...)
	q.name, q.asks, q.size = name+" (files)", files, 1<<10
	return q
}

func replay(version string, limits ...int64) question {
	q := specimen("replay "+version, 16, limits...)
	q.subject, q.set = "replay", soak.Cell{"preset": version}
	return q
}

func other(name string, limits ...int64) question {
	q := specimen(name, 16, limits...)
	q.subject, q.set = name, nil
	return q
}

// library is a copier that uploads by a library of other people, in the module uploaders.
func library(name string, limits ...int64) question {
	q := specimen(name, 16, limits...)
	q.subject, q.set = "soak/internal/bench/capacity/uploaders/subject.yaml", soak.Cell{"uploader": name}
	return q
}

func smallest(name string) question {
	q := specimen(name, 0, 0)
	q.name, q.asks, q.set["workers"] = name+" (limit)", smallestLimit, "6"
	return q
}

// questions are subjects for workers, a third of them other people's uploaders: the libraries, rclone, the SDKs of AWS and
// minio in specimens and in the migrator. Then what grows with the files, and soak limit.
var questions = []question{
	library("aws-v1", 128, 192, 256),
	library("minio-known", 48, 64, 96),
	library("minio-parallel", 96, 128, 192),
	library("minio-small", 96, 128, 192),
	library("gocloud", 128, 192, 256),
	library("objstore", 128, 192, 256),
	library("distribution", 128, 192, 256),
	library("tusd", 64, 96, 128),
	specimen("file-string", 12, 128, 192, 256),
	specimen("file-chunks", 16, 128, 192, 256),
	specimen("file-sized", 16, 128, 192, 256),
	specimen("worker-manager", 16, 128, 192, 256),
	specimen("worker-scratch", 16, 40, 56, 72),
	specimen("worker-parts", 16, 64, 96, 128),
	specimen("file-tee", 16, 128, 192, 256),
	specimen("file-hex", 16, 128, 192, 256),
	specimen("file-readall", 16, 128, 192, 256),
	specimen("file-bytesbuffer", 16, 128, 192, 256),
	specimen("file-sdk", 16, 128, 192, 256),
	specimen("file-transfermanager", 16, 128, 192, 256),
	specimen("worker-minio", 16, 96, 192, 256),
	specimen("worker-part", 16, 64, 96, 128),
	specimen("worker-pool", 16, 64, 96, 128),
	specimen("worker-zstd", 16, 96, 128, 192),
	specimen("worker-h2window", 16, 64, 96, 128),
	specimen("offheap-file", 16, 128, 192, 256),
	specimen("tmpfs-spool", 16, 128, 192, 256),
	replay("v2.3.6", 128, 192, 256),
	replay("v2.3.8", 128, 192, 256),
	replay("v2.4.0", 128, 192, 256),
	other("migrator", 48, 64, 96),
	other("rclone", 128, 192, 256),
	leak("leak-map", 48, 64, 96),
	leak("leak-registry", 48, 64, 96),
	leak("leak-subslice", 40, 48, 64),
	leak("routine-send", 48, 64, 96),
	smallest("file-readall"),
	smallest("worker-part"),
}
