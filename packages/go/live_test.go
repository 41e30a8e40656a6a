package parley

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/parley-dev/parley/packages/go/contract"
	"github.com/parley-dev/parley/packages/go/fold"
)

// house is a real control plane and the simulator, as processes of their own; all live tests share one.
type house struct {
	t      *testing.T
	url    string
	client *Client
}

const script = `
rules:
  - heard: "order (\\d+)"
    call: { name: find_order, arguments: { order: "$1" } }
    then: "Order $1 ships on {{output.day}}."
otherwise: "You said: {{heard}}"
`

var (
	processes []*exec.Cmd
	// errMissing is why there can be no house on this machine.
	errMissing = errors.New("no house")
	openOnce   = sync.OnceValues(buildHouse)
)

func TestMain(m *testing.M) {
	if os.Getenv("PARLEY_TEST_PROGRAM") != "" {
		wrongProgram()
		os.Exit(0)
	}
	code := m.Run()
	for i := len(processes) - 1; i >= 0; i-- {
		_ = processes[i].Process.Signal(os.Interrupt)
		_ = processes[i].Wait()
	}
	os.Exit(code)
}

func openHouse(t *testing.T) *house {
	t.Helper()
	url, err := openOnce()
	if errors.Is(err, errMissing) {
		t.Skip(err)
	}
	must(t, err)
	client, err := NewClient(ClientOptions{URL: url})
	must(t, err)
	return &house{t, url, client}
}

func buildHouse() (string, error) {
	cli, server := "../cli/dist/main.js", "../../apps/server/dist/main.js"
	for _, file := range []string{cli, server} {
		if _, err := os.Stat(file); err != nil {
			return "", fmt.Errorf("%w, the control plane is not built", errMissing)
		}
	}
	if _, err := exec.LookPath("node"); err != nil {
		return "", fmt.Errorf("%w, node is not on PATH", errMissing)
	}
	folder, err := os.MkdirTemp("", "parley-go-test-")
	if err != nil {
		return "", err
	}
	// Read once, when the simulator starts.
	defer os.RemoveAll(folder)
	rules := filepath.Join(folder, "script.yaml")
	if err := os.WriteFile(rules, []byte(script), 0o600); err != nil {
		return "", err
	}
	simulator, err := process(nil, "node", cli, "simulator", "--script", rules)
	if err != nil {
		return "", err
	}
	return process([]string{
		"PARLEY_PORT=0", "PARLEY_DATA=:memory:", "PARLEY_LOG_LEVEL=silent", "PARLEY_SIMULATOR_URL=" + simulator + "/v1",
	}, "node", server)
}

// process starts a program that says its address in its first line; TestMain ends it.
func process(env []string, name string, args ...string) (string, error) {
	command := exec.Command(name, args...)
	command.Env = append(os.Environ(), env...)
	var complaint strings.Builder
	command.Stderr = &complaint
	out, err := command.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := command.Start(); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = command.Process.Kill()
		_ = command.Wait()
		return "", fmt.Errorf("%s said no address: %s", strings.Join(command.Args, " "), complaint.String())
	}
	processes = append(processes, command)
	return strings.TrimSpace(line), nil
}

func (h *house) serve(app *Agent, options ...AgentOption) *Running {
	h.t.Helper()
	running := start(h.t, app, append([]AgentOption{WithURL(h.url), WithLogger(slog.New(slog.DiscardHandler))}, options...))
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	must(h.t, running.Ready(ctx))
	return running
}

// caller is a person with a client: text in, text out.
type caller struct {
	t      *testing.T
	socket *websocket.Conn
}

func (h *house) call(target string) (*caller, contract.StartResponse) {
	h.t.Helper()
	session, err := h.client.Sessions.Start(h.t.Context(), target, contract.StartRequest{})
	must(h.t, err)
	socket, _, err := websocket.Dial(h.t.Context(), h.url+session.URLs.Realtime, &websocket.DialOptions{
		Subprotocols: []string{"realtime", "parley.events.v1", "parley.token." + session.ClientToken},
	})
	must(h.t, err)
	socket.SetReadLimit(1 << 20)
	h.t.Cleanup(func() { _ = socket.CloseNow() })
	return &caller{h.t, socket}, session
}

func (c *caller) say(words string, respond bool) {
	c.t.Helper()
	content := []any{object{"type": "input_text", "text": words}}
	frames := []object{{"type": "conversation.item.create", "item": object{"type": "message", "role": "user", "content": content}}}
	if respond {
		frames = append(frames, object{"type": "response.create"})
	}
	for _, frame := range frames {
		must(c.t, wsjson.Write(c.t.Context(), c.socket, frame))
	}
}

// hears reads frames until one fits.
func (c *caller) hears(fits func(frame object) bool) object {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		var frame object
		if err := wsjson.Read(ctx, c.socket, &frame); err != nil {
			c.t.Fatalf("it did not come: %v", err)
		}
		if fits(frame) {
			return frame
		}
	}
}

func (c *caller) answer() string {
	c.t.Helper()
	done := c.hears(func(frame object) bool { return frame["type"] == "response.output_text.done" })
	return done["text"].(string)
}

