package fold

import (
	"encoding/json"
	"os"
	"testing"
)

// The problems in testdata/inputs.json are those that the control plane's validator finds; packages/core/src holds the
// same file against it.
func TestInputsAreRefusedInTheWordsOfTheControlPlane(t *testing.T) {
	text, err := os.ReadFile("testdata/inputs.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Schema  json.RawMessage `json:"schema"`
		Raw     json.RawMessage `json:"input"`
		Problem string          `json:"problem"`
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 100 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, one := range cases {
		input, err := parse(one.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := inputProblem(one.Schema, input); got != one.Problem {
			t.Errorf("%s of %s: got %q, the control plane says %q", one.Schema, one.Raw, got, one.Problem)
		}
	}
}
