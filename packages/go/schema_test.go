package parley

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/parley-dev/parley/packages/go/contract"
)

type address struct {
	Street string `json:"street"`
}

type order struct {
	address
	ID       string         `json:"id" description:"The number."`
	Status   string         `json:"status,omitempty" enum:"packed,shipped"`
	Count    *int           `json:"count"`
	Prices   []float64      `json:"prices"`
	ByName   map[string]int `json:"by_name,omitzero"`
	At       time.Time      `json:"at"`
	Anything any            `json:"anything"`
	hidden   int
	Skipped  string `json:"-"`
}

func TestTheSchemaOfAStructIsWhatEncodingJSONMakesOfIt(t *testing.T) {
	_ = order{}.hidden
	schema, err := schemaOf[order]("x")
	must(t, err)
	want := `{"type":"object","properties":{"street":{"type":"string"},"id":{"type":"string","description":"The number."},` +
		`"status":{"type":"string","enum":["packed","shipped"]},"count":{"anyOf":[{"type":"integer"},{"type":"null"}]},` +
		`"prices":{"type":"array","items":{"type":"number"}},` +
		`"by_name":{"type":"object","additionalProperties":{"type":"integer"}},"at":{"type":"string"},"anything":{}},` +
		`"required":["street","id","prices","at","anything"]}`
	if got := string(frameText(schema)); got != want {
		t.Errorf("got %s", got)
	}
}

type node struct {
	Next *node `json:"next"`
}

func TestATypeWithoutAJSONFormIsRefusedWhenItIsRegistered(t *testing.T) {
	app := newAgent(t, "support")
	_, err := RegisterSkill(app, "walk", func(context.Context, node) (int, error) { return 0, nil })
	var failure *Error
	if !errors.As(err, &failure) || failure.Message != "the input of support.walk has no JSON form: Next: parley.node holds itself" {
		t.Errorf("a type that holds itself: %v", err)
	}
	if _, err := RegisterSkill(app, "call", func(context.Context, func()) (int, error) { return 0, nil }); err == nil {
		t.Error("a function as an input was accepted")
	}
}

func TestWhatIsRegisteredTwiceOrWrongIsRefused(t *testing.T) {
	app := newAgent(t, "support")
	_, err := RegisterSkill(app, "double", double)
	must(t, err)
	for name, attempt := range map[string]func() error{
		"already_exists: agent support has a function 'double' already": func() error {
			_, err := RegisterReasoner(app, "double", double)
			return err
		},
		"invalid_argument: timeout_ms must be at least 1": func() error {
			_, err := RegisterSkill(app, "other", double, WithTimeoutMS(0))
			return err
		},
		"invalid_argument: Session provider is required; Parley does not infer providers.": func() error {
			return app.RegisterSession("voice", "", "websocket", nil)
		},
		"invalid_argument: tags must not name 'a' twice.": func() error {
			return app.RegisterSession("voice", "simulator", "websocket", nil, WithSessionTags("a", "a"))
		},
		"invalid_argument: turn_detection.threshold must be at most 1": func() error {
			return app.RegisterSession("voice", "simulator", "websocket", nil,
				WithSessionTurnDetection(ServerVAD(contract.ServerVad{Threshold: new(2.0)})))
		},
		"invalid_argument: an agent's name must match ^[a-z][a-z0-9_-]{0,63}$, got 'No'": func() error {
			_, err := NewAgent("No")
			return err
		},
	} {
		if err := attempt(); err == nil || err.Error() != name {
			t.Errorf("expected %q, got %v", name, err)
		}
	}
}

func TestAnIntegerMayBeWrittenWithAPoint(t *testing.T) {
	var input doubleInput
	must(t, decodeLoosely([]byte(`{"n": 5e2}`), &input))
	if input.N != 500 {
		t.Errorf("got %d", input.N)
	}
	var large struct {
		N json.Number `json:"n"`
		I int64       `json:"i"`
	}
	must(t, decodeLoosely([]byte(`{"n": 1, "i": 9007199254740993}`), &large))
	if large.I != 9007199254740993 {
		t.Errorf("got %d", large.I)
	}
}
