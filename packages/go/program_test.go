package parley

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestWhatIsWrongWithADeclarationIsToldWhenTheAgentIsStarted(t *testing.T) {
	app := New("Support!")
	Skill(app, "bad name", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
	Reasoner(app, "think", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
	Reasoner(app, "think", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
	app.Session("voice", "acme", "websocket", nil)
	_, err := app.Start()
	var failure *Error
	if !errors.As(err, &failure) || failure.Code != "invalid_argument" {
		t.Fatalf("got %v", err)
	}
	told := strings.Split(err.Error(), "\n")
	if len(told) != 4 || !strings.Contains(told[0], "got 'Support!'") || !strings.Contains(told[1], "bad name") ||
		!strings.Contains(told[2], "agent Support! has a function 'think' already") ||
		!strings.Contains(told[3], "Unknown session provider 'acme'") {
		t.Errorf("told:\n%v", err)
	}
	if err := app.Serve(t.Context()); !errors.As(err, &failure) {
		t.Errorf("Serve says %v", err)
	}
}

// wrongProgram is what a program of this package's tests does when it is started as a process of its own.
func wrongProgram() {
	app := New("support")
	app.Session("voice", "acme", "websocket", nil)
	app.Run()
}

func TestAProgramThatCannotBeServedEndsWithOneAndSaysWhy(t *testing.T) {
	program := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	program.Env = append(os.Environ(), "PARLEY_TEST_PROGRAM=1")
	var said strings.Builder
	program.Stderr = &said
	err := program.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(said.String(), "agent support: invalid_argument: Unknown session provider 'acme'") {
		t.Errorf("ended with %v and said %q", err, said.String())
	}
}

func TestLiveEachTurnIsAnsweredInItsOwnContext(t *testing.T) {
	h, app := openHouse(t), newAgent(t, "each")
	began, cut := make(chan struct{}, 1), make(chan error, 1)
	words(t, app, "desk", EachTurn(func(ctx context.Context, session *Session, turn *Turn) error {
		switch turn.Text {
		case "work":
			began <- struct{}{}
			<-ctx.Done()
			cut <- context.Cause(ctx)
			return ctx.Err()
		case "break":
			return errors.New("the handler is broken")
		}
		_, err := session.Say(ctx, "heard "+turn.Text)
		return err
	}))
	h.serve(app)
	caller, _ := h.call("each.desk")
	caller.entry("handler.attached")
	caller.say("work", false)
	soon(t, began)
	caller.say("never mind", false)
	var failure *Error
	if err := soon(t, cut); !errors.As(err, &failure) || failure.Code != "cancelled" {
		t.Errorf("the cause is %v", err)
	}
	if got := caller.answer(); got != "heard never mind" {
		t.Errorf("the handler says %q", got)
	}
	caller.say("break", false)
	closed := caller.entry("session.closed")
	if failure, _ := closed["error"].(object); closed["reason"] != "handler_failed" || failure["message"] != "the handler is broken" {
		t.Errorf("closed: %v", closed)
	}
}
