package fold

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parley-dev/parley/packages/go/contract"
)

// WebRTC calls whose media the provider terminates: each is a conversation of its own with the provider, and the session
// outlives it. And what their clients can do behind the server's back.

// native says whether the client offers its call to the provider through the server, which then attaches to it.
func (s *stepping) native() bool {
	declared := s.Declaration
	return declared != nil && declared.Transport == "webrtc" && declared.Media != nil && *declared.Media == "native"
}

func (s *stepping) callOffered(event contract.CallOfferedEvent) {
	// Of changes from now on the new call was not told.
	s.Connecting = s.Connecting || event.Media == "native"
	s.idle()
	s.connect()
}

// callFailed: the session waits for the next call, which is told everything.
func (s *stepping) callFailed() {
	if s.native() {
		s.Connecting = false
		s.WaitingUpdate = nil
	}
}

// callEnded: the provider forgot the conversation with the call. What was being said is over; what waits, waits for the
// next one.
func (s *stepping) callEnded() {
	if !s.native() || s.Phase != "live" {
		return
	}
	s.Phase = "starting"
	s.want(ClearTimer{"playback"}, ClearTimer{"creating"})
	if s.Playing != nil && s.Playing.SayID != nil {
		s.cut(*s.Playing.SayID, heardText(s.Playing.Text, s.at-s.Playing.StartedAtMS, s.Playing.AudioMS))
	}
	if s.Response != nil && s.Response.SayID != nil {
		s.cut(*s.Response.SayID, "")
	}
	if s.Creating != nil && s.Creating.Say != nil {
		// Words that were asked for and never begun are said in the next call.
		s.Says = append([]Say{*s.Creating.Say}, s.Says...)
	}
	s.Playing, s.Response, s.Creating = nil, nil, nil
	s.RespondWanted, s.UserSpeaking = false, false
	// Tools that run are finished: what they do is done in the world, whoever listens.
	s.Calls = slices.Clone(s.Calls)
	for i := range s.Calls {
		if s.Calls[i].Source == "model" {
			s.Calls[i].Source = "orphan"
		}
	}
}

// tampered puts right what the client changed, a stated number of times; a client that goes on is not one to talk to.
func (s *stepping) tampered(event contract.SessionTamperedEvent) {
	s.Tamperings++
	if int64(s.Tamperings) <= contract.Limit("tamperings_max") {
		s.send(contract.RestoreCommand{Type: "restore"})
		return
	}
	s.limitReached("tamperings_max", float64(s.Tamperings))
	s.ask("tampered", "server", &contract.ErrorObject{
		Code: "permission_denied", Retryable: false,
		Message: fmt.Sprintf("the client changed %s of the session for the %dth time",
			strings.Join(event.Fields, ", "), s.Tamperings),
	})
}
