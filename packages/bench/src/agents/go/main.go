// The agent of `bench languages` in Go: FUNCTIONS skills and SESSIONS sessions besides the echo that is called.
// Prints `ready` once the control plane has registered all of them.
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"

	parley "github.com/parley-dev/parley/packages/go"
)

type text struct {
	Text string `json:"text"`
}

type order struct {
	Order string `json:"order"`
}

func main() {
	app := parley.Must(parley.NewAgent("bench", parley.WithLogger(
		slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))))
	parley.Must(parley.RegisterSkill(app, "echo", func(_ context.Context, in text) (text, error) { return in, nil }))
	for i := range number("FUNCTIONS") {
		parley.Must(parley.RegisterSkill(app, fmt.Sprintf("find_%d", i),
			func(_ context.Context, in order) (order, error) { return in, nil },
			parley.WithDescription("Finds an order.")))
	}
	for i := range number("SESSIONS") {
		check(app.RegisterSession(fmt.Sprintf("voice_%d", i), "openai", "websocket", repeat,
			parley.WithSessionModel("bench"), parley.WithSessionVoice("marin"), parley.WithSessionTools("echo")))
	}
	running := parley.Must(app.Start())
	check(running.Ready(context.Background()))
	// What is asked for is what declarations hold, not what making them left behind.
	debug.FreeOSMemory()
	fmt.Println("ready")
	select {}
}

func repeat(ctx context.Context, session *parley.Session) error {
	for turn, err := range session.Turns(ctx) {
		if err != nil {
			return err
		}
		if _, err := session.Say(ctx, turn.Text); err != nil {
			return err
		}
	}
	return nil
}

func number(name string) int {
	return parley.Must(strconv.Atoi(os.Getenv(name)))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
