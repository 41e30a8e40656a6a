package parley

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/parley-dev/parley/packages/go/contract"
)

const (
	// tailAttemptsMax is how many connections in a row may bring nothing before the last error is told.
	tailAttemptsMax = 10
	// tailSilence is after how long without a sign of life a connection is given up for a new one.
	tailSilence = 45 * time.Second
	// eventBytesMax is the longest line of a stream. One entry of a log is far below it.
	eventBytesMax = 16 << 20
)

// Tail follows the log of a session live, from the entry after `after`, in order and without gaps, until
// session.closed. It reconnects by itself; an error is the last pair.
func (s *SessionsClient) Tail(ctx context.Context, id string, after int64) iter.Seq2[map[string]any, error] {
	return func(yield func(map[string]any, error) bool) {
		fruitless := 0
		for {
			more := true
			err := s.client.stream(ctx, sessionPath(id)+"/events", after, func(event map[string]any) bool {
				seq, _ := event["seq"].(float64)
				// A server may send again what was on its way when a connection broke.
				if int64(seq) <= after {
					return true
				}
				after, fruitless = int64(seq), 0
				more = yield(event, nil) && event["type"] != "session.closed"
				return more
			})
			if !more {
				return
			}
			if err == nil {
				// An end without an error: a drained server, or nothing that could follow.
				session, problem := s.Get(ctx, id)
				if problem == nil && session.Status == "closed" && int64(session.LastSeq) <= after {
					return
				}
				err = contract.NewError("unavailable", fmt.Sprintf("the log of %s broke off", id))
				if problem != nil {
					err = contract.ErrorOf(problem, "unavailable")
				}
			}
			fruitless++
			if ctx.Err() != nil || !err.Retryable || fruitless >= tailAttemptsMax {
				yield(nil, err)
				return
			}
			wait := min(backoffMin<<(fruitless-1), time.Duration(contract.TimeMS("backoff_max_ms"))*time.Millisecond)
			if err.RetryAfterMS != nil {
				wait = max(wait, time.Duration(*err.RetryAfterMS*float64(time.Millisecond)))
			}
			if problem := pause(ctx, wait); problem != nil {
				yield(nil, problem)
				return
			}
		}
	}
}

// stream reads server-sent events until take says false, or the stream ends.
func (c *Client) stream(ctx context.Context, path string, after int64, take func(event map[string]any) bool) *Error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(tailSilence, func() {
		cancel(contract.NewError("unavailable", fmt.Sprintf("%s was silent for %d ms", c.base, tailSilence.Milliseconds())))
	})
	defer quiet.Stop()
	call := exchange{method: http.MethodGet, path: path, query: query("after", strconv.FormatInt(after, 10)),
		header: map[string]string{"Accept": "text/event-stream"}}
	response, err := c.send(ctx, call)
	if err != nil {
		return contract.ErrorOf(err, "unavailable")
	}
	defer response.Body.Close()
	kind := response.Header.Get("Content-Type")
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		text, err := c.read(ctx, call, response.Body)
		if err != nil {
			return contract.ErrorOf(err, "unavailable")
		}
		return problemOf(call, response, text)
	}
	lines := bufio.NewScanner(&heard{response.Body, func() { quiet.Reset(tailSilence) }})
	lines.Buffer(nil, eventBytesMax)
	var data []byte
	for lines.Scan() {
		// What else a line may be (an id, an event name, a comment) is in the data too, or says only that it lives.
		if text, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:")); ok {
			data = append(data, bytes.TrimPrefix(text, []byte(" "))...)
			continue
		}
		if len(lines.Bytes()) > 0 || len(data) == 0 {
			continue
		}
		event, err := contract.Decode(data)
		fields, ok := event.(map[string]any)
		if err != nil || !ok {
			return contract.NewError("data_loss", "an entry of the log is no JSON object")
		}
		data = nil
		if !take(fields) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return c.broken(ctx, err)
	}
	return nil
}

// heard tells of every read that brought something.
type heard struct {
	from io.Reader
	tell func()
}

func (h *heard) Read(into []byte) (int, error) {
	n, err := h.from.Read(into)
	if n > 0 {
		h.tell()
	}
	return n, err
}
