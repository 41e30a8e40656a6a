// A handler answers each turn: it calls a skill and says what came back.
package main

import (
	"context"
	"log"

	parley "github.com/parley-dev/parley/packages/go"
)

type Text struct {
	Text string `json:"text"`
}

func main() {
	// sample begins
	app := parley.Must(parley.NewAgent("echo"))
	repeat := parley.Must(parley.RegisterSkill(app, "repeat", func(_ context.Context, in Text) (Text, error) {
		return Text{"You said: " + in.Text}, nil
	}))
	err := app.RegisterSession("voice", "simulator", "websocket", func(ctx context.Context, session *parley.Session) error {
		for turn, err := range session.Turns(ctx) {
			if err != nil {
				return err
			}
			answer, err := repeat.Call(ctx, session, Text{turn.Text})
			if err != nil {
				return err
			}
			if _, err := session.Say(ctx, answer.Text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(app.Serve(context.Background()))
	// sample ends
}
