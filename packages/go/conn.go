package parley

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/parley-dev/parley/packages/go/contract"
)

const (
	subprotocol = "parley.agent.v1"
	// queueBytesMax is how much may wait in a connection; past it the sender keeps what it has.
	queueBytesMax = 8 << 20
)

// connection is one welcomed WebSocket. It sends in the order of send, from a goroutine of its own, so that nobody
// waits for a slow peer while holding a lock.
type connection struct {
	socket   *websocket.Conn
	openedAt time.Time
	// quiet is how long the peer may be silent, and how long one write may take.
	quiet time.Duration

	mu      sync.Mutex
	queue   [][]byte
	bytes   int
	full    bool
	ended   bool
	goodbye *closing
	heardAt time.Time
	wake    chan struct{}
	// done is closed when the connection is gone.
	done chan struct{}
}

// closing is how a connection ends.
type closing struct {
	code   int
	reason string
}

func (c closing) String() string {
	if c.reason == "" {
		return strconv.Itoa(c.code)
	}
	return fmt.Sprintf("%d: %s", c.code, c.reason)
}

// fatal is the error of a close after which coming back cannot help, or nil.
func (c closing) fatal() *Error {
	code, retryable, ok := contract.OfCloseCode(c.code)
	if !ok || retryable {
		return nil
	}
	message := c.reason
	if message == "" {
		message = fmt.Sprintf("the peer closed the link with %d", c.code)
	}
	return contract.NewError(code, message).Fatal().With("close_code", c.code)
}

// tooLarge is the error of a close in place of a welcome, when the peer does not take a first frame so large, or nil.
func (c closing) tooLarge(hello []byte) *Error {
	if c.code != int(websocket.StatusMessageTooBig) {
		return nil
	}
	why := c.reason
	if why == "" {
		why = strconv.Itoa(c.code)
	}
	message := fmt.Sprintf("the peer does not take a first frame of %d bytes: %s", len(hello), why)
	// It would be as large the next time.
	return contract.NewError("resource_exhausted", message).Fatal().With("close_code", c.code)
}

func newConnection(socket *websocket.Conn, quiet time.Duration) *connection {
	now := time.Now()
	return &connection{
		socket: socket, openedAt: now, heardAt: now, quiet: quiet,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// up says whether frames can still be sent.
func (c *connection) up() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.ended
}

// send queues a frame. False when the connection has ended or the peer does not read: keep it and try again.
func (c *connection) send(frame []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	if c.bytes > queueBytesMax {
		c.full = true
		return false
	}
	c.queue = append(c.queue, frame)
	c.bytes += len(frame)
	c.poke()
	return true
}

func (c *connection) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// close says goodbye behind everything that waits. Closing twice does nothing.
func (c *connection) close(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	c.goodbye = &closing{code, reason}
	c.poke()
}

// write sends what is queued until the connection is gone. writable is called when a full queue has room again.
func (c *connection) write(writable func()) {
	for {
		frames, drained, goodbye := c.take()
		for _, frame := range frames {
			ctx, cancel := context.WithTimeout(context.Background(), c.quiet)
			err := c.socket.Write(ctx, websocket.MessageText, frame)
			cancel()
			if err != nil {
				// The reader sees the end too, and tells.
				_ = c.socket.CloseNow()
				return
			}
			c.wrote(len(frame))
		}
		if drained {
			writable()
		}
		if goodbye != nil {
			// The peer may be gone already; then the reader has told.
			_ = c.socket.Close(websocket.StatusCode(goodbye.code), goodbye.reason)
			return
		}
		if len(frames) > 0 {
			continue
		}
		select {
		case <-c.wake:
		case <-c.done:
			return
		}
	}
}

func (c *connection) take() (frames [][]byte, drained bool, goodbye *closing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	frames, c.queue = c.queue, nil
	if len(frames) > 0 {
		return frames, false, nil
	}
	drained, c.full = c.full, false
	return nil, drained, c.goodbye
}

func (c *connection) wrote(bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes -= bytes
}

// read hands on every frame, in order, until the connection is gone, and returns how it ended.
func (c *connection) read(frame func(text []byte)) closing {
	defer close(c.done)
	for {
		kind, text, err := c.socket.Read(context.Background())
		if err != nil {
			c.mu.Lock()
			c.ended = true
			c.mu.Unlock()
			_ = c.socket.CloseNow()
			return endOf(err)
		}
		c.mu.Lock()
		c.heardAt = time.Now()
		c.mu.Unlock()
		if kind == websocket.MessageText {
			frame(text)
		}
	}
}

func endOf(err error) closing {
	if closed, ok := errors.AsType[websocket.CloseError](err); ok {
		return closing{int(closed.Code), closed.Reason}
	}
	return closing{code: 1006, reason: ""}
}

// beat sends a heartbeat at each interval, and cuts a connection whose peer was silent too long.
func (c *connection) beat(every time.Duration, heartbeat func()) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-ticker.C:
			c.mu.Lock()
			silent := time.Since(c.heardAt)
			c.mu.Unlock()
			if silent > c.quiet {
				_ = c.socket.CloseNow()
				return
			}
			heartbeat()
		}
	}
}
