package parley

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/parley-dev/parley/packages/go/contract"
)

func TestARefusalThatTryingAgainCannotHelpEndsTheAgent(t *testing.T) {
	for name, refuse := range map[string]func(t *testing.T, p *plane){
		"HTTP 401": func(*testing.T, *plane) {},
		"close 4510": func(t *testing.T, p *plane) {
			link, _ := p.welcome(t)
			must(t, link.socket.Close(websocket.StatusCode(4510), "another one has this instance"))
		},
		"agent.error": func(t *testing.T, p *plane) {
			link := p.link(t)
			link.next("agent.register")
			link.send(object{"type": "agent.error", "error": contract.NewError("invalid_argument", "bad").Object()})
		},
	} {
		t.Run(name, func(t *testing.T) {
			status := 0
			if strings.HasPrefix(name, "HTTP") {
				status = 401
			}
			p := newPlane(t, status)
			running := serve(t, newAgent(t, "support"), p)
			refuse(t, p)
			want := map[string]string{"HTTP 401": "unauthenticated", "close 4510": "aborted", "agent.error": "invalid_argument"}[name]
			var failure *Error
			if err := running.Wait(); !errors.As(err, &failure) || failure.Code != want || failure.Retryable {
				t.Errorf("the agent ended with %v", err)
			}
			if running.Status().Phase != "stopped" {
				t.Errorf("the status is %+v", running.Status())
			}
		})
	}
}

func TestAPeerThatDoesNotSpeakTLSEndsTheAgent(t *testing.T) {
	p := newPlane(t, 0)
	p.url = strings.Replace(p.url, "http://", "wss://", 1)
	running := serve(t, newAgent(t, "support"), p)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var failure *Error
	if err := running.Ready(ctx); !errors.As(err, &failure) || failure.Code != "unavailable" || failure.Retryable {
		t.Errorf("the agent ended with %v", err)
	}
}

func TestARegistrationThatIsTooLargeEndsTheAgentWithItsSize(t *testing.T) {
	instructions := strings.Repeat("x", 60_000)
	for name, sessions := range map[string]int{"within the buffers of the system": 1, "beyond them": 120} {
		t.Run(name, func(t *testing.T) {
			p, app, size := newPlane(t, 0), newAgent(t, "support"), sessions*len(instructions)
			p.takes = int64(size) / 2
			for i := range sessions {
				must(t, app.RegisterSession(fmt.Sprint("voice", i), "simulator", "websocket", nil,
					WithSessionInstructions(instructions)))
			}
			running := serve(t, app, p)
			var failure *Error
			if err := running.Wait(); !errors.As(err, &failure) || failure.Code != "resource_exhausted" || failure.Retryable {
				t.Fatalf("the agent ended with %v", err)
			}
			var bytes int
			if _, err := fmt.Sscanf(failure.Message, "the peer does not take a first frame of %d bytes", &bytes); err != nil || bytes < size {
				t.Errorf("the message is %q", failure.Message)
			}
			if dials := len(p.links); dials != 1 {
				t.Errorf("it dialled %d times", dials)
			}
		})
	}
}

func TestARetryableCloseBringsTheAgentBack(t *testing.T) {
	p := newPlane(t, 0)
	serve(t, newAgent(t, "support"), p)
	for _, code := range []int{4014, 1012, 1001} {
		link, _ := p.welcome(t)
		must(t, link.socket.Close(websocket.StatusCode(code), "again"))
	}
	p.welcome(t)
}

func TestOnlyALinkThatLivedResetsTheBackoff(t *testing.T) {
	options, err := settle([]AgentOption{WithLogger(slog.New(slog.DiscardHandler))})
	must(t, err)
	l := newWorker(newAgent(t, "support"), options).link
	for range 3 {
		if delay := l.delay(); delay < 0 || delay > l.ceiling {
			t.Errorf("waits %v", delay)
		}
	}
	if l.ceiling != 8*options.times.BackoffMin {
		t.Errorf("the ceiling is %v after three tries", l.ceiling)
	}
	l.current = &connection{openedAt: time.Now()}
	l.closed(l.current, closing{code: 1006})
	if l.ceiling != 16*options.times.BackoffMin {
		t.Errorf("the ceiling is %v after a link that was dropped at once", l.ceiling)
	}
	l.current = &connection{openedAt: time.Now().Add(-options.times.BackoffReset)}
	l.closed(l.current, closing{code: 1006})
	if l.ceiling != 2*options.times.BackoffMin {
		t.Errorf("the ceiling is %v after a link that lived", l.ceiling)
	}
	for range 20 {
		l.delay()
	}
	if l.ceiling != options.times.BackoffMax {
		t.Errorf("the ceiling is %v in the end", l.ceiling)
	}
}

func TestRetryAfterIsALowerBound(t *testing.T) {
	options, err := settle([]AgentOption{WithLogger(slog.New(slog.DiscardHandler))})
	must(t, err)
	l := newWorker(newAgent(t, "support"), options).link
	busy := contract.NewError("resource_exhausted", "full")
	busy.RetryAfterMS = new(60_000.0)
	l.retryLater(busy)
	if wait := time.Until(l.notBefore); wait < 50*time.Second {
		t.Errorf("waits %v", wait)
	}
}

