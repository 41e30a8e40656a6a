package parley

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"

	"github.com/parley-dev/parley/packages/go/contract"
)

// Session is one conversation, in the hands of its handler. After its end every method returns an *Error (cancelled,
// details.reason says why it ended), and Turns is done.
type Session struct {
	// ID of the session.
	ID string
	// Target is agent.session.
	Target string
	// WorkflowID is the tree of executions under this session.
	WorkflowID string
	// ExecutionID is the root of that tree.
	ExecutionID string
	// Declaration as it was completed.
	Declaration contract.SessionDeclaration
	// Tools are what the model may call.
	Tools []contract.ResolvedTool
	// Metadata is what the caller gave at the start.
	Metadata map[string]any
	// Log adds the session's id to every line.
	Log *slog.Logger

	worker *worker
	agent  string
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	turns *turnQueue
	seq   int64
	// over is the connection that its entries came over last; guarded by the worker's lock.
	over *connection
}

// Spoken is what became of words that the provider was to speak.
type Spoken struct {
	// Interrupted is true when the user spoke over it, or it was cut in another way.
	Interrupted bool `json:"interrupted"`
	// SpokenText is what was heard, to the last whole word; an estimate when it was interrupted.
	SpokenText string `json:"spoken_text"`
}

// SessionChange is what to tell the model anew; nil fields stay as they are.
type SessionChange struct {
	Instructions *string
	Voice        *string
	// TurnDetection may be PushToTalk.
	TurnDetection TurnDetection
	// Tools narrows what the model may call, by exposed names. An empty list allows none.
	Tools []string
}

