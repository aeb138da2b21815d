// Package costs is the table of costs, bytes per unit of work, and what it comes to for planned work. Findings, model,
// gate and report take growth from here alone, so no two of them can disagree.
package costs
