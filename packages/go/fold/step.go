package fold

import (
	"encoding/json"
	"slices"

	"github.com/parley-dev/parley/packages/go/contract"
)

// What [Step] promises, as in every language:
//
//	P1  Every call id gets exactly one answer.
//	P2  A function runs only after tool.dispatched is in the log.
//	P3  One answer is generated at a time; whatever else should be said waits for it.
//	P4  After session.closing nothing new begins; everything begun ends in the log before session.closed.

// settles is what still matters once a session is closing (P4): the ends of what was begun, and requests that need
// their no.
var settles = []string{
	"response.completed", "say.requested", "tool.called", "tool.completed", "tool.rejected", "session.closed",
}

// Step folds one entry. It is pure: the same state and entry give the same result, and neither is changed. The error
// is invalid_argument when the entry is not what its type says.
func Step(before State, entry Record) (State, []Effect, error) {
	s := &stepping{State: before, at: entry.AtMS}
	s.Seq = entry.Seq
	if before.Phase == "closed" || before.Phase == "closing" && !slices.Contains(settles, entry.Type) {
		return s.State, nil, nil
	}
	if err := s.take(entry); err != nil {
		return before, nil, err
	}
	return s.State, s.effects, nil
}

// stepping is one step: the state's own copy, whose fields are replaced and never written into, and what it wants done.
type stepping struct {
	State
	at      float64
	effects []Effect
}

func (s *stepping) want(effects ...Effect) { s.effects = append(s.effects, effects...) }

func (s *stepping) record(event any) { s.want(RecordEvent{event}) }

func (s *stepping) send(command any) { s.want(SendCommand{command}) }

// handle decodes an entry and hands it on.
func handle[E any](entry Record, to func(E)) error {
	var event E
	if err := entry.Decode(&event); err != nil {
		return err
	}
	to(event)
	return nil
}

func (s *stepping) take(entry Record) error {
	switch entry.Type {
	case "session.created":
		if err := handle(entry, s.created); err != nil {
			return err
		}
		return handle(entry, s.keepSchemas)
	case "session.updated":
		if err := handle(entry, s.updated); err != nil {
			return err
		}
		return handle(entry, s.resolvedSchemas)
	case "session.closing":
		return handle(entry, s.close)
	case "session.closed":
		s.Phase = "closed"
	case "provider.connected":
		s.providerConnected()
	case "provider.disconnected":
		return handle(entry, s.providerLost)
	case "provider.reconnecting":
		return handle(entry, s.reconnecting)
	case "provider.failed":
		return handle(entry, s.providerFailed)
	case "call.offered":
		return handle(entry, s.callOffered)
	case "call.failed":
		s.callFailed()
	case "call.ended":
		s.callEnded()
	case "session.tampered":
		return handle(entry, s.tampered)
	case "client.attached":
		s.Clients++
		s.HadClient = true
		s.idle()
		s.connect()
	case "client.detached":
		return handle(entry, s.clientDetached)
	case "handler.attached":
		s.Handler = "attached"
		s.want(ClearTimer{"handler"})
	case "handler.detached":
		if s.Handler == "attached" {
			s.Handler = "detached"
			s.want(SetTimer{"handler", timeMS("agent_resume_ms")})
		}
	case "handler.completed":
		s.Handler = "completed"
		s.flush()
	case "handler.failed":
		return handle(entry, s.handlerFailed)
	case "turn.requested":
		s.turnRequested()
	case "speech.started":
		return handle(entry, s.speechStarted)
	case "speech.stopped":
		s.UserSpeaking = false
		s.flush()
	case "turn.completed":
		s.Turns++
		s.UserSpeaking = false
		s.idle()
		s.flush()
	case "response.started":
		return handle(entry, s.responseStarted)
	case "response.completed":
		return handle(entry, s.responseCompleted)
	case "response.played":
		return handle(entry, s.responsePlayed)
	case "interruption.requested":
		return handle(entry, s.interruptionRequested)
	case "item.truncated":
		return handle(entry, s.truncated)
	case "say.requested":
		return handle(entry, s.sayRequested)
	case "input.injected":
		return handle(entry, s.injected)
	case "response.requested":
		s.RespondWanted = true
		s.idle()
		s.connect()
		s.flush()
	case "tool.called":
		return handle(entry, s.toolCalled)
	case "tool.rejected":
		return handle(entry, s.toolRejected)
	case "tool.dispatched":
		return handle(entry, s.toolDispatched)
	case "tool.completed":
		return handle(entry, s.toolCompleted)
	case "timer.fired":
		return handle(entry, s.timerFired)
	}
	// Entries that only tell, and entries of types that came after this code was written.
	return nil
}

func (s *stepping) created(event contract.SessionCreatedEvent) {
	s.Phase = "starting"
	s.SessionID = event.SessionID
	s.CreatedAtMS = s.at
	s.Declaration = &event.Declaration
	s.Tools = event.Tools
	s.EnabledTools = make([]string, len(event.Tools))
	for i, tool := range event.Tools {
		s.EnabledTools[i] = tool.Name
	}
	duration := timeMS("session_max_ms")
	if limit := s.limits().MaxDurationMS; limit != nil {
		duration = float64(*limit)
	}
	s.want(SetTimer{"duration", duration})
	s.idle()
}

