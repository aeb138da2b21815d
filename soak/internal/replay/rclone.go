package replay

import "strings"

// Rclone is what was found of rclone.
type Rclone struct{}

func (r *Rclone) markdown(*strings.Builder) {}
