package parley

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/coder/websocket"
	"github.com/parley-dev/parley/packages/go/contract"
)

// link keeps a connection to the control plane. One loop looks at the state and does the next thing; everything else
// (a close, a drain, a stop) changes the state and wakes the loop. The state is guarded by the worker's lock.
//
// P1  At most one connection is current. replace opens the next one before it lets go of the last.
// P2  Only a connection that lived BackoffReset resets the backoff.
// P3  A close with a code of 45xx, a refusal that is not retryable, or a hello that is too large for the peer (1009 in
// place of a welcome) ends the loop with its error.
type link struct {
	worker    *worker
	current   *connection
	retiring  map[*connection]bool
	replacing bool
	notBefore time.Time
	ceiling   time.Duration
	fatal     *Error
	// stopping ends the dialling and the loop.
	stopping context.Context
	stop     context.CancelFunc
	wake     chan struct{}
}

func newLink(w *worker) *link {
	l := &link{
		worker: w, retiring: map[*connection]bool{}, ceiling: w.settings.times.BackoffMin, wake: make(chan struct{}, 1),
	}
	l.stopping, l.stop = context.WithCancel(context.Background())
	return l
}

// run keeps the link up until stop. The error is that of a control plane that refused for good (P3).
func (l *link) run() error {
	defer l.goodbye()
	for l.stopping.Err() == nil {
		l.worker.mu.Lock()
		fatal, settled, wait := l.fatal, l.current != nil && !l.replacing, time.Until(l.notBefore)
		l.worker.mu.Unlock()
		if fatal != nil {
			return fatal
		}
		if settled {
			l.sleep(nil)
			continue
		}
		if wait > 0 {
			timer := time.NewTimer(wait)
			l.sleep(timer.C)
			timer.Stop()
			continue
		}
		opened, welcome, err := l.open()
		if l.stopping.Err() != nil {
			if opened != nil {
				_ = opened.socket.CloseNow()
			}
			break
		}
		if err != nil && !err.Retryable {
			return err
		}
		if err != nil {
			l.worker.mu.Lock()
			l.retryLater(err)
			l.worker.mu.Unlock()
			continue
		}
		l.adopt(opened, welcome)
	}
	return nil
}

func (l *link) sleep(until <-chan time.Time) {
	select {
	case <-l.wake:
	case <-until:
	case <-l.stopping.Done():
	}
}

func (l *link) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// goodbye closes every connection and waits until they are gone. After a refusal there is nobody to say it to, and
// closing twice does nothing.
func (l *link) goodbye() {
	l.worker.mu.Lock()
	var open []*connection
	for one := range l.retiring {
		open = append(open, one)
	}
	if l.current != nil {
		open = append(open, l.current)
	}
	l.worker.mu.Unlock()
	for _, one := range open {
		one.close(1000, "done")
	}
	for _, one := range open {
		<-one.done
	}
}

// open dials, says hello, and waits for the welcome.
func (l *link) open() (*connection, contract.AgentRegisteredFrame, *Error) {
	var welcome contract.AgentRegisteredFrame
	ctx, cancel := context.WithTimeout(l.stopping, l.worker.settings.times.Connect)
	defer cancel()
	socket, err := dial(ctx, l.worker.settings)
	if err != nil {
		return nil, welcome, contract.ErrorOf(err, "unavailable")
	}
	refuse := func(refusal *Error) (*connection, contract.AgentRegisteredFrame, *Error) {
		_ = socket.CloseNow()
		return nil, welcome, refusal
	}
	l.worker.mu.Lock()
	hello := l.worker.hello()
	l.worker.mu.Unlock()
	ctx, cancel = context.WithTimeout(l.stopping, l.worker.settings.times.Connect)
	defer cancel()
	// Beside the reading: a peer that does not take it says so while it is still being sent. A write that fails is a
	// connection that ended, and how it ended is for the reader to tell.
	written := make(chan struct{})
	go func() {
		defer close(written)
		_ = socket.Write(ctx, websocket.MessageText, hello)
	}()
	for {
		_, text, err := socket.Read(ctx)
		if err != nil {
			return refuse(l.unwelcome(ctx, endOf(err), hello))
		}
		switch kind := l.worker.frameType(text); kind {
		case "agent.error":
			var frame contract.AgentErrorFrame
			if err := json.Unmarshal(text, &frame); err != nil {
				return refuse(contract.ErrorOf(err, "internal"))
			}
			return refuse(contract.OfObject(frame.Error))
		case "agent.registered":
			if err := json.Unmarshal(text, &welcome); err != nil {
				return refuse(contract.ErrorOf(err, "internal"))
			}
			// The end of its context would cut a connection that is still being written to.
			<-written
			return newConnection(socket, time.Duration(welcome.LeaseMS)*time.Millisecond), welcome, nil
		}
	}
}

