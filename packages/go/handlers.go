package parley

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/parley-dev/parley/packages/go/contract"
)

// handlers are those that run here, one for each open session. Guarded by the worker's lock.
//
// P1  A handler that fails, panics or never returns touches no other session.
// P2  session.handled is said once a handler ended, and again when the link that took it was cut, until the session is
//
//	closed. A session that is closed already is not told.
type handlers struct {
	worker *worker
	open   map[string]*openSession
	// ended are sessions whose handler ended before they were closed, oldest first.
	ended []string
}

type openSession struct {
	session *Session
	// handled says how the handler ended; nil while it runs.
	handled *contract.SessionHandledFrame
	// saidOver is the connection that took it.
	saidOver *connection
	// closed: session.closed was seen, and nothing follows.
	closed bool
}

// handledMax is how many sessions whose handler ended are remembered until they are closed.
const handledMax = 1024

// running is how many handlers run.
func (h *handlers) running() int {
	running := 0
	for _, one := range h.open {
		if one.handled == nil {
			running++
		}
	}
	return running
}

func (h *handlers) uses(over *connection) bool {
	for _, one := range h.open {
		if one.session.over == over && one.handled == nil {
			return true
		}
	}
	return false
}

// list is for the registration: sessions that are not closed, with the last entry seen.
func (h *handlers) list() []contract.AgentRegisterFrameSessionsOpenEntry {
	open := make([]contract.AgentRegisterFrameSessionsOpenEntry, 0, len(h.open))
	for id, one := range h.open {
		open = append(open, contract.AgentRegisterFrameSessionsOpenEntry{
			SessionID: id, AfterSeq: contract.Int(one.session.afterSeq()),
		})
	}
	return open
}

func (h *handlers) start(frame contract.SessionOpenFrame, over *connection) {
	if known := h.open[frame.SessionID]; known != nil {
		known.session.over = over
		return
	}
	handler := h.worker.agent.sessions.byName[frame.Session].handler
	var refusal *Error
	if handler == nil {
		refusal = contract.NewError("not_found",
			fmt.Sprintf("this agent has no handler for the session '%s'", frame.Session))
	} else if max := h.worker.settings.limits.Sessions; h.running() >= max {
		refusal = contract.NewError("resource_exhausted", fmt.Sprintf("this agent runs %d sessions already", max))
	}
	if refusal != nil {
		h.worker.say(contract.SessionHandledFrame{
			Type: "session.handled", SessionID: frame.SessionID, Error: refusal.Object(),
		}, over)
		return
	}
	one := &openSession{session: newSession(h.worker, frame, over)}
	h.open[frame.SessionID] = one
	go h.run(one, handler)
}

func (h *handlers) event(frame contract.SessionEventFrame, over *connection) {
	one := h.open[frame.SessionID]
	if one == nil {
		return
	}
	one.session.over = over
	one.session.deliver(frame.Event)
	if frame.Event["type"] == "session.closed" {
		h.closed(one)
	}
}

// lost: the server does not know this session any more.
func (h *handlers) lost(id string, err *Error) {
	if one := h.open[id]; one != nil {
		one.session.cancel(err)
		h.closed(one)
	}
}

// repeat says again what a cut link took with it. To be called when the server has answered a heartbeat on the new
// connection: it has told by then which sessions are gone.
func (h *handlers) repeat() {
	for _, one := range h.open {
		h.sayHandled(one)
	}
}

func (h *handlers) endAll(err *Error) {
	for _, one := range h.open {
		one.session.cancel(err)
	}
}

func (h *handlers) run(one *openSession, handler SessionHandler) {
	session := one.session
	failure := failureOf(session, handled(session, handler))
	h.worker.mu.Lock()
	defer h.worker.mu.Unlock()
	one.handled = &contract.SessionHandledFrame{Type: "session.handled", SessionID: session.ID}
	code := ""
	if failure != nil {
		one.handled.Error, code = failure.Object(), failure.Code
	}
	session.Log.Info("the handler ended", "code", code)
	session.cancel(contract.NewError("failed_precondition", "the handler of this session has ended"))
	if one.closed {
		delete(h.open, session.ID)
	} else {
		h.sayHandled(one)
		h.remember(session.ID)
	}
	h.worker.reconcile()
}

// handled runs the handler; a panic in it is an error of this session alone.
func handled(session *Session, handler SessionHandler) (err error) {
	defer func() {
		if thrown := recover(); thrown != nil {
			session.Log.Error("the handler panicked", "stack", string(debug.Stack()))
			err = panicked(thrown)
		}
	}()
	return handler(session.ctx, session)
}

// failureOf is the error that a handler ended with, or nil. One that lets the end of its session pass through has not
// failed; an agent that stops has.
func failureOf(session *Session, err error) *Error {
	failure := contract.ErrorOf(err, "unknown")
	if session.ctx.Err() == nil {
		return failure
	}
	end := session.reason()
	passed := failure == end || errors.Is(err, context.Canceled)
	if failure != nil && !passed {
		return failure
	}
	if end.Code == "cancelled" {
		return nil
	}
	return end
}

func (h *handlers) sayHandled(one *openSession) {
	if one.handled != nil && !one.saidOver.up() {
		one.saidOver = h.worker.say(*one.handled, one.session.over)
	}
}

// remember bounds the sessions that are ended and not closed: past handledMax the oldest is forgotten.
func (h *handlers) remember(id string) {
	h.ended = append(h.ended, id)
	for len(h.ended) > handledMax {
		if oldest := h.open[h.ended[0]]; oldest != nil && oldest.handled != nil {
			delete(h.open, h.ended[0])
		}
		h.ended = h.ended[1:]
	}
}

func (h *handlers) closed(one *openSession) {
	one.closed = true
	if one.handled != nil {
		delete(h.open, one.session.ID)
	}
	h.worker.reconcile()
}
