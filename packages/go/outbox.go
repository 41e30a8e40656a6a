package parley

import (
	"container/list"
	"fmt"

	"github.com/parley-dev/parley/packages/go/contract"
)

// outbox holds frames on their way out, in order. They wait here while there is no link or the control plane does not
// read; a full outbox is an answer. Results of executions do not pass through it: they are kept until they are settled
// (results.go). Guarded by the worker's lock.
type outbox struct {
	link      *link
	framesMax int
	bytesMax  int
	waiting   list.List
	bytes     int
}

// posted is a frame that waits, or that was sent.
type posted struct {
	text []byte
	// over is the connection that it belongs to; once that has ended, any other.
	over *connection
	// sent is told the connection that took it.
	sent func(over *connection)
	at   *list.Element
}

// post sends a frame, now or as soon as there is a link. The error is resource_exhausted when too many wait already.
func (o *outbox) post(one *posted) error {
	if o.waiting.Len() == 0 && o.sendNow(one) {
		return nil
	}
	if o.waiting.Len() >= o.framesMax || o.bytes+len(one.text) > o.bytesMax {
		return contract.NewError("resource_exhausted",
			fmt.Sprintf("%d frames already wait for the agent link", o.waiting.Len())).
			With("frames_max", o.framesMax).With("bytes_max", o.bytesMax)
	}
	o.bytes += len(one.text)
	one.at = o.waiting.PushBack(one)
	return nil
}

// withdraw takes back a frame. False when it was sent already.
func (o *outbox) withdraw(one *posted) bool {
	if one.at == nil {
		return false
	}
	o.waiting.Remove(one.at)
	one.at = nil
	o.bytes -= len(one.text)
	return true
}

// flush sends what waits, as far as the link takes it.
func (o *outbox) flush() {
	for element := o.waiting.Front(); element != nil; element = o.waiting.Front() {
		one := element.Value.(*posted)
		if !o.sendNow(one) {
			return
		}
		o.withdraw(one)
	}
}

func (o *outbox) sendNow(one *posted) bool {
	to := o.link.route(one.over)
	if to == nil || !to.send(one.text) {
		return false
	}
	if one.sent != nil {
		one.sent(to)
	}
	return true
}
