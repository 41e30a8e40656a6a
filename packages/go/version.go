package parley

import (
	_ "embed"
	"encoding/json"
)

//go:embed package.json
var manifest []byte

// Version of this module, as it names itself to the control plane. It is that of package.json, which a release raises
// together with the packages of the other languages.
var Version = versionOf(manifest)

func versionOf(manifest []byte) string {
	var fields struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(manifest, &fields); err != nil || fields.Version == "" {
		panic("package.json of the Go module names no version")
	}
	return fields.Version
}
