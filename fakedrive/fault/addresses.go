package fault

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// WriteFile writes the addresses as JSON to a file, whole or not at all: who waits for the file never reads half.
func (a Addresses) WriteFile(name string) error {
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return fmt.Errorf("write address file: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".addresses-*")
	if err != nil {
		return fmt.Errorf("write address file: %w", err)
	}
	defer os.Remove(f.Name()) // gone already if all went well
	_, err = f.Write(append(b, '\n'))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("write address file: %w", err)
	}
	return nil
}
