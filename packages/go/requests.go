package parley

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/parley-dev/parley/packages/go/contract"
)

// requests to the server, each answered by one reply. Guarded by the worker's lock.
//
// P1  Every wait ends: by its reply, by its context, or at the stop.
// P2  A reply that a cut link took with it is asked for again over the next one, under the same request_id, which a
//
//	server runs once. Before that the server is given time to send what it has (see repeat).
//
// P3  Another server does not know what the last one ran: there nothing is asked again, and the error says that the
//
//	outcome is unknown.
type requests struct {
	worker  *worker
	outbox  *outbox
	max     int
	pending map[string]*pendingRequest
}

type pendingRequest struct {
	id     string
	call   bool
	posted *posted
	// sentOver is nil while it waits in the outbox.
	sentOver *connection
	answer   chan replied
}

type replied struct {
	result json.RawMessage
	err    *Error
}

// uses says whether a reply is still expected over this connection.
func (r *requests) uses(over *connection) bool {
	for _, one := range r.pending {
		if one.sentOver == over {
			return true
		}
	}
	return false
}

// send sends a request and waits for its reply. frameOf gives the frame of a request_id. It is called without the lock.
// The error is invalid_argument before it is sent; that of the reply; resource_exhausted past the limit of open
// requests; the cause of ctx; or unavailable when the outcome is unknown (P3).
func (r *requests) send(ctx context.Context, over func() *connection, frameOf func(id string) any) (json.RawMessage, error) {
	if ctx.Err() != nil {
		return nil, contract.ErrorOf(context.Cause(ctx), "cancelled")
	}
	one, err := r.post(over, frameOf)
	if err != nil {
		return nil, err
	}
	select {
	case answer := <-one.answer:
		if answer.err != nil {
			return nil, answer.err
		}
		return answer.result, nil
	case <-ctx.Done():
		r.worker.mu.Lock()
		defer r.worker.mu.Unlock()
		r.abandon(one)
		return nil, contract.ErrorOf(context.Cause(ctx), "cancelled")
	}
}

func (r *requests) post(over func() *connection, frameOf func(id string) any) (*pendingRequest, error) {
	one := &pendingRequest{id: contract.NewID("request"), answer: make(chan replied, 1)}
	frame := frameOf(one.id)
	text := frameText(frame)
	value, err := contract.Decode(text)
	if err != nil {
		return nil, contract.NewError("internal", err.Error()).Because(err)
	}
	// A frame that the server refuses gets no reply, so it must not leave.
	if err := contract.Checked("AgentFrame", value); err != nil {
		return nil, err
	}
	_, one.call = frame.(contract.FunctionCallFrame)

	r.worker.mu.Lock()
	defer r.worker.mu.Unlock()
	if r.worker.phase == phaseStopped {
		return nil, stopped()
	}
	if len(r.pending) >= r.max {
		return nil, contract.NewError("resource_exhausted",
			fmt.Sprintf("%d requests to the control plane are open already", r.max)).
			With("limit", r.max).With("current", len(r.pending))
	}
	one.posted = &posted{text: text, over: over(), sent: func(to *connection) { one.sentOver = to }}
	if err := r.outbox.post(one.posted); err != nil {
		return nil, err
	}
	r.pending[one.id] = one
	return one, nil
}

func (r *requests) reply(frame contract.ReplyFrame) {
	if frame.Error != nil {
		r.settle(frame.RequestID, replied{err: contract.OfObject(*frame.Error)})
	} else {
		r.settle(frame.RequestID, replied{result: frame.Result})
	}
}

func (r *requests) settle(id string, answer replied) {
	if one := r.pending[id]; one != nil {
		delete(r.pending, id)
		r.outbox.withdraw(one.posted)
		one.answer <- answer
	}
}

// repeat asks again for replies whose connection has ended. To be called when the server has answered a heartbeat on
// the new connection: replies that it kept for us came before that answer.
func (r *requests) repeat() {
	for id, one := range r.pending {
		if one.sentOver == nil || one.sentOver.up() {
			continue
		}
		one.sentOver = nil
		if err := r.outbox.post(one.posted); err != nil {
			r.settle(id, replied{err: contract.ErrorOf(err, "internal")})
		}
	}
}

// forget ends what another server was asked (P3).
func (r *requests) forget() {
	for id, one := range r.pending {
		if one.sentOver == nil || one.sentOver.up() {
			continue
		}
		lost := contract.NewError("unavailable",
			"the control plane was replaced before it answered; whether the request ran is unknown")
		r.settle(id, replied{err: lost.Fatal().With("request_id", id).With("outcome", "unknown")})
	}
}

// fail ends everything: nothing will be answered any more.
func (r *requests) fail(err *Error) {
	for id := range r.pending {
		r.settle(id, replied{err: err})
	}
}

// abandon gives up a wait; a function that was called is told.
func (r *requests) abandon(one *pendingRequest) {
	if r.pending[one.id] != one {
		return
	}
	delete(r.pending, one.id)
	if r.outbox.withdraw(one.posted) || !one.call {
		return
	}
	// Only told where there is a link: a server that loses an agent for good cancels what it called.
	if to := r.outbox.link.route(one.posted.over); to != nil {
		to.send(frameText(contract.FunctionCancelFrame{Type: "function.cancel", RequestID: one.id}))
	}
}
