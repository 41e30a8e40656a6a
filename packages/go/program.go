package parley

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// The short forms, for a program that says in main what it offers. What is wrong with a declaration is kept, and told
// by Start, Serve and Run; the Register functions tell it where it is.

// New is NewAgent whose error is told when the agent is started.
//
//	app := parley.New("support")
//	app.Session("voice", "openai", "websocket", nil, parley.WithSessionVoice("marin"))
//	app.Run()
func New(name string, options ...AgentOption) *Agent {
	agent, err := NewAgent(name, options...)
	if err != nil {
		agent = newAgentOf(name, options)
		agent.keep(err)
	}
	return agent
}

// Session is RegisterSession whose error is told when the agent is started. EachTurn makes a handler of a function that
// answers one turn.
func (a *Agent) Session(name, provider, transport string, handler SessionHandler, options ...SessionOption) {
	a.keep(a.RegisterSession(name, provider, transport, handler, options...))
}

// Reasoner is RegisterReasoner whose error is told when the agent is started.
func Reasoner[In, Out any](a *Agent, name string, body func(ctx context.Context, input In) (Out, error),
	options ...FunctionOption,
) Function[In, Out] {
	function, err := RegisterReasoner(a, name, body, options...)
	a.keep(err)
	return function
}

// Skill is RegisterSkill whose error is told when the agent is started.
func Skill[In, Out any](a *Agent, name string, body func(ctx context.Context, input In) (Out, error),
	options ...FunctionOption,
) Function[In, Out] {
	function, err := RegisterSkill(a, name, body, options...)
	a.keep(err)
	return function
}

// EachTurn is a handler that answers the turns of a session, one after another, until the session ends. Its ctx is that
// of the turn: it ends when the user speaks over the answer, and what was cut off by that is no failure of the handler.
// Any other error ends the session.
func EachTurn(answer func(ctx context.Context, session *Session, turn *Turn) error) SessionHandler {
	return func(ctx context.Context, session *Session) error {
		for turn, err := range session.Turns(ctx) {
			if err != nil {
				return err
			}
			if err := answer(turn.Context(), session, turn); err != nil && !cutOff(turn, err) {
				return err
			}
		}
		return nil
	}
}

// cutOff says whether an error is only that the turn was interrupted.
func cutOff(turn *Turn, err error) bool {
	if turn.Context().Err() == nil {
		return false
	}
	var failure *Error
	return errors.Is(err, context.Canceled) || errors.As(err, &failure) && failure.Code == "cancelled"
}

// Run is Serve as the whole of a program: it returns when the agent was told to stop and has finished its work, and
// ends the program with 1, after a line on stderr, when the agent cannot be served.
func (a *Agent) Run(options ...AgentOption) {
	if err := a.Serve(context.Background(), options...); err != nil {
		fmt.Fprintf(os.Stderr, "agent %s: %v\n", a.name, err)
		os.Exit(1)
	}
}

// keep remembers what is wrong with a declaration.
func (a *Agent) keep(err error) {
	if err != nil {
		a.wrong = append(a.wrong, err)
	}
}
