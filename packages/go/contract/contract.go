// Package contract is what Parley's parts say to each other: the types of every frame and body, the check that gives
// the same words in every language, declarations, ids and errors. It does no I/O.
package contract

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"
)

//go:embed contract.gen.json
var source []byte

// Capability is what a provider serves over one transport.
type Capability struct {
	Via           string   `json:"via"`
	Media         []string `json:"media"`
	Modalities    []string `json:"modalities"`
	TurnDetection []string `json:"turn_detection"`
	PushToTalk    bool     `json:"push_to_talk"`
}

// A tables is the contract as it is generated: definitions by name, and the constants.
type tables struct {
	Defs    map[string]*schema `json:"defs"`
	Catalog struct {
		Schemas    map[string]string `json:"schemas"`
		ErrorCodes map[string]struct {
			Number    int  `json:"number"`
			HTTP      int  `json:"http"`
			Retryable bool `json:"retryable"`
		} `json:"error_codes"`
		IDPrefixes map[string]string `json:"id_prefixes"`
		Patterns   struct {
			Name   string `json:"name"`
			Target string `json:"target"`
		} `json:"patterns"`
		Limits                map[string]int64          `json:"limits"`
		Times                 map[string]int64          `json:"times"`
		DeclarationDefaults   map[string]any            `json:"declaration_defaults"`
		TurnDetectionDefaults map[string]map[string]any `json:"turn_detection_defaults"`
	} `json:"catalog"`
	Capabilities struct {
		Providers []struct {
			Provider   string                `json:"provider"`
			Transports map[string]Capability `json:"transports"`
		} `json:"providers"`
	} `json:"capabilities"`
}

var loaded = sync.OnceValue(func() *tables {
	var t tables
	if err := json.Unmarshal(source, &t); err != nil {
		panic(fmt.Sprintf("parley: the embedded contract is broken: %v", err))
	}
	return &t
})

// Limit is a size that every implementation keeps, by its name in schemas/README.md. It panics on a name that is not
// there: names are constants of the program.
func Limit(name string) int64 {
	return constant(loaded().Catalog.Limits, name)
}

// TimeMS is a time in milliseconds that every implementation keeps, by its name in schemas/README.md.
func TimeMS(name string) int64 {
	return constant(loaded().Catalog.Times, name)
}

func constant(from map[string]int64, name string) int64 {
	value, ok := from[name]
	if !ok {
		panic(fmt.Sprintf("parley: the contract has no constant %q", name))
	}
	return value
}
