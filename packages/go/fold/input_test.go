package fold

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// The problems in testdata/inputs.jsonl are those that the control plane's validator finds; packages/core/src holds the
// same file against it.
func TestInputsAreRefusedInTheWordsOfTheControlPlane(t *testing.T) {
	text, err := os.ReadFile("testdata/inputs.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) < 100 {
		t.Fatalf("only %d cases", len(lines))
	}
	for _, line := range lines {
		var one struct {
			Schema  json.RawMessage `json:"schema"`
			Raw     json.RawMessage `json:"input"`
			Problem string          `json:"problem"`
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		input, err := parse(one.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := inputProblem(one.Schema, input); got != one.Problem {
			t.Errorf("%s of %s: got %q, the control plane says %q", one.Schema, one.Raw, got, one.Problem)
		}
	}
}
