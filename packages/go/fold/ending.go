package fold

import (
	"fmt"

	"github.com/parley-dev/parley/packages/go/contract"
)

// ask asks for the end of the session, and says with what error it will be.
func (s *stepping) ask(reason, by string, failure *contract.ErrorObject) {
	s.Closing = &Closing{reason, failure}
	s.record(contract.SessionClosingEvent{Type: "session.closing", Reason: reason, By: by})
}

func (s *stepping) providerLost(event contract.ProviderDisconnectedEvent) {
	failure := event.Error
	if failure == nil {
		message := fmt.Sprintf("the provider ended the connection with %d", event.Code)
		if event.Reason != "" {
			message += ": " + event.Reason
		}
		failure = &contract.ErrorObject{Code: "unavailable", Message: message, Retryable: true}
	}
	s.ask("provider_lost", "provider", failure)
}

// clientDetached ends the session when a client hangs up; one that was cut off may come back.
func (s *stepping) clientDetached(event contract.ClientDetachedEvent) {
	s.Clients = max(0, s.Clients-1)
	hungUp := event.Code == 1000 || event.Code == 1001 || event.Code == 1005
	if hungUp && s.Clients == 0 {
		s.ask("client_left", "client", nil)
		return
	}
	s.idle()
}

// handlerFailed: while its agent is away a failure is the agent's, which did not come back, or without the handler.
func (s *stepping) handlerFailed(event contract.HandlerFailedEvent) {
	if s.Handler == "detached" {
		s.ask("handler_lost", "server", &event.Error)
		return
	}
	s.ask("handler_failed", "handler", &event.Error)
}

func (s *stepping) timerFired(event contract.TimerFiredEvent) {
	switch event.Timer {
	case "duration":
		s.limitReached("max_duration_ms", s.at-s.CreatedAtMS)
		s.ask("max_duration", "limit", nil)
	case "idle":
		s.limitReached("idle_timeout_ms", s.idleMS())
		s.ask("idle_timeout", "limit", nil)
	case "playback":
		if s.Playing != nil {
			s.record(contract.ResponsePlayedEvent{Type: "response.played", ResponseID: s.Playing.ResponseID})
		}
	case "creating":
		if s.Creating != nil {
			s.record(contract.ProviderFailedEvent{Type: "provider.failed", Error: contract.ErrorObject{
				Code: "deadline_exceeded", Message: "the provider did not begin an answer in time", Retryable: true,
			}})
		}
	case "handler":
		if s.Handler == "detached" {
			s.ask("handler_lost", "server", &contract.ErrorObject{
				Code: "unavailable", Message: "the agent that ran the handler did not come back", Retryable: true,
			})
		}
	}
}

// close is the end of a session: everything begun is settled in the log first (P4).
func (s *stepping) close(event contract.SessionClosingEvent) {
	s.Phase = "closing"
	if s.Closing == nil {
		s.Closing = &Closing{Reason: event.Reason}
	}
	for _, call := range s.Calls {
		s.want(CancelExecution{call.ExecutionID, "session_closed"})
		s.record(contract.ToolCompletedEvent{
			Type: "tool.completed", CallID: call.CallID, Name: call.Name, ExecutionID: call.ExecutionID, Status: "cancelled",
			Error: &contract.ErrorObject{
				Code: "cancelled", Message: "the session ended before the call did", Retryable: false,
			},
			DurationMS: max(0, s.at-call.StartedAtMS),
		})
	}
	if s.Playing != nil && s.Playing.SayID != nil {
		s.cut(*s.Playing.SayID, heardText(s.Playing.Text, s.at-s.Playing.StartedAtMS, s.Playing.AudioMS))
	}
	if s.Response != nil && s.Response.SayID != nil {
		s.cut(*s.Response.SayID, "")
	}
	if s.Creating != nil && s.Creating.Say != nil {
		s.cut(s.Creating.Say.SayID, "")
	}
	for _, say := range s.Says {
		s.cut(say.SayID, "")
	}
	s.Says, s.WaitingCommands = []Say{}, []any{}
	s.WaitingUpdate, s.Playing, s.Creating, s.Response = nil, nil, nil, nil
	s.RespondWanted = false
	for _, timer := range []string{"duration", "idle", "playback", "creating", "handler"} {
		s.want(ClearTimer{timer})
	}
	s.want(EndSession(*s.Closing))
}

// cut ends what was to be said before it was heard to its end.
func (s *stepping) cut(sayID, heard string) {
	s.record(contract.SayCompletedEvent{Type: "say.completed", SayID: sayID, Interrupted: true, SpokenText: heard})
}

// unsaid ends what was to be said with the reason why it was not.
func (s *stepping) unsaid(sayID string, failure contract.ErrorObject) {
	s.record(contract.SayCompletedEvent{Type: "say.completed", SayID: sayID, Interrupted: true, Error: &failure})
}

// heardText is what was heard of text after played of audio milliseconds, to the last whole word. An estimate: speech
// is not spoken at one speed, and providers do not say where each word stands.
func heardText(text string, played, audio float64) string {
	if audio <= 0 || played >= audio {
		return text
	}
	if played <= 0 {
		return ""
	}
	chars := []rune(text)
	for at := min(int(float64(len(chars))*played/audio), len(chars)-1); at > 0; at-- {
		if chars[at] == ' ' {
			return string(chars[:at])
		}
	}
	return ""
}
