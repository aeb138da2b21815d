//go:build ignore

// Gen writes schema.json from the discovery document in the google.golang.org/api module.
package main

import (
	"encoding/json"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

type schema struct {
	Ref                  string             `json:"$ref"`
	Properties           map[string]*schema `json:"properties"`
	Items                *schema            `json:"items"`
	AdditionalProperties *schema            `json:"additionalProperties"`
}

// shape is nil for a scalar, "@Name" for another resource, and an object of shapes otherwise; "*" is any key.
func (s *schema) shape() any {
	switch {
	case s.Ref != "":
		return "@" + s.Ref
	case s.Items != nil:
		return s.Items.shape()
	case s.Properties != nil:
		m := map[string]any{}
		for name, p := range s.Properties {
			m[name] = p.shape()
		}
		return m
	case s.AdditionalProperties != nil:
		return map[string]any{"*": s.AdditionalProperties.shape()}
	}
	return nil
}

func main() {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/api").Output()
	if err != nil {
		log.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "drive", "v3", "drive-api.json"))
	if err != nil {
		log.Fatal(err)
	}
	var doc struct {
		Schemas map[string]*schema `json:"schemas"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		log.Fatal(err)
	}
	keep := map[string]any{}
	for _, name := range []string{"About", "Change", "ChangeList", "ContentRestriction", "Drive", "DriveList", "File",
		"FileList",
		"GeneratedIds", "Label", "LabelField", "LabelList", "ModifyLabelsResponse", "Permission", "PermissionList",
		"Revision", "RevisionList",
		"StartPageToken", "TeamDrive", "TeamDriveList", "User"} {
		if doc.Schemas[name] == nil {
			log.Fatalf("the discovery document has no %s", name)
		}
		keep[name] = doc.Schemas[name].shape()
	}
	out, err := json.MarshalIndent(keep, "", " ")
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("schema.json", append(out, '\n'), 0o644); err != nil {
		log.Fatal(err)
	}
}
