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

// echo: a handler says what it heard.
func Example_echo() {
	app, err := parley.NewAgent("echo")
	if err != nil {
		log.Fatal(err)
	}
	err = app.RegisterSession("voice", "openai", "websocket",
		func(ctx context.Context, session *parley.Session) error {
			for turn, err := range session.Turns(ctx) {
				if err != nil {
					return err
				}
				if _, err := session.Say(ctx, "You said: "+turn.Text); err != nil {
					return err
				}
			}
			return nil
		},
		parley.WithSessionModel("gpt-realtime-2.1"), parley.WithSessionVoice("marin"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(app.Serve(context.Background()))
}

// tools: the live model answers, and calls a skill.
func Example_tools() {
	app, err := parley.NewAgent("tools")
	if err != nil {
		log.Fatal(err)
	}
	type question struct {
		Order string `json:"order" description:"The number of the order, digits only."`
	}
	_, err = parley.RegisterSkill(app, "find_order", func(ctx context.Context, input question) (string, error) {
		if strings.TrimSpace(input.Order) == "" {
			return "", contract.NewError("invalid_argument", "an order has a number")
		}
		return "It ships on Friday.", nil
	}, parley.WithDescription("Says where an order is."))
	if err != nil {
		log.Fatal(err)
	}
	err = app.RegisterSession("voice", "openai", "websocket", nil, parley.WithSessionTools("find_order"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(app.Serve(context.Background()))
}

// interrupt: work that a turn asked for ends when the user speaks over its answer.
func Example_interrupt() {
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
	app, err := parley.NewAgent("interrupt")
	if err == nil {
		err = app.RegisterSession("voice", "openai", "websocket", handler)
	}
	fmt.Println(err)
	// Output: <nil>
}

// resume: a client follows the log of a session, and goes on where it stopped.
func Example_resume() {
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
