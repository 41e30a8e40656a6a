// Package parley is how a Go program offers sessions and functions to a Parley control plane, and how it uses one.
//
//	app := parley.New("support")
//	app.Session("desk", "openai", "websocket", parley.EachTurn(
//		func(ctx context.Context, session *parley.Session, turn *parley.Turn) error {
//			_, err := session.Say(ctx, "You said "+turn.Text)
//			return err
//		}))
//	app.Run()
package parley

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/parley-dev/parley/packages/go/contract"
)

// Error is the one error of Parley; find it with errors.As and decide by its Code.
type Error = contract.Error

// Agent is a program that offers sessions and functions. Register everything, then Serve or Start.
type Agent struct {
	name      string
	options   []AgentOption
	sessions  *registry[sessionDefinition]
	functions *registry[functionDefinition]
	// wrong are the errors of declarations that nobody was told of yet.
	wrong []error
}

// NewAgent names an agent. The name must match ^[a-z][a-z0-9_-]{0,63}$, or the error is invalid_argument.
func NewAgent(name string, options ...AgentOption) (*Agent, error) {
	if err := contract.CheckAgentName(name); err != nil {
		return nil, err
	}
	return newAgentOf(name, options), nil
}

func newAgentOf(name string, options []AgentOption) *Agent {
	return &Agent{
		name: name, options: options,
		sessions:  newRegistry[sessionDefinition](name, "session", contract.Limit("sessions_max")),
		functions: newRegistry[functionDefinition](name, "function", contract.Limit("functions_max")),
	}
}

// Name of the agent.
func (a *Agent) Name() string { return a.name }

// Start connects, and keeps the connection until Drain or Stop. No signal of the process is touched.
// The error is invalid_argument for an option that cannot be, or that of a declaration which was not told before.
func (a *Agent) Start(options ...AgentOption) (*Running, error) {
	if len(a.wrong) > 0 {
		return nil, errors.Join(a.wrong...)
	}
	settings, err := settle(append(append([]AgentOption{}, a.options...), options...))
	if err != nil {
		return nil, err
	}
	w := newWorker(a, settings)
	running := &Running{worker: w, done: make(chan struct{})}
	go func() {
		running.err = w.run()
		close(running.done)
	}()
	return running, nil
}

// Serve runs the agent until ctx ends or the process is told to stop (SIGINT, SIGTERM), then drains it. A second
// signal stops it at once. The error is that of a control plane that refuses the agent for good.
func (a *Agent) Serve(ctx context.Context, options ...AgentOption) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	running, err := a.Start(options...)
	if err != nil {
		return err
	}
	told := false
	leave := func() {
		if told {
			running.Stop()
		} else {
			running.Drain()
		}
		told = true
	}
	ended := ctx.Done()
	for {
		select {
		case <-running.done:
			return running.err
		case <-ended:
			ended = nil
			leave()
		case <-signals:
			leave()
		}
	}
}

// Running is an agent that was started.
type Running struct {
	worker *worker
	done   chan struct{}
	err    error
}

// Ready waits until the control plane registered the agent, or returns why that can never be.
func (r *Running) Ready(ctx context.Context) error {
	select {
	case <-r.worker.registered:
		return nil
	case <-r.done:
		if r.err != nil {
			return r.err
		}
		return stopped()
	case <-ctx.Done():
		return contract.ErrorOf(context.Cause(ctx), "cancelled")
	}
}

// Wait waits until the agent stopped; the error is that of a refusal that trying again cannot help.
func (r *Running) Wait() error {
	<-r.done
	return r.err
}

// Done is closed when the agent stopped.
func (r *Running) Done() <-chan struct{} { return r.done }

// Drain takes no new work, finishes the old, and stops; past the drain time it stops anyway. It returns at once.
func (r *Running) Drain() { r.worker.drain() }

// Stop cancels what runs, says how it ended, and stops. It returns at once; a second call does not wait for that.
func (r *Running) Stop() { r.worker.stop() }

// Status is what the agent does right now.
func (r *Running) Status() Status { return r.worker.status() }

// Status of a running agent.
type Status struct {
	// Phase is connecting, serving, draining or stopped.
	Phase string
	// LinkID is the link's id at the control plane; empty while there is none.
	LinkID string
	// Executions without a result.
	Executions int
	// Unconfirmed results: the control plane has not said that they are on disk.
	Unconfirmed int
	// Sessions whose handler runs.
	Sessions int
}

func stopped() *Error { return contract.NewError("unavailable", "the agent has stopped").Fatal() }

// registry holds what was registered under a name, in order, at most max.
type registry[T any] struct {
	agent, what string
	max         int64
	byName      map[string]T
	order       []string
}

func newRegistry[T any](agent, what string, max int64) *registry[T] {
	return &registry[T]{agent: agent, what: what, max: max, byName: map[string]T{}}
}

func (r *registry[T]) add(name string, one T) error {
	if _, taken := r.byName[name]; taken {
		return contract.NewError("already_exists", fmt.Sprintf("agent %s has a %s '%s' already", r.agent, r.what, name))
	}
	if int64(len(r.order)) >= r.max {
		return contract.NewError("resource_exhausted",
			fmt.Sprintf("agent %s has %d %ss already", r.agent, r.max, r.what)).Fatal()
	}
	r.byName[name] = one
	r.order = append(r.order, name)
	return nil
}

// Must returns the value, or panics with the error: for programs that cannot begin without what they register.
//
//	app := parley.Must(parley.NewAgent("support"))
func Must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
