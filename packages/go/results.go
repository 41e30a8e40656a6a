package parley

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/parley-dev/parley/packages/go/contract"
)

// results are those that the control plane has not said to be on disk. They are kept over a cut link and sent again
// until execution.settled comes. Guarded by the worker's lock.
type results struct {
	link     *link
	bytesMax int
	kept     map[string]*keptResult
	bytes    int
}

type keptResult struct {
	text   []byte
	over   *connection
	sentAt time.Time
}

// uses says whether a result waits for the server at the other end of this connection.
func (r *results) uses(over *connection) bool {
	for _, kept := range r.kept {
		if kept.over == over {
			return true
		}
	}
	return false
}

// keep keeps a result and sends it.
func (r *results) keep(id, status string, output json.RawMessage, failure *Error, over *connection) {
	frame := contract.ExecutionResultFrame{Type: "execution.result", ExecutionID: id, Status: status, Output: output}
	if failure != nil {
		frame.Error = failure.Object()
	}
	text, err := encode(frame)
	if err != nil {
		// Details that an author put into an error may be no JSON; an execution always ends with a result.
		text = failedResult(id, contract.NewError("internal", fmt.Sprintf("its error is not JSON: %v", err)))
	}
	if r.bytes+len(text) > r.bytesMax {
		text = failedResult(id, contract.NewError("resource_exhausted",
			fmt.Sprintf("its output could not be kept: %d bytes of results wait for the control plane", r.bytesMax)).Fatal())
	}
	r.bytes += len(text)
	r.kept[id] = &keptResult{text: text, over: over}
	r.repeat(id)
}

func failedResult(id string, failure *Error) []byte {
	return frameText(contract.ExecutionResultFrame{
		Type: "execution.result", ExecutionID: id, Status: "failed", Error: failure.Object(),
	})
}

// repeat sends a kept result, again or for the first time.
func (r *results) repeat(id string) {
	kept := r.kept[id]
	if kept == nil {
		return
	}
	if to := r.link.route(kept.over); to != nil && to.send(kept.text) {
		kept.sentAt = time.Now()
	}
}

// repeatAll sends every result that was not sent lately.
func (r *results) repeatAll(older time.Duration) {
	for id, kept := range r.kept {
		if time.Since(kept.sentAt) >= older {
			r.repeat(id)
		}
	}
}

// resumed forgets, after a cut, what the server does not want. Results of other live links are left.
func (r *results) resumed(wanted map[string]bool) {
	for id, kept := range r.kept {
		if wanted[id] {
			r.repeat(id)
		} else if !kept.over.up() {
			r.settled(id)
		}
	}
}

// settled forgets a result: the server has it, or does not want it.
func (r *results) settled(id string) {
	if kept := r.kept[id]; kept != nil {
		r.bytes -= len(kept.text)
		delete(r.kept, id)
	}
}
