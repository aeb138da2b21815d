// Package buffers has faults that hold much memory per transfer: a fixed amount, or the size of the file; beside them
// are look-alikes whose buffers are small. The line that a verdict should name ends in a comment "fault:NAME".
package buffers

import "github.com/memsoak/memsoak/soak/specimens/specimen"

// All returns the package's specimens.
func All() []specimen.Specimen {
	return []specimen.Specimen{
		{Name: "worker-bufio", Hooks: newBuffered(1 << 20)},
		{Name: "ok-bufio", Hooks: newBuffered(16 << 10)},
		{Name: "worker-part", Hooks: newParts(2 << 20)},
		{Name: "ok-part", Hooks: newParts(32 << 10)},
		{Name: "worker-scratch", Hooks: newScratch(3 << 20)},
		{Name: "ok-scratch", Hooks: newScratch(24 << 10)},
		{Name: "worker-pool", Hooks: newPooled(4 << 20)},
		{Name: "ok-pool", Hooks: newPooled(64 << 10)},
		{Name: "worker-zstd", Hooks: newArchive(zstdWriter)},
		{Name: "worker-gzip", Hooks: newArchive(gzipWriter)},
		{Name: "ok-crc", Hooks: newArchive(crcWriter)},
		{Name: "worker-manager", Hooks: newManager},
		{Name: "worker-parts", Hooks: newPartsOfSDK},
		{Name: "worker-minio", Hooks: newMinio},
		{Name: "worker-h2window", Hooks: newPrefetch(true)},
		{Name: "ok-h2", Hooks: newPrefetch(false)},

		{Name: "file-readall", Hooks: newReadAll},
		{Name: "file-bytesbuffer", Hooks: newGrowing},
		{Name: "file-tee", Hooks: newTee(false)},
		{Name: "ok-tee", Hooks: newTee(true)},
		{Name: "file-sized", Hooks: newSized},
		{Name: "file-chunks", Hooks: newChunks(false)},
		{Name: "ok-chunks", Hooks: newChunks(true)},
		{Name: "file-hex", Hooks: newHex},
		{Name: "file-string", Hooks: newText},
		{Name: "file-largest", Hooks: newLargest(0)},
		{Name: "ok-largest", Hooks: newLargest(32 << 10)},
		{Name: "file-sdk", Hooks: newSeekable},
		{Name: "ok-sdk", Hooks: newStreaming},
		{Name: "file-transfermanager", Hooks: newTransferManager},
	}
}
