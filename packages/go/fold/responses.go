package fold

import (
	"fmt"
	"maps"
	"slices"

	"github.com/parley-dev/parley/packages/go/contract"
)

// Answers: one is generated at a time (P3), and one is over when it was heard, not when it was generated.

func (s *stepping) sayRequested(event contract.SayRequestedEvent) {
	if s.Phase != "closing" {
		s.idle()
		s.connect()
	}
	if s.Phase != "starting" && s.Phase != "live" {
		s.cut(event.SayID, "")
		return
	}
	if limit := contract.Limit("says_waiting_max"); int64(len(s.Says)) >= limit {
		s.unsaid(event.SayID, contract.ErrorObject{
			Code: "resource_exhausted", Message: fmt.Sprintf("%d texts already wait to be spoken", limit), Retryable: true,
		})
		return
	}
	s.Says = append(slices.Clone(s.Says), Say{event.SayID, event.Text})
	s.flush()
}

// flush begins the next answer when nothing stands in its way.
func (s *stepping) flush() {
	if s.Phase != "live" || s.Creating != nil || s.Response != nil || s.UserSpeaking {
		return
	}
	switch {
	case s.RespondWanted && !s.Calls.ofModel():
		// The model answers tool outputs once all of them are there.
		s.RespondWanted = false
		s.create(Creating{Kind: "respond"}, contract.RespondCommand{Type: "respond"})
	case len(s.Says) > 0 && s.Playing == nil:
		next := s.Says[0]
		s.Says = slices.Clone(s.Says[1:])
		s.create(Creating{"say", &next}, contract.SayCommand{Type: "say", SayID: next.SayID, Text: next.Text})
	case len(s.Says) == 0 && s.Playing == nil && s.Handler == "completed":
		s.record(contract.SessionClosingEvent{Type: "session.closing", Reason: "handler_completed", By: "handler"})
	}
}

func (s *stepping) create(creating Creating, command any) {
	s.Creating = &creating
	s.send(command)
	s.want(SetTimer{"creating", timeMS("response_creating_ms")})
}

func (s *stepping) responseStarted(event contract.ResponseStartedEvent) {
	var sayID *string
	if s.Creating != nil && s.begins(event) {
		// Only a say that is waited for is one: a say that was given up has its say.completed already.
		if s.Creating.Say != nil {
			sayID = &s.Creating.Say.SayID
		}
		s.Creating = nil
		s.want(ClearTimer{"creating"})
	}
	// A new answer follows one that is still being heard: that one is played on, and counts as heard.
	s.heard()
	// One that is still being generated is over, whatever the provider forgot to say.
	if s.Response != nil && s.Response.SayID != nil {
		s.cut(*s.Response.SayID, "")
	}
	s.Response = &ActiveResponse{ResponseID: event.ResponseID, SayID: sayID, StartedAtMS: s.at}
}

// begins says whether this is the answer that was asked for.
func (s *stepping) begins(event contract.ResponseStartedEvent) bool {
	if s.Creating.Say == nil {
		return event.Cause != "say"
	}
	return event.SayID != nil && *event.SayID == s.Creating.Say.SayID
}

// completedResponse is contract.ResponseCompletedEvent with everything that its usage says.
type completedResponse struct {
	contract.ResponseCompletedEvent
	Usage map[string]any `json:"usage"`
}

func (s *stepping) responseCompleted(event completedResponse) {
	active := s.Response
	if active != nil && active.ResponseID != event.ResponseID {
		active = nil
	}
	if active != nil {
		s.Response = nil
	}
	s.addUsage(event.Usage)
	defer s.flush()
	if active == nil {
		return
	}
	if event.Status == "failed" && active.SayID != nil {
		failure := contract.ErrorObject{Code: "unknown", Message: "the provider failed to speak it"}
		if event.Error != nil {
			failure = *event.Error
		}
		s.unsaid(*active.SayID, failure)
		return
	}
	// A provider may have generated everything by the time the user speaks over it: that is an interruption all the same.
	if event.Status != "completed" || active.InterruptedMS != nil {
		played := s.at - active.StartedAtMS
		if active.InterruptedMS != nil {
			played = *active.InterruptedMS
		}
		if active.SayID != nil {
			s.cut(*active.SayID, heardText(event.Text, played, event.AudioMS))
		}
		return
	}
	s.Playing = &PlayingResponse{
		ResponseID: event.ResponseID, ItemID: event.ItemID, SayID: active.SayID, StartedAtMS: active.StartedAtMS,
		AudioMS: event.AudioMS, Text: event.Text,
	}
	left := active.StartedAtMS + event.AudioMS - s.at
	if event.PlaybackReported != nil && *event.PlaybackReported {
		// Who plays it will say when it was heard; the timer is for one that never does.
		left = max(0, left) + timeMS("playback_report_ms")
	}
	if left > 0 {
		s.want(SetTimer{"playback", left})
	} else {
		s.record(contract.ResponsePlayedEvent{Type: "response.played", ResponseID: event.ResponseID})
	}
}

