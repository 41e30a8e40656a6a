package parley

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-dev/parley/packages/go/contract"
)

func clientOf(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := NewClient(ClientOptions{URL: server.URL + "/", Key: "k1", RetryAfterMax: time.Second})
	must(t, err)
	return client
}

func TestAnErrorOfTheServerIsThatError(t *testing.T) {
	client := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "req_1")
		w.WriteHeader(404)
		fmt.Fprint(w, `{"error":{"code":"not_found","message":"no such session","retryable":false}}`)
	})
	_, err := client.Sessions.Get(t.Context(), "sess_1")
	var failure *Error
	if !errors.As(err, &failure) || failure.Code != "not_found" || failure.RequestID != "req_1" || failure.HTTPStatus() != 404 {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNoAnswerOfOursIsToldInWords(t *testing.T) {
	for _, body := range []string{"<html>oh</html>", `{"error":{"code":"E_OTHER","message":"x"}}`} {
		client := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			fmt.Fprint(w, body)
		})
		_, err := client.Sessions.Get(t.Context(), "sess_1")
		want := "internal: GET /api/v1/sessions/sess_1 answered 500 without a Parley error body: " + body
		if err == nil || err.Error() != want {
			t.Errorf("got %v", err)
		}
	}
}

func TestOnlyWhatMayBeRepeatedIsRepeated(t *testing.T) {
	var asked atomic.Int64
	client := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer k1" {
			t.Errorf("Authorization is %q", r.Header.Get("Authorization"))
		}
		if asked.Add(1) == 1 {
			w.WriteHeader(503)
			return
		}
		fmt.Fprint(w, `{"execution_id":"exec_1"}`)
	})
	if _, err := client.Executions.Execute(t.Context(), "a.b", nil, ExecuteOptions{}); err == nil || asked.Load() != 1 {
		t.Errorf("asked %d times, got %v", asked.Load(), err)
	}
	asked.Store(0)
	execution, err := client.Executions.Execute(t.Context(), "a.b", nil, ExecuteOptions{IdempotencyKey: "once"})
	if err != nil || execution.ExecutionID != "exec_1" || asked.Load() != 2 {
		t.Errorf("asked %d times, got %v", asked.Load(), err)
	}
}

func TestWhatASessionIsAskedUnderAKeyIsAskedAgainUnderIt(t *testing.T) {
	sent := make(chan string, 4)
	client := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		sent <- r.Header.Get("Idempotency-Key")
		if len(sent) == 1 {
			w.WriteHeader(503)
			return
		}
		fmt.Fprint(w, `{}`)
	})
	keys := func() (all []string) {
		for len(sent) > 0 {
			all = append(all, <-sent)
		}
		return all
	}
	ctx, key := t.Context(), WithIdempotencyKey("once")
	for name, ask := range map[string]func(options ...RequestOption) error{
		"start": func(options ...RequestOption) error {
			_, err := client.Sessions.Start(ctx, "support.voice", contract.StartRequest{}, options...)
			return err
		},
		"say": func(options ...RequestOption) error {
			_, err := client.Sessions.Say(ctx, "sess_1", "Welcome.", options...)
			return err
		},
		"inject": func(options ...RequestOption) error {
			return client.Sessions.Inject(ctx, "sess_1", "late", false, options...)
		},
		"update": func(options ...RequestOption) error {
			_, err := client.Sessions.Update(ctx, "sess_1", contract.UpdateRequest{}, options...)
			return err
		},
		"tool": func(options ...RequestOption) error {
			_, err := client.Sessions.Tool(ctx, "sess_1", "find", contract.ToolRequest{}, options...)
			return err
		},
		"turn": func(options ...RequestOption) error {
			_, err := client.Sessions.Turn(ctx, "sess_1", contract.TurnRequest{}, options...)
			return err
		},
	} {
		err := ask(key)
		if under := keys(); err != nil || !slices.Equal(under, []string{"once", "once"}) {
			t.Errorf("%s: sent %q, got %v", name, under, err)
		}
		var failure *Error
		err = ask()
		if under := keys(); !errors.As(err, &failure) || failure.Code != "unavailable" || !slices.Equal(under, []string{""}) {
			t.Errorf("%s without a key: sent %q, got %v", name, under, err)
		}
	}
}

func TestTheEndOfAContextIsToldAndADeadlineIsItsOwnCode(t *testing.T) {
	hold := make(chan struct{})
	client := clientOf(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(hold) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var failure *Error
	if _, err := client.Health(ctx); !errors.As(err, &failure) || failure.Code != "cancelled" {
		t.Errorf("cancelled: %v", err)
	}
	client.options.Timeout, client.options.Retries = time.Millisecond, 0
	if _, err := client.Health(t.Context()); !errors.As(err, &failure) || failure.Code != "deadline_exceeded" {
		t.Errorf("late: %v", err)
	}
}

func TestATailGoesOnWhereAConnectionBroke(t *testing.T) {
	var asked atomic.Int64
	client := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/events") {
			fmt.Fprint(w, `{"status":"live","last_seq":3}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		if asked.Add(1) == 1 {
			fmt.Fprint(w, ": hello\n\nid: 1\ndata: {\"seq\":1,\"type\":\"a\"}\n\nid: 2\ndata: {\"seq\":2,\"type\":\"b\"}\n\n")
			return
		}
		if after := r.URL.Query().Get("after"); after != "2" {
			t.Errorf("asked after %q", after)
		}
		fmt.Fprint(w, "data: {\"seq\":2,\"type\":\"b\"}\n\ndata: {\"seq\":3,\"type\":\"session.closed\"}\n\n")
	})
	var types []string
	for event, err := range client.Sessions.Tail(t.Context(), "sess_1", 0) {
		must(t, err)
		types = append(types, event["type"].(string))
	}
	if got := strings.Join(types, " "); got != "a b session.closed" {
		t.Errorf("got %s", got)
	}
}

func TestAURLWithCredentialsIsRefusedWithoutShowingThem(t *testing.T) {
	for _, address := range []string{"http://user:secret@host", "ftp://host", "host"} {
		if _, err := NewClient(ClientOptions{URL: address}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestAClientFindsItsControlPlaneWhereAgentsDo(t *testing.T) {
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Authorization")
		fmt.Fprint(w, `{"status":"ok","version":"1"}`)
	}))
	t.Cleanup(server.Close)
	t.Setenv("PARLEY_URL", strings.Replace(server.URL, "http://", "ws://", 1))
	t.Setenv("PARLEY_KEY", "k2")
	client, err := NewClient(ClientOptions{})
	must(t, err)
	_, err = client.Health(t.Context())
	must(t, err)
	if asked != "Bearer k2" {
		t.Errorf("Authorization is %q", asked)
	}
}
