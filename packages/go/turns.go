package parley

import (
	"context"
	"fmt"

	"github.com/parley-dev/parley/packages/go/contract"
)

// Turn is one turn of the user.
type Turn struct {
	// ID of the turn.
	ID string `json:"turn_id"`
	// Text is what was said; empty when no transcript could be had.
	Text string `json:"text"`
	// Source is audio or text.
	Source string `json:"source"`
	// AudioMS is the length of the user's audio in milliseconds; nil where the provider does not tell it.
	AudioMS *int64 `json:"audio_ms,omitzero"`

	ctx    context.Context
	cancel context.CancelCauseFunc
}

// Context ends when the user speaks over the answer to this turn, or when the session ends; its cause is the *Error.
// Hand it to the work that this turn asked for.
func (t *Turn) Context() context.Context { return t.ctx }

// Interrupt ends the turn's context. The session does it when the user interrupts; a handler may, to drop its own work.
func (t *Turn) Interrupt() { t.cancel(contract.NewError("cancelled", "the user interrupted")) }

// turnQueue holds turns on their way to the handler, at most max. When the handler does not keep up, the oldest goes:
// in a conversation the last thing said counts. Guarded by the session's lock.
type turnQueue struct {
	max       int
	turns     []*Turn
	answering *Turn
	// arrived is closed, and made anew, when a turn comes.
	arrived chan struct{}
}

func newTurnQueue(max int) *turnQueue { return &turnQueue{max: max, arrived: make(chan struct{})} }

// push adds a turn. Returns the one that had to go, or nil.
func (q *turnQueue) push(turn *Turn) *Turn {
	q.turns = append(q.turns, turn)
	close(q.arrived)
	q.arrived = make(chan struct{})
	if len(q.turns) <= q.max {
		return nil
	}
	oldest := q.turns[0]
	q.turns = q.turns[1:]
	oldest.cancel(contract.NewError("resource_exhausted", fmt.Sprintf("more than %d turns waited for the handler", q.max)))
	return oldest
}

// next takes a turn, or nil; the turn before it counts as answered.
func (q *turnQueue) next() *Turn {
	q.answering = nil
	if len(q.turns) > 0 {
		q.answering, q.turns = q.turns[0], q.turns[1:]
	}
	return q.answering
}