func newSession(w *worker, frame contract.SessionOpenFrame, over *connection) *Session {
	s := &Session{
		ID: frame.SessionID, Target: w.agent.name + "." + frame.Session, WorkflowID: frame.WorkflowID,
		ExecutionID: frame.ExecutionID, Declaration: frame.Declaration, Tools: frame.Tools, Metadata: frame.Metadata,
		Log: w.log.With("session_id", frame.SessionID), worker: w, agent: w.agent.name,
		turns: newTurnQueue(w.settings.limits.Turns), over: over,
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// Input waits for the next turn of the user. The turn before it counts as answered.
func (s *Session) Input(ctx context.Context) (*Turn, error) {
	for {
		if s.ctx.Err() != nil {
			return nil, s.reason()
		}
		s.mu.Lock()
		turn, arrived := s.turns.next(), s.turns.arrived
		s.mu.Unlock()
		if turn != nil {
			return turn, nil
		}
		select {
		case <-arrived:
		case <-s.ctx.Done():
		case <-ctx.Done():
			// The handler's own context ends with the session, and then that is the reason.
			if s.ctx.Err() == nil {
				return nil, contract.ErrorOf(context.Cause(ctx), "cancelled")
			}
		}
	}
}

// Turns are the user's turns, one after another, until the session ends. When ctx ends first, the last pair is its
// error.
//
//	for turn, err := range session.Turns(ctx) {
//		if err != nil {
//			return err
//		}
//		_, err = session.Say(ctx, "You said "+turn.Text)
//	}
func (s *Session) Turns(ctx context.Context) iter.Seq2[*Turn, error] {
	return func(yield func(*Turn, error) bool) {
		for {
			turn, err := s.Input(ctx)
			if err != nil && s.ctx.Err() != nil {
				return
			}
			if !yield(turn, err) || err != nil {
				return
			}
		}
	}
}

// Say speaks; it returns when it was heard, or cut. At most 16,384 characters.
func (s *Session) Say(ctx context.Context, words string) (Spoken, error) {
	var spoken Spoken
	result, err := s.request(ctx, func(id string) any {
		return contract.SessionSayFrame{Type: "session.say", RequestID: id, SessionID: s.ID, Text: words}
	})
	if err != nil {
		return spoken, err
	}
	return spoken, readOutput("session.say", result, &spoken)
}

// Call runs a function as a child of the session, and decodes its output into output unless that is nil. A bare name
// is a function of the same agent. It is cancelled when ctx or the session ends. The error is how the execution ended
// when it did not succeed, or unavailable when the link was cut while it ran (whether it ended is unknown).
func (s *Session) Call(ctx context.Context, target string, input, output any) error {
	frame, err := callFrame(s.agent, target, input)
	if err != nil {
		return err
	}
	frame.SessionID = &s.ID
	result, err := s.request(ctx, func(id string) any { frame.RequestID = id; return frame })
	if err != nil {
		return err
	}
	return readOutput(frame.Target, result, output)
}

// Update changes what the model was told.
func (s *Session) Update(ctx context.Context, change SessionChange) error {
	frame := contract.SessionUpdateFrame{
		Type: "session.update", SessionID: s.ID, Instructions: change.Instructions, Voice: change.Voice, Tools: change.Tools,
	}
	if change.TurnDetection != nil {
		frame.TurnDetection = frameText(change.TurnDetection.turnDetection())
	}
	_, err := s.request(ctx, func(id string) any { frame.RequestID = id; return frame })
	return err
}

// Inject puts text into the conversation as the user's; respond lets the model answer it.
func (s *Session) Inject(ctx context.Context, words string, respond bool) error {
	_, err := s.request(ctx, func(id string) any {
		return contract.SessionInjectFrame{
			Type: "session.inject", RequestID: id, SessionID: s.ID, Text: words, Respond: &respond,
		}
	})
	return err
}

// Close ends the session. The reason may be empty.
func (s *Session) Close(ctx context.Context, reason string) error {
	frame := contract.SessionCloseFrame{Type: "session.close", SessionID: s.ID}
	if reason != "" {
		frame.Reason = &reason
	}
	_, err := s.request(ctx, func(id string) any { frame.RequestID = id; return frame })
	return err
}

func (s *Session) request(ctx context.Context, frameOf func(id string) any) (json.RawMessage, error) {
	if s.ctx.Err() != nil {
		return nil, s.reason()
	}
	ctx, release := joined(ctx, s.ctx)
	defer release()
	return s.worker.requests.send(ctx, func() *connection { return s.over }, frameOf)
}

func (s *Session) reason() *Error { return contract.ErrorOf(context.Cause(s.ctx), "cancelled") }

// deliver takes an entry of the log. One that was seen before (a resume sends some twice) changes nothing.
func (s *Session) deliver(event map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq, ok := event["seq"].(float64); ok {
		if int64(seq) <= s.seq {
			return
		}
		s.seq = int64(seq)
	}
	switch event["type"] {
	case "turn.started", "response.interrupted":
		if s.turns.answering != nil {
			s.turns.answering.Interrupt()
		}
	case "turn.completed":
		s.turn(event)
	case "session.closing", "session.closed":
		reason, _ := event["reason"].(string)
		s.cancel(contract.NewError("cancelled", "the session ended: "+reason).With("reason", reason))
	}
}

func (s *Session) turn(event map[string]any) {
	turn := &Turn{}
	turn.ID, _ = event["turn_id"].(string)
	turn.Text, _ = event["text"].(string)
	turn.Source, _ = event["source"].(string)
	if ms, ok := event["audio_ms"].(float64); ok {
		turn.AudioMS = new(int64(ms))
	}
	turn.ctx, turn.cancel = context.WithCancelCause(s.ctx)
	if dropped := s.turns.push(turn); dropped != nil {
		s.Log.Warn("a turn was dropped: the handler does not keep up", "turn_id", dropped.ID)
	}
}

// afterSeq is the number of the last entry that was seen.
func (s *Session) afterSeq() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq
}

// callFrame is a checked function.call. A bare name is a function of the same agent.
func callFrame(agent, target string, input any) (contract.FunctionCallFrame, error) {
	frame := contract.FunctionCallFrame{Type: "function.call", Target: target}
	if !strings.Contains(target, ".") {
		frame.Target = agent + "." + target
	}
	if _, _, err := contract.ParseTarget(frame.Target); err != nil {
		return frame, err
	}
	if input == nil {
		input = struct{}{}
	}
	var err error
	frame.Input, err = payloadText(input, "the input of "+frame.Target, "invalid_argument")
	return frame, err
}

func readOutput(what string, result json.RawMessage, output any) error {
	if output == nil || len(result) == 0 {
		return nil
	}
	if err := decodeLoosely(result, output); err != nil {
		return contract.NewError("internal", fmt.Sprintf("the output of %s does not fit %T: %v", what, output, err)).Because(err)
	}
	return nil
}
