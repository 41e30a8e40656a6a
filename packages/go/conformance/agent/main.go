// The testee agent, as schemas/behaviour.md has it: an ordinary agent, which the cases run against a real control plane.
package main

import (
	"context"
	"errors"
	"log"
	"strings"
	"sync/atomic"
	"time"

	parley "github.com/parley-dev/parley/packages/go"
	"github.com/parley-dev/parley/packages/go/contract"
)

type (
	none struct{}
	text struct {
		Text string `json:"text"`
	}
	nested struct {
		Text string `json:"text"`
		By   string `json:"by"`
	}
	target struct {
		Target string `json:"target"`
	}
	pause struct {
		MS int `json:"ms"`
	}
	waited struct {
		MS  int   `json:"ms"`
		Run int64 `json:"run"`
	}
	size struct {
		Bytes int `json:"bytes"`
	}
	seen struct {
		Cancelled int64 `json:"cancelled"`
	}
)

// counts of this process.
var cancelled, waits atomic.Int64

func main() {
	app := parley.Must(parley.NewAgent("testee"))
	functions(app)
	err := errors.Join(
		session(app, "tools", nil, inWords, parley.WithSessionTools("echo", "fail", "refuse", "slow")),
		session(app, "parrot", parrot, inWords),
		session(app, "workflow", workflow, inWords),
		session(app, "interrupt", interrupt),
		session(app, "cancel", cancel, inWords),
		session(app, "control", control, inWords),
		session(app, "throws", throws, inWords),
		session(app, "never", func(context.Context, *parley.Session) error { select {} }, inWords),
	)
	if err == nil {
		err = app.Serve(context.Background())
	}
	if err != nil {
		log.Fatal(err)
	}
}

func functions(app *parley.Agent) {
	echo := parley.Must(parley.RegisterSkill(app, "echo", func(_ context.Context, in text) (text, error) { return in, nil }))
	parley.Must(parley.RegisterReasoner(app, "nested", func(ctx context.Context, in text) (nested, error) {
		this := parley.Current(ctx)
		if err := this.Note("asking", in); err != nil {
			return nested{}, err
		}
		out, err := echo.Call(ctx, this, in)
		return nested{out.Text, "echo"}, err
	}))
	parley.Must(parley.RegisterReasoner(app, "chain", func(ctx context.Context, in target) (any, error) {
		var out any
		err := parley.Current(ctx).Call(ctx, in.Target, nil, &out)
		return out, err
	}))
	parley.Must(parley.RegisterSkill(app, "slow", func(ctx context.Context, _ none) (none, error) {
		if err := parley.Current(ctx).Note("started", nil); err != nil {
			return none{}, err
		}
		<-ctx.Done()
		cancelled.Add(1)
		return none{}, ctx.Err()
	}, parley.WithCancelOnInterrupt()))
	parley.Must(parley.RegisterSkill(app, "seen", func(context.Context, none) (seen, error) { return seen{cancelled.Load()}, nil }))
	parley.Must(parley.RegisterSkill(app, "wait", func(ctx context.Context, in pause) (waited, error) {
		run := waits.Add(1)
		if err := parley.Current(ctx).Note("started", nil); err != nil {
			return waited{}, err
		}
		select {
		case <-time.After(time.Duration(in.MS) * time.Millisecond):
			return waited{in.MS, run}, nil
		case <-ctx.Done():
			return waited{}, ctx.Err()
		}
	}))
	parley.Must(parley.RegisterSkill(app, "fail", func(context.Context, none) (none, error) {
		return none{}, errors.New("the kettle is empty")
	}))
	parley.Must(parley.RegisterSkill(app, "refuse", func(context.Context, none) (none, error) {
		return none{}, contract.NewError("failed_precondition", "no kettle here").With("kettle", 7)
	}))
	parley.Must(parley.RegisterSkill(app, "block", func(ctx context.Context, in pause) (pause, error) {
		err := parley.Current(ctx).Note("started", nil)
		time.Sleep(time.Duration(in.MS) * time.Millisecond)
		return in, err
	}))
	parley.Must(parley.RegisterSkill(app, "big", func(_ context.Context, in size) (text, error) {
		return text{strings.Repeat("x", in.Bytes)}, nil
	}))
}

var inWords = parley.WithSessionModalities("text")

func session(app *parley.Agent, name string, handler parley.SessionHandler, options ...parley.SessionOption) error {
	return app.RegisterSession(name, "simulator", "websocket", handler, options...)
}

// answers is a handler that says what answer makes of each turn, until answer says that it is done.
func answers(answer func(ctx context.Context, session *parley.Session, turn *parley.Turn) (words string, done bool, err error)) parley.SessionHandler {
	return func(ctx context.Context, session *parley.Session) error {
		for turn, err := range session.Turns(ctx) {
			if err != nil {
				return err
			}
			words, done, err := answer(ctx, session, turn)
			if err != nil || done {
				return err
			}
			if words == "" {
				continue
			}
			if _, err := session.Say(ctx, words); err != nil {
				return err
			}
		}
		return nil
	}
}

var parrot = answers(func(ctx context.Context, session *parley.Session, turn *parley.Turn) (string, bool, error) {
	if turn.Text == "bye" {
		return "", true, nil
	}
	var out text
	err := session.Call(ctx, "echo", text{turn.Text}, &out)
	return out.Text, false, err
})

var workflow = answers(func(ctx context.Context, session *parley.Session, turn *parley.Turn) (string, bool, error) {
	var out nested
	err := session.Call(ctx, "nested", text{turn.Text}, &out)
	return out.Text, false, err
})

func interrupt(ctx context.Context, session *parley.Session) error {
	var told parley.Spoken
	for _, err := range session.Turns(ctx) {
		if err != nil {
			return err
		}
		words := strings.TrimSpace(strings.Repeat("one two three four five six seven eight nine ten ", 3))
		if told.Interrupted {
			words = "cut after: " + told.SpokenText
		}
		if told, err = session.Say(ctx, words); err != nil {
			return err
		}
	}
	return nil
}

var cancel = answers(func(_ context.Context, session *parley.Session, turn *parley.Turn) (string, bool, error) {
	if turn.Text != "work" {
		return "heard " + turn.Text, false, nil
	}
	err := session.Call(turn.Context(), "slow", nil, nil)
	if turn.Context().Err() != nil {
		return "", false, nil
	}
	return "", false, err
})

var control = answers(func(ctx context.Context, session *parley.Session, turn *parley.Turn) (string, bool, error) {
	var failure *parley.Error
	switch turn.Text {
	case "update":
		return "updated", false, session.Update(ctx, parley.SessionChange{Instructions: new("Be brief.")})
	case "inject":
		return "", false, session.Inject(ctx, "ping", true)
	case "close":
		return "", false, session.Close(ctx, "done here")
	case "fail":
		if err := session.Call(ctx, "fail", nil, nil); !errors.As(err, &failure) {
			return "it did not fail", false, err
		}
		return failure.Code + ": " + failure.Message, false, nil
	case "long":
		if _, err := session.Say(ctx, strings.Repeat("x", 16_385)); !errors.As(err, &failure) {
			return "it was said", false, err
		}
		return failure.Code, false, nil
	}
	if color, ok := session.Metadata["color"].(string); ok {
		return "metadata: " + color, false, nil
	}
	return "metadata: none", false, nil
})

func throws(ctx context.Context, session *parley.Session) error {
	if _, err := session.Input(ctx); err != nil {
		return err
	}
	return errors.New("the handler is broken")
}
