package parley

import (
	"context"
	"errors"
	"testing"

	"github.com/parley-dev/parley/packages/go/contract"
)

func desk(t *testing.T, handler SessionHandler) *Agent {
	t.Helper()
	app := newAgent(t, "support")
	must(t, app.RegisterSession("desk", "simulator", "websocket", handler))
	return app
}

func TestAHandlerAnswersTurnsWithInputCallAndSay(t *testing.T) {
	spoken := make(chan Spoken, 1)
	app := desk(t, func(ctx context.Context, session *Session) error {
		for turn, err := range session.Turns(ctx) {
			if err != nil {
				return err
			}
			var result struct {
				SpokenResponse string `json:"spoken_response"`
			}
			if err := session.Call(turn.Context(), "resolve_turn", turn, &result); err != nil {
				return err
			}
			said, err := session.Say(ctx, result.SpokenResponse)
			if err != nil {
				return err
			}
			spoken <- said
		}
		return nil
	})
	p := newPlane(t, 0)
	serve(t, app, p)
	link, register := p.welcome(t)
	if session := register["sessions"].([]any)[0].(object); session["responder"] != "handler" {
		t.Errorf("registered as %v", session)
	}
	id := link.open("desk")
	link.turn(id, "Where is 42?")
	call := link.next("function.call")
	if call["target"] != "support.resolve_turn" || call["session_id"] != id || call["input"].(object)["text"] != "Where is 42?" {
		t.Errorf("the call is %v", call)
	}
	link.reply(call, object{"spoken_response": "It ships on Friday."})
	say := link.next("session.say")
	if say["text"] != "It ships on Friday." {
		t.Errorf("said %v", say)
	}
	link.reply(say, object{"interrupted": true, "spoken_text": "It ships"})
	if said := soon(t, spoken); said != (Spoken{true, "It ships"}) {
		t.Errorf("say resolved with %+v", said)
	}
	link.event(id, object{"type": "session.closing", "reason": "client_closed", "by": "client"})
	if handled := link.next("session.handled"); handled["session_id"] != id || handled["error"] != nil {
		t.Errorf("handled: %v", handled)
	}
	link.event(id, object{"type": "session.closed", "reason": "client_closed"})
}

func TestAnInterruptionCancelsTheTurnAndTheCallInIt(t *testing.T) {
	failed := make(chan error, 1)
	next := make(chan string, 1)
	app := desk(t, func(ctx context.Context, session *Session) error {
		turn, err := session.Input(ctx)
		if err != nil {
			return err
		}
		failed <- session.Call(turn.Context(), "slow", nil, nil)
		turn, err = session.Input(ctx)
		if err != nil {
			return err
		}
		next <- turn.Text
		return nil
	})
	p := newPlane(t, 0)
	serve(t, app, p)
	link, _ := p.welcome(t)
	id := link.open("desk")
	link.turn(id, "one")
	call := link.next("function.call")
	link.event(id, object{"type": "response.interrupted", "response_id": "r"})
	if cancel := link.next("function.cancel"); cancel["request_id"] != call["request_id"] {
		t.Errorf("cancelled %v", cancel)
	}
	var failure *Error
	if err := soon(t, failed); !errors.As(err, &failure) || failure.Code != "cancelled" || failure.Message != "the user interrupted" {
		t.Errorf("the call ended with %v", err)
	}
	link.turn(id, "two")
	if text := soon(t, next); text != "two" {
		t.Errorf("the next turn is %q", text)
	}
	link.next("session.handled")
}

func TestAHandlerThatFailsOrPanicsTouchesNoOtherSession(t *testing.T) {
	app := desk(t, func(ctx context.Context, session *Session) error {
		for turn, err := range session.Turns(ctx) {
			switch {
			case err != nil:
				return err
			case turn.Text == "fail":
				return errors.New("no idea")
			case turn.Text == "panic":
				panic("oh")
			}
			if _, err := session.Say(ctx, turn.Text); err != nil {
				return err
			}
		}
		return nil
	})
	p := newPlane(t, 0)
	serve(t, app, p)
	link, _ := p.welcome(t)
	good, bad, worse := link.open("desk"), link.open("desk"), link.open("desk")
	link.turn(bad, "fail")
	if handled := link.next("session.handled"); handled["session_id"] != bad || errorOf(t, handled)["message"] != "no idea" {
		t.Errorf("failed: %v", handled)
	}
	link.turn(worse, "panic")
	if handled := link.next("session.handled"); handled["session_id"] != worse || errorOf(t, handled)["code"] != "internal" {
		t.Errorf("panicked: %v", handled)
	}
	link.turn(good, "still here")
	if say := link.next("session.say"); say["session_id"] != good || say["text"] != "still here" {
		t.Errorf("said %v", say)
	}
}

