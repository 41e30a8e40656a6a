package parley

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/parley-dev/parley/packages/go/contract"
)

// executions are the functions that run here. Guarded by the worker's lock.
//
// P1  An execution id is run once, however often it is dispatched.
// P2  Every accepted execution ends with one result, and the result is kept until the server has it.
// P3  At most limits.Executions bodies run; a body that ignores its context holds its place until it returns. One that
//
//	waits for a function that it called holds none: what it waits for may need that place.
type executions struct {
	worker  *worker
	results *results
	open    map[string]*Execution
	waiting []*Execution
	bodies  map[string]int
	running int
	settled *recent
}

// settledMax is how many ids that were settled lately are known, to tell a late duplicate for what it is.
const settledMax = 4096

// uses says whether an execution without a result came over this connection.
func (x *executions) uses(over *connection) bool {
	for _, one := range x.open {
		if one.over == over {
			return true
		}
	}
	return false
}

// inFlight is everything that the server may ask about after a cut.
func (x *executions) inFlight() []string {
	ids := make([]string, 0, len(x.open)+len(x.results.kept))
	for id := range x.open {
		ids = append(ids, id)
	}
	for id := range x.results.kept {
		ids = append(ids, id)
	}
	return ids
}

func (x *executions) dispatch(frame contract.ExecutionDispatchFrame, over *connection) {
	id := frame.ExecutionID
	if known := x.open[id]; known != nil {
		x.accepted(known)
		return
	}
	if x.results.kept[id] != nil {
		x.results.repeat(id)
		return
	}
	if x.settled.has(id) {
		x.worker.log.Warn("an execution that was settled was dispatched again", "execution_id", id)
		return
	}
	function, ok := x.worker.agent.functions.byName[frame.Function]
	if !ok {
		x.results.keep(id, "failed", nil,
			contract.NewError("not_found", fmt.Sprintf("this agent has no function '%s'", frame.Function)), over)
		return
	}
	if len(x.waiting) >= x.worker.settings.limits.ExecutionsWaiting {
		x.results.keep(id, "failed", nil, contract.NewError("resource_exhausted",
			fmt.Sprintf("%d executions already wait in this agent", len(x.waiting))), over)
		return
	}
	one := &Execution{
		ID: id, WorkflowID: frame.WorkflowID, SessionID: text(frame.SessionID), ParentID: text(frame.ParentExecutionID),
		worker: x.worker, function: function, input: frame.Input, over: over,
	}
	one.ctx, one.cancel = context.WithCancelCause(context.WithValue(context.Background(), executionKey{}, one))
	x.open[id] = one
	x.accepted(one)
	one.timer = time.AfterFunc(time.Duration(frame.TimeoutMS)*time.Millisecond, func() {
		x.worker.mu.Lock()
		defer x.worker.mu.Unlock()
		x.abort(one, contract.NewError("deadline_exceeded",
			fmt.Sprintf("%s did not end within %d ms", frame.Function, frame.TimeoutMS)))
	})
	x.waiting = append(x.waiting, one)
	x.startNext()
}

func text(optional *string) string {
	if optional == nil {
		return ""
	}
	return *optional
}

func (x *executions) accepted(one *Execution) {
	x.worker.say(contract.ExecutionAcceptedFrame{Type: "execution.accepted", ExecutionID: one.ID}, one.over)
}

func (x *executions) cancel(id, reason string) {
	if one := x.open[id]; one != nil {
		x.abort(one, contract.NewError("cancelled", reason))
	}
}

func (x *executions) settle(id string) {
	x.results.settled(id)
	x.settled.add(id)
	x.worker.reconcile()
}

// resumed stops or forgets, after a cut, what the server does not want. Executions of other live links are left.
func (x *executions) resumed(wanted map[string]bool) {
	for id, one := range x.open {
		if wanted[id] {
			x.accepted(one)
		} else if !one.over.up() {
			x.cancel(id, "the control plane no longer wants it")
		}
	}
	x.results.resumed(wanted)
}

func (x *executions) cancelAll(reason *Error) {
	for _, one := range x.open {
		x.abort(one, reason)
	}
}