func (c *caller) entry(kind string) object {
	c.t.Helper()
	found := c.hears(func(frame object) bool {
		event, ok := frame["event"].(object)
		return ok && event["type"] == kind
	})
	return found["event"].(object)
}

// words are sessions in which nothing has to be heard to be over.
func words(t *testing.T, app *Agent, name string, handler SessionHandler, options ...SessionOption) {
	t.Helper()
	must(t, app.RegisterSession(name, "simulator", "websocket", handler, append(options, WithSessionModalities("text"))...))
}

func TestLiveTheModelCallsATool(t *testing.T) {
	h, app := openHouse(t), newAgent(t, "tools")
	_, err := RegisterSkill(app, "find_order", func(_ context.Context, input struct {
		Order string `json:"order"`
	}) (map[string]string, error) {
		return map[string]string{"day": "Friday", "order": input.Order}, nil
	})
	must(t, err)
	words(t, app, "voice", nil, WithSessionTools("find_order"))
	h.serve(app)
	caller, session := h.call("tools.voice")
	caller.say("Where is order 42?", true)
	if got := caller.answer(); got != "Order 42 ships on Friday." {
		t.Errorf("the model says %q", got)
	}
	workflow, err := h.client.Sessions.Workflow(t.Context(), session.SessionID)
	must(t, err)
	if len(workflow.Nodes) != 2 || workflow.Nodes[1].Target != "tools.find_order" || workflow.Nodes[1].Status != "succeeded" {
		t.Errorf("the workflow is %+v", workflow.Nodes)
	}
}

func TestLiveAHandlerEchoesAndEndsTheSessionByReturning(t *testing.T) {
	h, app := openHouse(t), newAgent(t, "echo")
	twice, err := RegisterReasoner(app, "double", double)
	must(t, err)
	words(t, app, "desk", func(ctx context.Context, session *Session) error {
		for turn, err := range session.Turns(ctx) {
			if err != nil || turn.Text == "bye" {
				return err
			}
			n, err := twice.Call(turn.Context(), session, doubleInput{N: len(turn.Text)})
			if err != nil {
				return err
			}
			if _, err := session.Say(ctx, strings.Repeat("x", n)); err != nil {
				return err
			}
		}
		return nil
	})
	h.serve(app)
	caller, session := h.call("echo.desk")
	caller.entry("handler.attached")
	caller.say("abc", false)
	if got := caller.answer(); got != "xxxxxx" {
		t.Errorf("the handler says %q", got)
	}
	caller.say("bye", false)
	if closed := caller.entry("session.closed"); closed["reason"] != "handler_completed" {
		t.Errorf("closed: %v", closed)
	}
	seen := 0
	for event, err := range h.client.Sessions.Tail(t.Context(), session.SessionID, 0) {
		must(t, err)
		if seen++; event["seq"] != float64(seen) {
			t.Errorf("entry %d has the number %v", seen, event["seq"])
		}
	}
	if seen == 0 {
		t.Error("the log is empty")
	}
}

func TestLiveAHandlerThatFailsEndsItsSessionWithItsWords(t *testing.T) {
	h, app := openHouse(t), newAgent(t, "broken")
	words(t, app, "desk", func(ctx context.Context, session *Session) error {
		if _, err := session.Input(ctx); err != nil {
			return err
		}
		return errors.New("no idea what to say")
	})
	h.serve(app)
	caller, _ := h.call("broken.desk")
	caller.entry("handler.attached")
	caller.say("hello", false)
	closed := caller.entry("session.closed")
	if failure, _ := closed["error"].(object); closed["reason"] != "handler_failed" || failure["message"] != "no idea what to say" {
		t.Errorf("closed: %v", closed)
	}
}

func TestLiveAfterACutLinkTheSessionAndTheExecutionGoOn(t *testing.T) {
	h, app := openHouse(t), newAgent(t, "resume")
	b := newBlocking(t, app, "wait")
	words(t, app, "desk", func(ctx context.Context, session *Session) error {
		for turn, err := range session.Turns(ctx) {
			if err != nil {
				return err
			}
			if _, err := session.Say(ctx, "heard "+turn.Text); err != nil {
				return err
			}
		}
		return nil
	})
	running := h.serve(app, WithTimes(Times{BackoffMin: time.Millisecond, BackoffMax: 50 * time.Millisecond}))
	caller, _ := h.call("resume.desk")
	caller.entry("handler.attached")
	execution, err := h.client.Executions.ExecuteAsync(t.Context(), "resume.wait", object{}, ExecuteOptions{})
	must(t, err)
	soon(t, b.started)
	running.worker.mu.Lock()
	cut := running.worker.link.current
	running.worker.mu.Unlock()
	must(t, cut.socket.CloseNow())
	caller.entry("handler.detached")
	caller.entry("handler.attached")
	caller.say("you", false)
	if got := caller.answer(); got != "heard you" {
		t.Errorf("the handler says %q", got)
	}
	close(b.release)
	ended, err := h.client.Executions.Wait(t.Context(), execution.ExecutionID)
	must(t, err)
	if ended.Status != "succeeded" || string(ended.Output) != `"done"` || b.runs.Load() != 1 {
		t.Errorf("the execution ended as %+v after %d runs", ended, b.runs.Load())
	}
}