func TestAfterACutTheHandlerGoesOnAndSeesNoEntryTwice(t *testing.T) {
	texts := make(chan string, 8)
	app := desk(t, func(ctx context.Context, session *Session) error {
		for turn, err := range session.Turns(ctx) {
			if err != nil {
				return err
			}
			texts <- turn.Text
		}
		return nil
	})
	p := newPlane(t, 0)
	serve(t, app, p)
	first, _ := p.welcome(t)
	id := first.open("desk")
	first.turn(id, "one")
	if text := soon(t, texts); text != "one" {
		t.Fatalf("heard %q", text)
	}
	must(t, first.socket.CloseNow())
	second := p.link(t)
	register := second.next("agent.register")
	open := register["sessions_open"].([]any)
	if len(open) != 1 || open[0].(object)["session_id"] != id || open[0].(object)["after_seq"] != 1.0 {
		t.Errorf("open are %v", open)
	}
	second.register("agent_1")
	second.turn(id, "one, again")
	second.turn(id, "two")
	if text := soon(t, texts); text != "two" {
		t.Errorf("heard %q", text)
	}
}

func TestARequestIsRepeatedUnderItsIDAndNotToAnotherControlPlane(t *testing.T) {
	ends := make(chan error, 2)
	app := desk(t, func(ctx context.Context, session *Session) error {
		for range 2 {
			_, err := session.Say(ctx, "hello")
			ends <- err
		}
		return nil
	})
	p := newPlane(t, 0)
	serve(t, app, p)
	first, _ := p.welcome(t)
	first.open("desk")
	asked := first.next("session.say")
	must(t, first.socket.CloseNow())
	second, _ := p.welcome(t)
	again := second.next("session.say")
	if again["request_id"] != asked["request_id"] {
		t.Errorf("asked again as %v", again)
	}
	second.reply(again, object{"interrupted": false, "spoken_text": "hello"})
	must(t, soon(t, ends))
	second.next("session.say")
	must(t, second.socket.CloseNow())
	third := p.link(t)
	third.next("agent.register")
	third.register("agent_2")
	var failure *Error
	if err := soon(t, ends); !errors.As(err, &failure) || failure.Code != "unavailable" || failure.Retryable ||
		failure.Details["outcome"] != "unknown" {
		t.Errorf("at another control plane: %v", err)
	}
}

func TestASessionThatTheServerLostEndsWithThatError(t *testing.T) {
	ended := make(chan error, 1)
	app := desk(t, func(ctx context.Context, session *Session) error {
		_, err := session.Input(ctx)
		ended <- err
		return err
	})
	p := newPlane(t, 0)
	serve(t, app, p)
	link, _ := p.welcome(t)
	id := link.open("desk")
	link.send(object{"type": "agent.error", "error": contract.NewError("not_found", "no such session").With("session_id", id).Object()})
	var failure *Error
	if err := soon(t, ended); !errors.As(err, &failure) || failure.Code != "not_found" {
		t.Errorf("input ended with %v", err)
	}
}

func TestTooManyTurnsDropTheOldest(t *testing.T) {
	hold, texts := make(chan struct{}), make(chan string, 8)
	app := desk(t, func(ctx context.Context, session *Session) error {
		<-hold
		for turn, err := range session.Turns(ctx) {
			if err != nil {
				return err
			}
			texts <- turn.Text
		}
		return nil
	})
	p := newPlane(t, 0)
	serve(t, app, p, WithLimits(Limits{Turns: 2}))
	link, _ := p.welcome(t)
	id := link.open("desk")
	for _, text := range []string{"one", "two", "three"} {
		link.turn(id, text)
	}
	// A refusal comes behind everything that was sent before it.
	other := link.open("nobody")
	if handled := link.next("session.handled"); handled["session_id"] != other || errorOf(t, handled)["code"] != "not_found" {
		t.Errorf("handled: %v", handled)
	}
	close(hold)
	if a, b := soon(t, texts), soon(t, texts); a != "two" || b != "three" {
		t.Errorf("heard %q and %q", a, b)
	}
}

func TestUpdateInjectAndCloseSayWhatTheyMean(t *testing.T) {
	app := desk(t, func(ctx context.Context, session *Session) error {
		if session.Target != "support.desk" || session.Metadata["order"] != "42" {
			return errors.New("it is another session")
		}
		if err := session.Update(ctx, SessionChange{TurnDetection: PushToTalk(), Tools: []string{}}); err != nil {
			return err
		}
		if err := session.Inject(ctx, "order 42", true); err != nil {
			return err
		}
		return session.Close(ctx, "done")
	})
	p := newPlane(t, 0)
	serve(t, app, p)
	link, _ := p.welcome(t)
	link.open("desk")
	update := link.next("session.update")
	if detection, present := update["turn_detection"]; !present || detection != nil || len(update["tools"].([]any)) != 0 {
		t.Errorf("the update is %v", update)
	}
	if _, present := update["voice"]; present {
		t.Errorf("the update names a voice: %v", update)
	}
	link.reply(update, nil)
	inject := link.next("session.inject")
	if inject["text"] != "order 42" || inject["respond"] != true {
		t.Errorf("injected %v", inject)
	}
	link.reply(inject, nil)
	end := link.next("session.close")
	if end["reason"] != "done" {
		t.Errorf("closed with %v", end)
	}
	link.reply(end, nil)
	if handled := link.next("session.handled"); handled["error"] != nil {
		t.Errorf("handled: %v", handled)
	}
}
