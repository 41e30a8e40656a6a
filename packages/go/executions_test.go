package parley

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-dev/parley/packages/go/contract"
)

type doubleInput struct {
	N int `json:"n"`
}

func double(_ context.Context, input doubleInput) (int, error) { return input.N * 2, nil }

// blocking is a function that says when it started and returns when its context ends, or when it is let go.
type blocking struct {
	started chan *Execution
	release chan struct{}
	cause   chan error
	runs    atomic.Int64
}

func newBlocking(t *testing.T, app *Agent, name string, options ...FunctionOption) *blocking {
	t.Helper()
	b := &blocking{started: make(chan *Execution, 64), release: make(chan struct{}), cause: make(chan error, 64)}
	_, err := RegisterSkill(app, name, func(ctx context.Context, _ struct{}) (string, error) {
		b.runs.Add(1)
		b.started <- Current(ctx)
		select {
		case <-b.release:
			return "done", nil
		case <-ctx.Done():
			b.cause <- context.Cause(ctx)
			return "", ctx.Err()
		}
	}, options...)
	must(t, err)
	return b
}

func TestAnAgentRegistersRunsAFunctionAndKeepsItsResultUntilItIsSettled(t *testing.T) {
	p, app := newPlane(t, 0), newAgent(t, "support")
	_, err := RegisterSkill(app, "double", double, WithDescription("Doubles."), WithTimeoutMS(5000))
	must(t, err)
	must(t, app.RegisterSession("voice", " Simulator", "WebSocket", nil, WithSessionTools("double"),
		WithSessionLimits(contract.SessionLimits{MaxDurationMS: new(contract.Int(5000))})))
	running := serve(t, app, p)
	link, register := p.welcome(t)
	must(t, running.Ready(t.Context()))
	if got := link.header.Get("Authorization"); got != "Bearer k1" {
		t.Errorf("Authorization is %q", got)
	}
	session := register["sessions"].([]any)[0].(object)
	if session["provider"] != "simulator" || session["responder"] != "model" || session["limits"].(object)["max_duration_ms"] != 5000.0 {
		t.Errorf("the session registered as %v", session)
	}
	function := register["functions"].([]any)[0].(object)
	if function["kind"] != "skill" || function["description"] != "Doubles." || function["timeout_ms"] != 5000.0 {
		t.Errorf("the function registered as %v", function)
	}

	id := link.dispatch("double", object{"n": 21.0})
	if accepted := link.next("execution.accepted"); accepted["execution_id"] != id {
		t.Errorf("accepted %v", accepted)
	}
	result := link.next("execution.result")
	if result["status"] != "succeeded" || result["output"] != 42.0 {
		t.Errorf("the result is %v", result)
	}
	running.Drain()
	link.next("agent.drain")
	if status := running.Status(); status.Phase != "draining" || status.Unconfirmed != 1 {
		t.Errorf("the status is %+v", status)
	}
	link.settle(result)
	must(t, running.Wait())
	if end := link.end(); end.code != 1000 {
		t.Errorf("the link ended with %v", end)
	}
}

func TestAnInputThatDoesNotFitNeverReachesTheBody(t *testing.T) {
	p, app := newPlane(t, 0), newAgent(t, "support")
	_, err := RegisterSkill(app, "double", double)
	must(t, err)
	serve(t, app, p)
	link, _ := p.welcome(t)
	for input, want := range map[string]string{
		"missing": "the input of support.double is not valid: n is required",
		"text":    "the input of support.double is not valid: n must be an integer, got string",
		"half":    "the input of support.double is not valid: n must be an integer",
	} {
		link.dispatch("double", map[string]object{"missing": {}, "text": {"n": "x"}, "half": {"n": 0.5}}[input])
		failure := errorOf(t, link.next("execution.result"))
		if failure["code"] != "invalid_argument" || failure["message"] != want || failure["details"].(object)["path"] != "n" {
			t.Errorf("%s: %v", input, failure)
		}
	}
}