func TestLiveADrainFinishesWhatRunsAndACancellationArrives(t *testing.T) {
	h, app := openHouse(t), newAgent(t, "drain")
	b := newBlocking(t, app, "wait")
	running := h.serve(app)
	kept, err := h.client.Executions.ExecuteAsync(t.Context(), "drain.wait", object{}, ExecuteOptions{})
	must(t, err)
	soon(t, b.started)
	dropped, err := h.client.Executions.ExecuteAsync(t.Context(), "drain.wait", object{}, ExecuteOptions{})
	must(t, err)
	soon(t, b.started)
	_, err = h.client.Executions.Cancel(t.Context(), dropped.ExecutionID, "not needed")
	must(t, err)
	if err := soon(t, b.cause); err.Error() != "cancelled: not needed" {
		t.Errorf("the cause is %v", err)
	}
	running.Drain()
	close(b.release)
	must(t, running.Wait())
	ended, err := h.client.Executions.Batch(t.Context(), []string{kept.ExecutionID, dropped.ExecutionID})
	must(t, err)
	if ended.Executions[0].Status != "succeeded" || ended.Executions[1].Status != "cancelled" {
		t.Errorf("they ended as %+v", ended.Executions)
	}
}

func TestLiveTheFoldOfALogIsWhatTheControlPlaneSays(t *testing.T) {
	h, app := openHouse(t), newAgent(t, "fold")
	_, err := RegisterSkill(app, "find_order", func(_ context.Context, input struct {
		Order string `json:"order"`
	}) (map[string]string, error) {
		return map[string]string{"order": input.Order, "day": "Friday"}, nil
	})
	must(t, err)
	words(t, app, "voice", nil, WithSessionTools("find_order"))
	h.serve(app)
	caller, session := h.call("fold.voice")
	for _, order := range []string{"42", "7"} {
		caller.say("Where is order "+order+"?", true)
		if got := caller.answer(); got != "Order "+order+" ships on Friday." {
			t.Fatalf("the model says %q", got)
		}
	}
	_, err = h.client.Sessions.Close(t.Context(), session.SessionID, "done here")
	must(t, err)
	caller.entry("session.closed")
	said, err := h.client.Sessions.Get(t.Context(), session.SessionID)
	must(t, err)
	log, err := h.client.Sessions.Log(t.Context(), session.SessionID)
	must(t, err)
	state, err := FoldSession(log)
	must(t, err)
	if state.Phase != said.Status || state.Seq != int64(said.LastSeq) || state.SessionID != said.SessionID ||
		state.Turns != int(said.Turns) || state.ToolCalls != int(said.ToolCalls) ||
		said.CloseReason == nil || state.Closing == nil || state.Closing.Reason != *said.CloseReason {
		t.Errorf("folded to %+v, the control plane says %+v", state, said)
	}
	if state.ToolCalls != 2 || len(state.Calls) != 0 || len(state.Tools) != 1 {
		t.Errorf("the calls are %d, %v", state.ToolCalls, state.Calls)
	}
	if said.Usage == nil || said.Usage.InputTokens == nil || state.Usage["input_tokens"] != *said.Usage.InputTokens {
		t.Errorf("the usage is %v, the control plane says %+v", state.Usage, said.Usage)
	}
	followsFrom(t, log)
	workflow, err := h.client.Sessions.Workflow(t.Context(), session.SessionID)
	must(t, err)
	var executions []contract.ExecutionResource
	for _, node := range workflow.Nodes {
		execution, err := h.client.Executions.Get(t.Context(), node.ExecutionID)
		must(t, err)
		executions = append([]contract.ExecutionResource{execution}, executions...)
	}
	if folded, _ := json.Marshal(FoldWorkflow(executions)); len(executions) != 3 {
		t.Errorf("the workflow has %d executions", len(executions))
	} else if want, _ := json.Marshal(workflow); string(folded) != string(want) {
		t.Errorf("folded to %s, the control plane says %s", folded, want)
	}
}

// followsFrom checks that what each entry records is what the control plane appended behind it.
func followsFrom(t *testing.T, log []Record) {
	t.Helper()
	state, pending := InitialSession(), []string{}
	for _, record := range log {
		if len(pending) > 0 {
			if pending[0] != record.Type {
				t.Fatalf("entry %d is %s; %s had to follow", record.Seq, record.Type, pending[0])
			}
			pending = pending[1:]
		}
		next, effects, err := Step(state, record)
		must(t, err)
		var recorded []string
		for _, effect := range effects {
			if one, ok := effect.(fold.RecordEvent); ok {
				text, err := json.Marshal(one.Event)
				must(t, err)
				var head struct{ Type string }
				must(t, json.Unmarshal(text, &head))
				recorded = append(recorded, head.Type)
			}
		}
		state, pending = next, append(recorded, pending...)
	}
}
