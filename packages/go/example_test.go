package parley_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

	parley "github.com/parley-dev/parley/packages/go"
	"github.com/parley-dev/parley/packages/go/contract"
)

// Work that a turn asked for ends when the user speaks over its answer.
func ExampleTurn_Context() {
	handler := func(ctx context.Context, session *parley.Session) error {
		for turn, err := range session.Turns(ctx) {
			if err != nil {
				return err
			}
			var found struct{ Answer string }
			err = session.Call(turn.Context(), "look_up", turn, &found)
			var failure *parley.Error
			if errors.As(err, &failure) && failure.Code == "cancelled" {
				continue
			}
			if err != nil {
				return err
			}
			if _, err := session.Say(turn.Context(), found.Answer); err != nil && turn.Context().Err() == nil {
				return err
			}
		}
		return nil
	}
	app, err := parley.NewAgent("support")
	if err == nil {
		err = app.RegisterSession("voice", "openai", "websocket", handler)
	}
	fmt.Println(err)
	// Output: <nil>
}

// A client follows the log of a session, and goes on where it stopped.
func ExampleClient() {
	client, err := parley.NewClient(parley.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	session, err := client.Sessions.Start(ctx, "support.voice", contract.StartRequest{})
	if err != nil {
		log.Fatal(err)
	}
	last := int64(41)
	for event, err := range client.Sessions.Tail(ctx, session.SessionID, last) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event["seq"], event["type"])
	}
}

// A log that was exported (`parley session tail ID --json`) says what was true of its session, without a control plane.
func ExampleFoldSession() {
	exported := strings.NewReader(`
{"seq":1,"at_ms":1000,"type":"session.created","session_id":"sess_1","workflow_id":"wf_1","execution_id":"exec_1","agent":"support","target":"support.voice","declaration":{"name":"voice","provider":"simulator","transport":"websocket"},"tools":[{"name":"find_order","target":"support.find_order","kind":"skill"}],"metadata":{}}
{"seq":2,"at_ms":1100,"type":"client.attached","connection_id":"conn_1"}
{"seq":3,"at_ms":1200,"type":"provider.connected"}
{"seq":4,"at_ms":1300,"type":"tool.called","call_id":"call_1","name":"find_order","arguments":"{}","execution_id":"exec_2","source":"model"}
`)
	records, err := parley.ReadLog(exported)
	if err != nil {
		log.Fatal(err)
	}
	state, err := parley.FoldSession(records)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(state.Phase, state.Calls[0].Name, state.Calls[0].ExecutionID)
	// What the last entry made the control plane do:
	before, _ := parley.FoldSession(records[:3])
	_, effects, _ := parley.Step(before, records[3])
	for _, effect := range effects {
		fmt.Printf("%T\n", effect)
	}
	// Output:
	// live find_order exec_2
	// fold.RecordEvent
}
