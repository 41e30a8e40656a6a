package parley

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/parley-dev/parley/packages/go/contract"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

type object = map[string]any

// plane is a control plane as the protocol has it, with a test in its driver's seat.
type plane struct {
	url   string
	links chan *peer
	// refuse answers the next handshakes with this HTTP status; 0 accepts.
	refuse int
	// takes is the longest frame that it reads.
	takes int64
}

// peer is the server's end of one link.
type peer struct {
	t      *testing.T
	socket *websocket.Conn
	header http.Header
	frames chan object
	closed chan closing
	seq    int
}

func newPlane(t *testing.T, refuse int) *plane {
	t.Helper()
	p := &plane{links: make(chan *peer, 16), refuse: refuse, takes: contract.Limit("frame_bytes_max")}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.refuse != 0 {
			w.WriteHeader(p.refuse)
			return
		}
		socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{subprotocol}})
		if err != nil {
			return
		}
		socket.SetReadLimit(p.takes)
		link := &peer{t: t, socket: socket, header: r.Header, frames: make(chan object, 256), closed: make(chan closing, 1)}
		p.links <- link
		for {
			_, text, err := socket.Read(context.Background())
			if err != nil {
				_ = socket.CloseNow()
				link.closed <- endOf(err)
				close(link.frames)
				return
			}
			var frame object
			if err := json.Unmarshal(text, &frame); err != nil {
				t.Errorf("the agent sent what is no JSON: %v", err)
			}
			link.frames <- frame
		}
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// link waits for the agent to dial.
func (p *plane) link(t *testing.T) *peer {
	t.Helper()
	select {
	case link := <-p.links:
		return link
	case <-time.After(patience):
		t.Fatal("the agent did not dial")
		return nil
	}
}

// welcome waits for a link and registers it. Returns it with the agent's first frame.
func (p *plane) welcome(t *testing.T, wanted ...string) (*peer, object) {
	t.Helper()
	link := p.link(t)
	register := link.next("agent.register")
	link.register("agent_1", wanted...)
	return link, register
}

func (l *peer) register(agentID string, wanted ...string) {
	l.t.Helper()
	l.accept(agentID, wanted...)
	l.next("agent.heartbeat")
	l.send(object{"type": "agent.alive"})
}

// accept answers a registration, and leaves what follows it to be read.
func (l *peer) accept(agentID string, wanted ...string) {
	l.t.Helper()
	l.send(object{
		"type": "agent.registered", "link_id": contract.NewID("link"), "agent_id": agentID, "heartbeat_ms": 10_000,
		"lease_ms": 30_000, "frame_bytes_max": contract.Limit("frame_bytes_max"), "wanted": listOf(wanted),
	})
}

func (l *peer) send(frame object) {
	l.t.Helper()
	if err := l.socket.Write(context.Background(), websocket.MessageText, frameText(frame)); err != nil {
		l.t.Fatalf("the link is gone: %v", err)
	}
}

// next waits for the next frame of a type, and lets others pass.
func (l *peer) next(kind string) object {
	l.t.Helper()
	late := time.After(patience)
	for {
		select {
		case frame, ok := <-l.frames:
			if !ok {
				l.t.Fatalf("the link ended before a %s", kind)
			}
			if frame["type"] == kind {
				return frame
			}
		case <-late:
			l.t.Fatalf("no %s came", kind)
		}
	}
}

func (l *peer) end() closing {
	l.t.Helper()
	for {
		select {
		case <-l.frames:
			// What is on its way is read, so that the close can follow it.
		case end := <-l.closed:
			return end
		case <-time.After(patience):
			l.t.Fatal("the link did not end")
		}
	}
}

func (l *peer) dispatch(function string, input any) string {
	l.t.Helper()
	id := contract.NewID("execution")
	l.dispatchAs(id, function, input, 60_000)
	return id
}

func (l *peer) dispatchAs(id, function string, input any, timeoutMS int) {
	l.t.Helper()
	l.send(object{
		"type": "execution.dispatch", "execution_id": id, "workflow_id": contract.NewID("workflow"),
		"function": function, "input": input, "timeout_ms": timeoutMS,
	})
}

func (l *peer) settle(result object) {
	l.t.Helper()
	l.send(object{"type": "execution.settled", "execution_id": result["execution_id"]})
}

func (l *peer) open(session string) string {
	l.t.Helper()
	id := contract.NewID("session")
	l.send(object{
		"type": "session.open", "session_id": id, "session": session, "workflow_id": contract.NewID("workflow"),
		"execution_id": contract.NewID("execution"), "tools": []any{}, "metadata": object{"order": "42"},
		"declaration": object{"name": session, "provider": "simulator", "transport": "websocket"},
	})
	return id
}

// event appends an entry to the log of a session.
func (l *peer) event(session string, entry object) {
	l.t.Helper()
	l.seq++
	entry["seq"], entry["at_ms"] = l.seq, 1
	l.send(object{"type": "session.event", "session_id": session, "event": entry})
}

func (l *peer) turn(session, text string) {
	l.t.Helper()
	l.event(session, object{"type": "turn.completed", "turn_id": contract.NewID("turn"), "source": "text", "text": text})
}

func (l *peer) reply(request object, result any) {
	l.t.Helper()
	l.send(object{"type": "reply", "request_id": request["request_id"], "result": result})
}

// serve starts an agent against a plane with short times, and stops it with the test.
func serve(t *testing.T, app *Agent, p *plane, options ...AgentOption) *Running {
	t.Helper()
	running := start(t, app, append([]AgentOption{
		WithURL(p.url), WithKey("k1"), WithLogger(slog.New(slog.DiscardHandler)),
		WithTimes(Times{BackoffMin: time.Millisecond, BackoffMax: 10 * time.Millisecond, Cancel: 50 * time.Millisecond}),
	}, options...))
	return running
}

func start(t *testing.T, app *Agent, options []AgentOption) *Running {
	t.Helper()
	running, err := app.Start(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		running.Stop()
		running.Stop()
		<-running.Done()
	})
	return running
}

func newAgent(t *testing.T, name string) *Agent {
	t.Helper()
	app, err := NewAgent(name)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func soon[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatal("it did not come")
		var none T
		return none
	}
}

// errorOf is the error of a frame.
func errorOf(t *testing.T, frame object) object {
	t.Helper()
	failure, ok := frame["error"].(object)
	if !ok {
		t.Fatalf("expected an error in %v", frame)
	}
	return failure
}