func (s *stepping) responsePlayed(event contract.ResponsePlayedEvent) {
	if s.Playing != nil && s.Playing.ResponseID == event.ResponseID {
		s.heard()
		s.flush()
	}
}

// heard ends the answer that is being played, if there is one.
func (s *stepping) heard() {
	playing := s.Playing
	if playing == nil {
		return
	}
	s.Playing = nil
	s.want(ClearTimer{"playback"})
	if playing.SayID != nil {
		s.record(contract.SayCompletedEvent{Type: "say.completed", SayID: *playing.SayID, SpokenText: playing.Text})
	}
}

func (s *stepping) truncated(event contract.ItemTruncatedEvent) {
	if s.Playing != nil && s.Playing.ItemID != nil && *s.Playing.ItemID == event.ItemID {
		s.interrupted(&event.AudioMS)
	}
}

// interruptionRequested: somebody other than the user cuts the answer, whatever the declaration says of interruptions.
func (s *stepping) interruptionRequested(event contract.InterruptionRequestedEvent) {
	// Once: an answer that was interrupted already is being cancelled.
	if s.Response != nil && s.Response.InterruptedMS == nil {
		s.send(contract.CancelCommand{Type: "cancel", ResponseID: &s.Response.ResponseID})
	}
	s.interrupted(event.PlayedMS)
}

func (s *stepping) speechStarted(event contract.SpeechStartedEvent) {
	s.UserSpeaking = true
	s.idle()
	if s.interruptible() {
		s.interrupted(event.PlayedMS)
	}
}

// interrupted: the user speaks, or a client cut the answer, while something is generated or heard, or a tool runs.
// heardMS is how much of the answer was played, where somebody said so; without it that is reckoned.
func (s *stepping) interrupted(heardMS *float64) {
	switch {
	case s.Playing != nil:
		s.interruptedPlaying(heardMS)
	case s.Response != nil && s.Response.InterruptedMS == nil:
		// Its response.completed ends what it said.
		active := *s.Response
		played := max(0, s.at-active.StartedAtMS)
		if heardMS != nil {
			played = *heardMS
		}
		active.InterruptedMS = &played
		s.Response = &active
		s.record(contract.ResponseInterruptedEvent{
			Type: "response.interrupted", ResponseID: active.ResponseID, PlayedMS: played,
		})
	}
	// Tools whose authors said so are not worth finishing once the user speaks again. They still get their one answer.
	for _, call := range s.Calls {
		if call.OnInterrupt == "cancel" && call.Source == "model" {
			s.want(CancelExecution{call.ExecutionID, "interrupted"})
		}
	}
}

func (s *stepping) interruptedPlaying(heardMS *float64) {
	playing := s.Playing
	s.Playing = nil
	played := max(0, s.at-playing.StartedAtMS)
	if heardMS != nil {
		played = *heardMS
	}
	played = min(playing.AudioMS, played)
	s.want(ClearTimer{"playback"})
	s.record(contract.ResponseInterruptedEvent{
		Type: "response.interrupted", ResponseID: playing.ResponseID, ItemID: playing.ItemID, PlayedMS: played,
	})
	if playing.SayID != nil {
		s.cut(*playing.SayID, heardText(playing.Text, played, playing.AudioMS))
	}
}

// providerFailed: the provider refused something. When it was the answer that was asked for, that answer ends here.
func (s *stepping) providerFailed(event contract.ProviderFailedEvent) {
	if event.CommandID != nil && *event.CommandID == "restore" {
		// Nobody can say what a session is that could not be put right.
		s.ask("tampered", "server", &event.Error)
		return
	}
	creating := s.Creating
	busy := event.ProviderCode != nil && *event.ProviderCode == "conversation_already_has_active_response"
	if creating == nil {
		// The answer that the provider began by itself was taken for ours, and ours is refused: it is wanted still.
		if busy && event.CommandID != nil && *event.CommandID == "respond" {
			s.RespondWanted = true
		}
		return
	}
	own := "respond"
	if creating.Say != nil {
		own = creating.Say.SayID
	}
	if event.CommandID != nil && *event.CommandID != own {
		return
	}
	s.Creating = nil
	s.want(ClearTimer{"creating"})
	if busy {
		// The provider began an answer by itself a moment before: ours follows it.
		if creating.Say == nil {
			s.RespondWanted = true
		} else {
			s.Says = append([]Say{*creating.Say}, s.Says...)
		}
		return
	}
	if creating.Say != nil {
		s.unsaid(creating.Say.SayID, event.Error)
	}
	s.flush()
}

// addUsage sums what the provider bills, by its names: those that came after this code was written too.
func (s *stepping) addUsage(more map[string]any) {
	sum := maps.Clone(s.Usage)
	for name, amount := range more {
		if number, ok := amount.(float64); ok {
			sum[name] += number
		}
	}
	s.Usage = sum
}