func TestWhenTheServerDrainsOldWorkIsAnsweredOverTheOldLink(t *testing.T) {
	p, app := newPlane(t, 0), newAgent(t, "support")
	b := newBlocking(t, app, "wait")
	_, err := RegisterSkill(app, "double", double)
	must(t, err)
	serve(t, app, p)
	old, one := p.welcome(t)
	id := old.dispatch("wait", object{})
	soon(t, b.started)
	old.send(object{"type": "server.drain", "deadline_ms": 30_000})
	fresh := p.link(t)
	two := fresh.next("agent.register")
	if two["instance_id"] != one["instance_id"] {
		t.Errorf("another instance: %v", two)
	}
	fresh.register("agent_1", id)
	fresh.dispatch("double", object{"n": 2})
	if result := fresh.next("execution.result"); result["output"] != 4.0 {
		t.Errorf("new work ended with %v", result)
	}
	close(b.release)
	result := old.next("execution.result")
	if result["execution_id"] != id || result["output"] != "done" {
		t.Errorf("old work ended with %v", result)
	}
	old.settle(result)
	if end := old.end(); end.code != 1000 {
		t.Errorf("the old link ended with %v", end)
	}
}

func TestASilentServerIsCutAndDialledAgain(t *testing.T) {
	p := newPlane(t, 0)
	serve(t, newAgent(t, "support"), p)
	link := p.link(t)
	link.next("agent.register")
	link.send(object{"type": "agent.registered", "link_id": "link_1", "agent_id": "agent_1", "heartbeat_ms": 20,
		"lease_ms": 100, "frame_bytes_max": 1 << 20, "wanted": []any{}})
	link.next("agent.heartbeat")
	p.welcome(t)
}

func TestFramesThatCannotBeReadAreSkipped(t *testing.T) {
	p, app := newPlane(t, 0), newAgent(t, "support")
	_, err := RegisterSkill(app, "double", double)
	must(t, err)
	serve(t, app, p)
	link, _ := p.welcome(t)
	link.send(object{"type": "execution.teleport"})
	link.send(object{"type": "execution.cancel"})
	must(t, link.socket.Write(context.Background(), websocket.MessageText, []byte("no JSON")))
	link.dispatch("double", object{"n": 2})
	if result := link.next("execution.result"); result["output"] != 4.0 {
		t.Errorf("after them: %v", result)
	}
}

func TestPastTheOpenRequestsTheCallerIsTold(t *testing.T) {
	second := make(chan error, 1)
	app := desk(t, func(ctx context.Context, session *Session) error {
		go func() { _, _ = session.Say(ctx, "one") }()
		if _, err := session.Input(ctx); err != nil {
			return err
		}
		_, err := session.Say(ctx, "two")
		second <- err
		return nil
	})
	p := newPlane(t, 0)
	serve(t, app, p, WithLimits(Limits{Requests: 1}))
	link, _ := p.welcome(t)
	id := link.open("desk")
	link.next("session.say")
	link.turn(id, "go")
	var failure *Error
	if err := soon(t, second); !errors.As(err, &failure) || failure.Code != "resource_exhausted" {
		t.Errorf("the second request: %v", err)
	}
}

func TestAddressesThatCannotBeAreRefusedWithoutTheirSecrets(t *testing.T) {
	for address, want := range map[string]string{
		"ftp://host":             "url must start with ws://, wss://, http:// or https://, got ftp:",
		"nonsense":               "url must start with ws://, wss://, http:// or https://, got something that is no URL",
		"ws://user:secret@host/": "url must not hold a user or a password; give the key with WithKey",
	} {
		var failure *Error
		if _, err := newAgent(t, "a").Start(WithURL(address)); !errors.As(err, &failure) || failure.Message != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	if got, err := linkURL("https://parley.example"); err != nil || got != "wss://parley.example/api/v1/agent-link" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestAnAgentThatStoppedLeavesNothingRunning(t *testing.T) {
	p := newPlane(t, 0)
	before := runtime.NumGoroutine()
	for range 5 {
		app := newAgent(t, "support")
		must(t, app.RegisterSession("voice", "simulator", "websocket", func(ctx context.Context, session *Session) error {
			for _, err := range session.Turns(ctx) {
				if err != nil {
					return err
				}
			}
			return nil
		}))
		running := serve(t, app, p)
		link, _ := p.welcome(t)
		// A link that is cut, and one that is said goodbye to.
		must(t, link.socket.CloseNow())
		p.welcome(t)
		running.Drain()
		if err := running.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	left := func() int { return runtime.NumGoroutine() - before }
	for deadline := time.Now().Add(patience); left() > 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if left() > 0 {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines are left:\n%s", left(), stacks[:runtime.Stack(stacks, true)])
	}
}