func (x *executions) startNext() {
	for i := 0; i < len(x.waiting) && x.running < x.worker.settings.limits.Executions; {
		one := x.waiting[i]
		name, max := one.function.declaration.Name, one.function.declaration.MaxConcurrent
		// One busy function does not hold up the others.
		if max != nil && x.bodies[name] >= int(*max) {
			i++
			continue
		}
		x.waiting = slices.Delete(x.waiting, i, i+1)
		x.running++
		x.bodies[name]++
		go x.run(one)
	}
}

// whileWaiting gives up the place of an execution until the returned function is called (P3).
func (x *executions) whileWaiting(one *Execution) func() {
	x.worker.mu.Lock()
	defer x.worker.mu.Unlock()
	one.calls++
	if one.calls == 1 && !one.returned {
		x.running--
		x.startNext()
	}
	return func() {
		x.worker.mu.Lock()
		defer x.worker.mu.Unlock()
		one.calls--
		if one.calls == 0 && !one.returned {
			x.running++
		}
	}
}

func (x *executions) run(one *Execution) {
	output, err := protected(x.worker, one)
	x.worker.mu.Lock()
	defer x.worker.mu.Unlock()
	name := one.function.declaration.Name
	if x.bodies[name]--; x.bodies[name] == 0 {
		delete(x.bodies, name)
	}
	// A body that returned without waiting for its calls gave its place away before.
	if one.calls == 0 {
		x.running--
	}
	one.returned = true
	if err != nil {
		x.fail(one, err)
	} else {
		x.end(one, "succeeded", output, nil)
	}
	x.startNext()
}

// protected runs the body; a panic in it is an error of this execution alone.
func protected(w *worker, one *Execution) (output json.RawMessage, err error) {
	defer func() {
		if thrown := recover(); thrown != nil {
			w.log.Error("a function panicked", "execution_id", one.ID, "function", one.function.declaration.Name,
				"stack", string(debug.Stack()))
			err = panicked(thrown)
		}
	}()
	return one.function.body(one.ctx, one.input)
}

func panicked(thrown any) *Error {
	if err, ok := thrown.(error); ok {
		return contract.NewError("internal", "panic: "+err.Error()).Because(err)
	}
	return contract.NewError("internal", fmt.Sprintf("panic: %v", thrown))
}

// abort tells the body to stop, and gives it up when it does not.
func (x *executions) abort(one *Execution, reason *Error) {
	if one.told != nil || x.open[one.ID] != one {
		return
	}
	one.told = reason
	one.timer.Stop()
	one.cancel(reason)
	if at := slices.Index(x.waiting, one); at >= 0 {
		x.waiting = slices.Delete(x.waiting, at, at+1)
		x.fail(one, reason)
		return
	}
	one.timer = time.AfterFunc(x.worker.settings.times.Cancel, func() {
		x.worker.mu.Lock()
		defer x.worker.mu.Unlock()
		x.fail(one, reason)
	})
}

func (x *executions) fail(one *Execution, err error) {
	if x.open[one.ID] != one {
		return
	}
	// Whatever a body returns after it was told to stop, that is why it ended.
	failure, status := contract.ErrorOf(err, "unknown"), "failed"
	if one.told != nil {
		failure, status = one.told, "cancelled"
		if failure.Code == "deadline_exceeded" {
			status = "timed_out"
		}
	}
	x.worker.log.Info("execution ended",
		"execution_id", one.ID, "function", one.function.declaration.Name, "status", status, "code", failure.Code)
	x.end(one, status, nil, failure)
}

var errEnded = errors.New("the execution has ended")

func (x *executions) end(one *Execution, status string, output json.RawMessage, failure *Error) {
	// The first end counts (P2).
	if x.open[one.ID] != one {
		return
	}
	delete(x.open, one.ID)
	one.timer.Stop()
	one.cancel(contract.NewError("cancelled", errEnded.Error()).Because(errEnded))
	x.results.keep(one.ID, status, output, failure, one.over)
	x.worker.reconcile()
}

// recent remembers the last ids, at most max.
type recent struct {
	max  int
	ids  map[string]bool
	ring []string
	next int
}

func newRecent(max int) *recent { return &recent{max: max, ids: map[string]bool{}} }

func (r *recent) has(id string) bool { return r.ids[id] }

func (r *recent) add(id string) {
	if r.ids[id] {
		return
	}
	r.ids[id] = true
	if len(r.ring) < r.max {
		r.ring = append(r.ring, id)
		return
	}
	delete(r.ids, r.ring[r.next])
	r.ring[r.next] = id
	r.next = (r.next + 1) % r.max
}