func (s *stepping) limits() contract.SessionLimits {
	if s.Declaration == nil || s.Declaration.Limits == nil {
		return contract.SessionLimits{}
	}
	return *s.Declaration.Limits
}

// connect has the provider connected late, when somebody is there: providers bill by the second.
func (s *stepping) connect() {
	// A call that the provider terminates begins with the client's offer.
	if s.Phase == "starting" && !s.Connecting && !s.native() {
		s.Connecting = true
		s.want(ConnectProvider{})
	}
}

func (s *stepping) providerConnected() {
	if s.Phase != "starting" {
		return
	}
	s.Phase = "live"
	s.Connecting = false
	if s.WaitingUpdate != nil {
		s.send(*s.WaitingUpdate)
	}
	s.WaitingUpdate = nil
	for _, command := range s.WaitingCommands {
		s.send(command)
		// The output of a tool is its call's one answer.
		if callID, ok := answered(command); ok {
			s.record(contract.ToolAnsweredEvent{Type: "tool.answered", CallID: callID})
		}
	}
	s.WaitingCommands = []any{}
	s.flush()
}

// answered is the call that a command answers. A state that was read from JSON holds its commands as objects.
func answered(command any) (string, bool) {
	switch one := command.(type) {
	case contract.ToolOutputCommand:
		return one.CallID, true
	case map[string]any:
		callID, _ := one["call_id"].(string)
		return callID, one["type"] == "tool_output"
	}
	return "", false
}

// reconnecting: a connection is replaced by another one, and what was asked of the first is asked of the second.
func (s *stepping) reconnecting(event contract.ProviderReconnectingEvent) {
	if s.Phase != "live" {
		return
	}
	creating, response := s.Creating, s.Response
	s.Phase, s.Connecting, s.UserSpeaking = "starting", true, false
	s.Creating, s.Response = nil, nil
	s.want(ClearTimer{"creating"}, ConnectProvider{})
	if creating != nil && creating.Say != nil {
		s.Says = append([]Say{*creating.Say}, s.Says...)
	} else if creating != nil {
		s.RespondWanted = true
	}
	if response != nil && response.SayID != nil {
		s.cut(*response.SayID, "")
	} else if response != nil && event.Respond {
		s.RespondWanted = true
	}
}

func (s *stepping) injected(event contract.InputInjectedEvent) {
	if event.Respond {
		s.RespondWanted = true
	}
	var command any = contract.AddTextCommand{Type: "add_text", Role: "user", Text: event.Text}
	if event.Item != nil {
		command = contract.AddItemCommand{Type: "add_item", Item: event.Item, PreviousItemID: event.PreviousItemID}
	}
	if s.Phase != "starting" {
		s.idle()
		s.send(command)
		s.flush()
		return
	}
	if limit := contract.Limit("texts_waiting_max"); int64(len(s.WaitingCommands)) >= limit {
		s.limitReached("texts_waiting_max", float64(limit))
		return
	}
	s.WaitingCommands = append(slices.Clone(s.WaitingCommands), command)
	s.idle()
	s.connect()
}

// turnRequested: a whole turn is here, so whatever is being said is over, as when the user begins to speak.
func (s *stepping) turnRequested() {
	s.idle()
	s.connect()
	if s.Phase == "live" && s.Response != nil {
		s.send(contract.CancelCommand{Type: "cancel", ResponseID: &s.Response.ResponseID})
	} else if s.Phase == "live" && s.Creating != nil {
		s.send(contract.CancelCommand{Type: "cancel"})
	}
	if s.interruptible() {
		s.interrupted(nil)
	}
}

// idle sets the timer that ends a session in which nothing happens.
func (s *stepping) idle() { s.want(SetTimer{"idle", s.idleMS()}) }

func (s *stepping) idleMS() float64 {
	ms := timeMS("session_idle_ms")
	if limit := s.limits().IdleTimeoutMS; limit != nil {
		ms = float64(*limit)
	}
	// A call whose client was cut off costs money while nobody hears it.
	if s.Clients == 0 && s.HadClient {
		ms = min(ms, timeMS("client_resume_ms"))
	}
	return ms
}

func (s *stepping) limitReached(limit string, value float64) {
	s.record(contract.LimitReachedEvent{Type: "limit.reached", Limit: limit, Value: value})
}

func timeMS(name string) float64 { return float64(contract.TimeMS(name)) }

// interruptible says whether the declaration lets the user speak over an answer.
func (s *stepping) interruptible() bool {
	if s.Declaration == nil || len(s.Declaration.TurnDetection) == 0 {
		return true
	}
	var detection struct {
		Interrupt *bool `json:"interrupt_response"`
	}
	// Null, and what a newer version may say here, do not forbid it.
	if err := json.Unmarshal(s.Declaration.TurnDetection, &detection); err != nil {
		return true
	}
	return detection.Interrupt == nil || *detection.Interrupt
}
