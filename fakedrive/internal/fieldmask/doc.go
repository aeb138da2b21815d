// Package fieldmask is the fields parameter of Google's APIs: files(id,owners/emailAddress),nextPageToken. A mask is
// checked against the published shape of the resource, so that an unknown field is refused as Drive refuses it.
//
// The shapes in schema.json come from the discovery document of Drive v3; go generate renews them. The package selects
// fields; it is not for encoding resources.
package fieldmask

//go:generate go run gen.go
