// A handler answers each turn: it calls a skill and says what came back.
package main

import (
	"context"

	parley "github.com/parley-dev/parley/packages/go"
)

type Text struct {
	Text string `json:"text"`
}

func main() {
	// sample begins
	app := parley.New("echo")
	repeat := parley.Skill(app, "repeat", func(_ context.Context, in Text) (Text, error) {
		return Text{"You said: " + in.Text}, nil
	})
	answer := func(ctx context.Context, session *parley.Session, turn *parley.Turn) error {
		said, err := repeat.Call(ctx, session, Text{turn.Text})
		if err == nil {
			_, err = session.Say(ctx, said.Text)
		}
		return err
	}
	app.Session("voice", "simulator", "websocket", parley.EachTurn(answer))
	app.Run()
	// sample ends
}
