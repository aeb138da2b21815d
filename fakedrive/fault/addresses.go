package fault

import (
	"encoding/json"
	"fmt"

	"github.com/memsoak/memsoak/internal/replace"
)

// WriteFile writes the addresses as JSON to a file, whole or not at all: who waits for the file never reads half.
func (a Addresses) WriteFile(name string) error {
	b, err := json.MarshalIndent(a, "", "  ")
	if err == nil {
		err = replace.File(name, append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("address file: %w", err)
	}
	return nil
}
