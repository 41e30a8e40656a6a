package parley_test

import (
	"context"
	"errors"
	"fmt"
	"log"

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