// unwelcome is why a connection that was dialled came to nothing.
func (l *link) unwelcome(ctx context.Context, end closing, hello []byte) *Error {
	if refusal := end.tooLarge(hello); refusal != nil {
		return refusal
	}
	if ctx.Err() != nil {
		return contract.NewError("unavailable",
			fmt.Sprintf("the peer did not welcome the link within %d ms", l.worker.settings.times.Connect.Milliseconds()))
	}
	if refusal := end.fatal(); refusal != nil {
		return refusal
	}
	return contract.NewError("unavailable", fmt.Sprintf("the peer closed the link with %s", end))
}

// adopt makes a welcomed connection the current one, and starts what lives with it.
func (l *link) adopt(opened *connection, welcome contract.AgentRegisteredFrame) {
	w := l.worker
	w.mu.Lock()
	if l.current != nil {
		l.retiring[l.current] = true
	}
	l.current = opened
	l.replacing = false
	go opened.write(w.writable)
	w.up(opened, welcome)
	w.mu.Unlock()
	// A heartbeat of no interval would be a flood.
	every := max(time.Duration(welcome.HeartbeatMS)*time.Millisecond, 10*time.Millisecond)
	go opened.beat(every, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		opened.send(w.heartbeat())
	})
	go func() {
		end := opened.read(func(text []byte) { w.frame(opened, text) })
		w.mu.Lock()
		defer w.mu.Unlock()
		l.closed(opened, end)
	}()
}

// closed sees the end of a connection. How one that was replaced ends says nothing about the link.
func (l *link) closed(gone *connection, end closing) {
	lost := !l.retiring[gone]
	delete(l.retiring, gone)
	if lost {
		l.current = nil
		// A peer may let go of the last connection before it has answered on the next one: that one tells (P1).
		if !l.replacing {
			l.fatal = end.fatal()
		}
		l.replacing = false
		if time.Since(gone.openedAt) >= l.worker.settings.times.BackoffReset {
			l.ceiling = l.worker.settings.times.BackoffMin
		}
	}
	l.worker.down(end)
	if lost && l.fatal == nil && l.stopping.Err() == nil {
		l.retryLater(contract.NewError("unavailable", fmt.Sprintf("the link was closed with %s", end)))
	}
	l.poke()
}

// replace opens another connection, and keeps the current one beside it until retire.
func (l *link) replace() {
	if l.replacing || l.current == nil {
		return
	}
	l.replacing = true
	l.notBefore = time.Now().Add(l.delay())
	l.poke()
}

// retire closes a connection whose old work is done.
func (l *link) retire(old *connection) { old.close(1000, "replaced") }

func (l *link) retryLater(reason *Error) {
	delay := l.delay()
	if reason.RetryAfterMS != nil {
		delay = max(delay, time.Duration(*reason.RetryAfterMS*float64(time.Millisecond)))
	}
	l.notBefore = time.Now().Add(delay)
	l.worker.log.Warn("no link", "code", reason.Code, "message", reason.Message, "retry_in_ms", delay.Milliseconds())
}

// delay is a random time below a ceiling that doubles.
func (l *link) delay() time.Duration {
	delay := time.Duration(rand.Float64() * float64(l.ceiling))
	l.ceiling = min(l.worker.settings.times.BackoffMax, l.ceiling*2)
	return delay
}

// route is the connection that a frame of `over` goes to now, or nil.
func (l *link) route(over *connection) *connection {
	if over.up() {
		return over
	}
	if l.current.up() {
		return l.current
	}
	return nil
}

func (s *settings) host() string {
	address, err := url.Parse(s.url)
	if err != nil {
		return "the control plane"
	}
	return address.Host
}