func TestAFunctionThatFailsOrPanicsOrSaysTooMuchEndsOnlyItself(t *testing.T) {
	p, app := newPlane(t, 0), newAgent(t, "support")
	_, err := RegisterSkill(app, "fail", func(_ context.Context, how string) (string, error) {
		switch how {
		case "typed":
			return "", contract.NewError("not_found", "no such order").With("order", "42")
		case "plain":
			return "", errors.New("it broke")
		case "panic":
			panic("oh")
		default:
			return strings.Repeat("x", int(contract.Limit("payload_bytes_max"))), nil
		}
	})
	must(t, err)
	serve(t, app, p)
	link, _ := p.welcome(t)
	for how, want := range map[string]string{
		"typed": "not_found", "plain": "unknown", "panic": "internal", "long": "resource_exhausted",
	} {
		link.dispatch("fail", how)
		result := link.next("execution.result")
		if failure := errorOf(t, result); failure["code"] != want || result["status"] != "failed" {
			t.Errorf("%s: %v", how, result)
		}
	}
	link.dispatch("nothing", nil)
	if failure := errorOf(t, link.next("execution.result")); failure["message"] != "this agent has no function 'nothing'" {
		t.Errorf("an unknown function: %v", failure)
	}
}

func TestACancellationEndsTheContextWithItsReason(t *testing.T) {
	p, app := newPlane(t, 0), newAgent(t, "support")
	b := newBlocking(t, app, "wait")
	serve(t, app, p)
	link, _ := p.welcome(t)
	id := link.dispatch("wait", object{})
	soon(t, b.started)
	link.send(object{"type": "execution.cancel", "execution_id": id, "reason": "the user interrupted"})
	result := link.next("execution.result")
	if failure := errorOf(t, result); result["status"] != "cancelled" || failure["message"] != "the user interrupted" {
		t.Errorf("the result is %v", result)
	}
	var cause *Error
	if err := soon(t, b.cause); !errors.As(err, &cause) || cause.Code != "cancelled" {
		t.Errorf("the cause is %v", err)
	}
}

func TestABodyThatIgnoresItsContextIsGivenUpAndKeepsItsPlace(t *testing.T) {
	p, app := newPlane(t, 0), newAgent(t, "support")
	release := make(chan struct{})
	_, err := RegisterSkill(app, "deaf", func(context.Context, struct{}) (string, error) { <-release; return "late", nil })
	must(t, err)
	_, err = RegisterSkill(app, "double", double)
	must(t, err)
	serve(t, app, p, WithLimits(Limits{Executions: 1}))
	link, _ := p.welcome(t)
	late := contract.NewID("execution")
	link.dispatchAs(late, "deaf", object{}, 20)
	result := link.next("execution.result")
	if result["status"] != "timed_out" || errorOf(t, result)["message"] != "deaf did not end within 20 ms" {
		t.Errorf("the result is %v", result)
	}
	id := link.dispatch("double", object{"n": 1})
	link.next("execution.accepted")
	close(release)
	if next := link.next("execution.result"); next["execution_id"] != id || next["output"] != 2.0 {
		t.Errorf("after the place was free: %v", next)
	}
}

func TestAnExecutionThatWaitsForItsChildLeavesItsPlaceToIt(t *testing.T) {
	p, app := newPlane(t, 0), newAgent(t, "support")
	child, err := RegisterSkill(app, "double", double)
	must(t, err)
	_, err = RegisterReasoner(app, "parent", func(ctx context.Context, input doubleInput) (int, error) {
		must(t, Current(ctx).Note("asking", object{"n": input.N}))
		return child.Call(ctx, Current(ctx), input)
	})
	must(t, err)
	serve(t, app, p, WithLimits(Limits{Executions: 1}))
	link, _ := p.welcome(t)
	parent := link.dispatch("parent", object{"n": 4})
	if note := link.next("execution.note"); note["text"] != "asking" || note["execution_id"] != parent {
		t.Errorf("the note is %v", note)
	}
	call := link.next("function.call")
	if call["target"] != "support.double" || call["parent_execution_id"] != parent {
		t.Errorf("the call is %v", call)
	}
	link.dispatch("double", call["input"])
	result := link.next("execution.result")
	link.reply(call, result["output"])
	if end := link.next("execution.result"); end["execution_id"] != parent || end["output"] != 8.0 {
		t.Errorf("the parent ended with %v", end)
	}
}

