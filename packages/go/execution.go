package parley

import (
	"context"
	"encoding/json"
	"time"

	"github.com/parley-dev/parley/packages/go/contract"
)

// Execution is one run of one function, as its body sees it. Current finds it in the body's context.
type Execution struct {
	// ID of the execution.
	ID string
	// WorkflowID is the tree that it belongs to.
	WorkflowID string
	// SessionID is the session that it runs for; empty for none.
	SessionID string
	// ParentID is the execution that called it; empty for a root.
	ParentID string

	worker   *worker
	function functionDefinition
	input    json.RawMessage
	over     *connection
	ctx      context.Context
	cancel   context.CancelCauseFunc
	// told is why it was told to end; nil while it was not.
	told  *Error
	timer *time.Timer
	// calls of other functions that it waits for.
	calls    int
	returned bool
}

type executionKey struct{}

// Current is the execution whose body runs with this context, or nil outside of one.
func Current(ctx context.Context) *Execution {
	execution, _ := ctx.Value(executionKey{}).(*Execution)
	return execution
}

// Call runs another function as a child of this execution, and decodes its output into output unless that is nil.
// A bare name is a function of the same agent. The error is how the child ended when it did not succeed; unavailable
// when the link was cut while it ran (whether it ended is unknown); cancelled when ctx or this execution ended first.
func (e *Execution) Call(ctx context.Context, target string, input, output any) error {
	frame, err := callFrame(e.worker.agent.name, target, input)
	if err != nil {
		return err
	}
	frame.ParentExecutionID = &e.ID
	ctx, release := joined(ctx, e.ctx)
	defer release()
	defer e.worker.executions.whileWaiting(e)()
	result, err := e.worker.requests.send(ctx, func() *connection { return e.over }, func(id string) any {
		frame.RequestID = id
		return frame
	})
	if err != nil {
		return err
	}
	return readOutput(frame.Target, result, output)
}

const noteCharsMax = 4096

// Note leaves a note on the execution, for whoever looks at the workflow; data may be nil. The error is
// invalid_argument or resource_exhausted for data that cannot be sent. A note that finds no room is logged and lost:
// it is not worth the execution that it is about.
func (e *Execution) Note(text string, data any) error {
	if runes := []rune(text); len(runes) > noteCharsMax {
		text = string(runes[:noteCharsMax])
	}
	note := contract.ExecutionNoteFrame{Type: "execution.note", ExecutionID: e.ID, Text: text}
	if data != nil {
		payload, err := payloadText(data, "the data of a note", "invalid_argument")
		if err != nil {
			return err
		}
		note.Data = payload
	}
	e.worker.mu.Lock()
	defer e.worker.mu.Unlock()
	if err := e.worker.outbox.post(&posted{text: frameText(note), over: e.over}); err != nil {
		e.worker.log.Warn("a note was lost", "execution_id", e.ID, "message", err.Error())
	}
	return nil
}

// joined is a context that ends with either of two, for the reason of the one that ended it.
func joined(ctx, other context.Context) (context.Context, func()) {
	both, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(other, func() { cancel(context.Cause(other)) })
	return both, func() { unhook(); cancel(nil) }
}
