// Package copier is the healthy part of every specimen: a small Drive -> S3 copy engine on plain net/http whose memory
// is bounded by its workers, with seams ([Hooks]) at which a specimen puts its one fault.
//
// It lists folders depth first in small pages, hands the files to a bounded queue, and each worker pipes one media
// body into one PUT. It copies binary files only, under the key prefix/id. It is not a migrator: it doesn't resume,
// verify or export, and it retries a transfer twice, no more.
package copier