func TestMaxConcurrentHoldsUpOnlyItsOwnFunction(t *testing.T) {
	p, app := newPlane(t, 0), newAgent(t, "support")
	b := newBlocking(t, app, "one", WithMaxConcurrent(1))
	_, err := RegisterSkill(app, "double", double)
	must(t, err)
	serve(t, app, p)
	link, _ := p.welcome(t)
	link.dispatch("one", object{})
	link.dispatch("one", object{})
	soon(t, b.started)
	link.dispatch("double", object{"n": 3})
	if result := link.next("execution.result"); result["output"] != 6.0 {
		t.Errorf("the other function ended with %v", result)
	}
	if b.runs.Load() != 1 {
		t.Errorf("%d ran at once", b.runs.Load())
	}
	close(b.release)
	link.next("execution.result")
	link.next("execution.result")
}

func TestAfterACutTheExecutionGoesOnAndItsResultIsRepeated(t *testing.T) {
	p, app := newPlane(t, 0), newAgent(t, "support")
	b := newBlocking(t, app, "wait")
	serve(t, app, p)
	first, one := p.welcome(t)
	id := first.dispatch("wait", object{})
	dropped := first.dispatch("wait", object{})
	soon(t, b.started)
	soon(t, b.started)
	must(t, first.socket.CloseNow())

	second := p.link(t)
	two := second.next("agent.register")
	if two["instance_id"] != one["instance_id"] || len(two["in_flight"].([]any)) != 2 {
		t.Errorf("registered again as %v", two)
	}
	second.register("agent_1", id)
	// What the server does not want is cancelled.
	if err := soon(t, b.cause); err == nil {
		t.Error("the execution that was not wanted has no cause")
	}
	if gone := second.next("execution.result"); gone["execution_id"] != dropped || gone["status"] != "cancelled" {
		t.Errorf("the one that was not wanted: %v", gone)
	}
	second.dispatchAs(id, "wait", object{}, 60_000)
	close(b.release)
	if result := second.next("execution.result"); result["execution_id"] != id || result["output"] != "done" {
		t.Errorf("the result is %v", result)
	}
	must(t, second.socket.CloseNow())
	third := p.link(t)
	third.next("agent.register")
	third.accept("agent_1", id)
	if again := third.next("execution.result"); again["execution_id"] != id || again["output"] != "done" {
		t.Errorf("repeated: %v", again)
	}
	third.settle(object{"execution_id": id})
	third.dispatchAs(id, "wait", object{}, 60_000)
	if b.runs.Load() != 2 {
		t.Errorf("%d runs of two executions", b.runs.Load())
	}
}

func TestPastTheWaitingRoomTheAnswerIsResourceExhausted(t *testing.T) {
	p, app := newPlane(t, 0), newAgent(t, "support")
	b := newBlocking(t, app, "wait")
	serve(t, app, p, WithLimits(Limits{Executions: 1, ExecutionsWaiting: 1}))
	link, _ := p.welcome(t)
	link.dispatch("wait", object{})
	soon(t, b.started)
	link.dispatch("wait", object{})
	link.dispatch("wait", object{})
	if failure := errorOf(t, link.next("execution.result")); failure["code"] != "resource_exhausted" {
		t.Errorf("the third: %v", failure)
	}
}

func TestAStopCancelsWhatRunsAndSaysHowItEnded(t *testing.T) {
	p, app := newPlane(t, 0), newAgent(t, "support")
	b := newBlocking(t, app, "wait")
	running := serve(t, app, p, WithTimes(Times{Stop: 10 * time.Second}))
	link, _ := p.welcome(t)
	link.dispatch("wait", object{})
	soon(t, b.started)
	running.Stop()
	result := link.next("execution.result")
	if result["status"] != "cancelled" || errorOf(t, result)["message"] != "the agent is stopping" {
		t.Errorf("the result is %v", result)
	}
	link.settle(result)
	must(t, running.Wait())
}
