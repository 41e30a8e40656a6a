package parley

import (
	"bytes"
	"context"
	"encoding/base64"
	"time"

	"github.com/parley-dev/parley/packages/go/contract"
)

// turnTimeout: a turn may be answered for as long as the server lets it, and the answer still has to travel.
const turnTimeout = 130 * time.Second

// Turn says a whole turn and returns the answer to it: for sessions that are declared with audio_turns. SoundTurn makes a
// turn of a file. Cancelling ctx ends the answer at the provider. The error is aborted while another turn is answered,
// failed_precondition for a session of another transport, deadline_exceeded, or what the provider failed with.
func (s *SessionsClient) Turn(ctx context.Context, id string, turn contract.TurnRequest, options ...RequestOption) (contract.TurnResponse, error) {
	return post[contract.TurnResponse](ctx, s.client, exchange{
		path: sessionPath(id) + "/turns", body: turn, timeout: turnTimeout,
	}.with(options))
}

// SoundTurn is a turn of sound: a WAV file, or Opus in an Ogg file. The error is invalid_argument for anything else.
func SoundTurn(audio []byte) (contract.TurnRequest, error) {
	format := ""
	switch {
	case bytes.HasPrefix(audio, []byte("RIFF")):
		format = "wav"
	case bytes.HasPrefix(audio, []byte("OggS")):
		format = "opus"
	default:
		return contract.TurnRequest{}, contract.NewError("invalid_argument",
			"audio must be a WAV file or Opus in an Ogg file")
	}
	data := base64.StdEncoding.EncodeToString(audio)
	return contract.TurnRequest{Audio: &contract.TurnRequestAudio{Format: format, Data: data}}, nil
}

// TurnSound is the sound of an answer: a WAV file, or samples where those were asked for. It is nil where there is none.
func TurnSound(answer contract.TurnResponse) ([]byte, error) {
	if answer.Audio == nil {
		return nil, nil
	}
	sound, err := base64.StdEncoding.DecodeString(answer.Audio.Data)
	if err != nil {
		return nil, contract.NewError("data_loss", "the sound of the answer is not base64").Because(err)
	}
	return sound, nil
}
