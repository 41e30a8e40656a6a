package parley

import (
	"bytes"
	"errors"
	"testing"

	"github.com/parley-dev/parley/packages/go/contract"
)

func TestLiveTheClientSaysWholeTurnsAndHearsTheAnswers(t *testing.T) {
	h, app := openHouse(t), newAgent(t, "turns")
	must(t, app.RegisterSession("voice", "simulator", "audio_turns", nil))
	h.serve(app)
	session, err := h.client.Sessions.Start(t.Context(), "turns.voice", contract.StartRequest{})
	must(t, err)
	words := "hello"
	typed, err := h.client.Sessions.Turn(t.Context(), session.SessionID, contract.TurnRequest{Text: &words})
	must(t, err)
	sound, err := TurnSound(typed)
	must(t, err)
	if typed.Text != "You said: hello" || !bytes.HasPrefix(sound, []byte("RIFF")) {
		t.Errorf("the answer is %q with %d bytes of sound", typed.Text, len(sound))
	}
	// What the model said is what the user says next: the words are in the sound.
	turn, err := SoundTurn(sound)
	must(t, err)
	none := "none"
	turn.ReplyFormat = &none
	spoken, err := h.client.Sessions.Turn(t.Context(), session.SessionID, turn)
	must(t, err)
	if spoken.Text != "You said: "+spoken.UserText {
		t.Errorf("%q was answered with %q", spoken.UserText, spoken.Text)
	}
	if silent, err := TurnSound(spoken); silent != nil || err != nil {
		t.Errorf("no sound was wanted, and there is %d bytes of it: %v", len(silent), err)
	}
}

func TestSoundOfAnotherKindIsNoTurn(t *testing.T) {
	_, err := SoundTurn([]byte("no sound"))
	if failure, ok := errors.AsType[*Error](err); !ok || failure.Code != "invalid_argument" {
		t.Errorf("the error is %v", err)
	}
	answer := contract.TurnResponse{Audio: &contract.TurnResponseAudio{Data: "!"}}
	if _, err := TurnSound(answer); err == nil {
		t.Error("what is not base64 is no sound")
	}
}
