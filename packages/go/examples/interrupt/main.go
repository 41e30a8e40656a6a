// The user may speak over the agent; what was heard until then is known to the handler.
package main

import (
	"context"

	parley "github.com/parley-dev/parley/packages/go"
)

const story = "Once upon a time there was a teapot that could not keep a secret, and this is what it told everybody."

func tell(ctx context.Context, session *parley.Session) error {
	var told parley.Spoken
	for _, err := range session.Turns(ctx) {
		if err != nil {
			return err
		}
		words := story
		if told.Interrupted {
			words = "You stopped me after: " + told.SpokenText
		}
		if told, err = session.Say(ctx, words); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	app := parley.New("interrupt")
	app.Session("voice", "simulator", "websocket", tell)
	app.Run()
}
