// Pull the cable while it brews: the work goes on, is done once, and its answer comes over the next link.
package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	parley "github.com/parley-dev/parley/packages/go"
)

type pot struct {
	Cups int `json:"cups"`
}

func brew(ctx context.Context, in pot) (pot, error) {
	for cup := 1; cup <= in.Cups; cup++ {
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return pot{}, context.Cause(ctx)
		}
		if err := parley.Current(ctx).Note(fmt.Sprintf("cup %d", cup), nil); err != nil {
			return pot{}, err
		}
	}
	return in, nil
}

func main() {
	app := parley.New("resume")
	kettle := parley.Skill(app, "brew", brew)
	app.Session("voice", "simulator", "websocket", parley.EachTurn(
		func(ctx context.Context, session *parley.Session, turn *parley.Turn) error {
			cups, err := strconv.Atoi(turn.Text)
			if err != nil {
				cups = 1
			}
			ready, err := kettle.Call(ctx, session, pot{cups})
			if err != nil {
				return err
			}
			_, err = session.Say(ctx, fmt.Sprintf("Cups that are ready: %d.", ready.Cups))
			return err
		}))
	app.Run()
}
