package parley

import (
	"os"
	"strings"
	"testing"
)

func TestTheVersionIsThatOfThePackage(t *testing.T) {
	manifest, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(manifest), `"version": "`+Version+`"`) {
		t.Fatalf("Version is %s, and package.json says another", Version)
	}
	if got := versionOf([]byte(`{"version": "4.5.6"}`)); got != "4.5.6" {
		t.Fatalf("expected 4.5.6, got %s", got)
	}
}
