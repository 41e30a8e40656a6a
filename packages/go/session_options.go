package parley

import "github.com/parley-dev/parley/packages/go/contract"

// SessionOption sets a field of a session's declaration.
type SessionOption func(fields map[string]any)

func sessionField[T any](name string, value T) SessionOption {
	return func(fields map[string]any) { fields[name] = value }
}

// listOf keeps an empty list a list: nil would be null on the wire.
func listOf(values []string) []string {
	if values == nil {
		return []string{}
	}
	return values
}

// WithSessionModel names the provider's model.
func WithSessionModel(model string) SessionOption { return sessionField("model", model) }

// WithSessionVoice names the voice that speaks.
func WithSessionVoice(voice string) SessionOption { return sessionField("voice", voice) }

// WithSessionInstructions is what the model is told about itself.
func WithSessionInstructions(text string) SessionOption { return sessionField("instructions", text) }

// WithSessionLanguage is the language of the conversation.
func WithSessionLanguage(language string) SessionOption { return sessionField("language", language) }

// WithSessionModalities are audio, text and image. Default audio and text.
func WithSessionModalities(modalities ...string) SessionOption {
	return sessionField("modalities", listOf(modalities))
}

// WithSessionTools is what the live model may call: agent.function, or the bare name of a function of this agent.
func WithSessionTools(tools ...string) SessionOption { return sessionField("tools", listOf(tools)) }

// WithSessionHandoffs are other session targets that this one may hand over to.
func WithSessionHandoffs(targets ...string) SessionOption {
	return sessionField("handoffs", listOf(targets))
}

// WithSessionGuardrails are functions that judge what is said or called.
func WithSessionGuardrails(functions ...string) SessionOption {
	return sessionField("guardrails", listOf(functions))
}

// WithSessionClientEvents is what a connected client may send. Default everything that a caller needs.
func WithSessionClientEvents(names ...string) SessionOption {
	return sessionField("client_events", listOf(names))
}

// WithSessionTags are access tags.
func WithSessionTags(tags ...string) SessionOption { return sessionField("tags", listOf(tags)) }

// WithSessionMetadata is free-form; at most 64 keys.
func WithSessionMetadata(metadata map[string]any) SessionOption {
	if metadata == nil {
		metadata = map[string]any{}
	}
	return sessionField("metadata", metadata)
}

// WithSessionLimits bounds a session; nil fields are not set.
func WithSessionLimits(limits contract.SessionLimits) SessionOption {
	return sessionField("limits", limits)
}

// WithSessionMedia says who terminates the media: native or bridge.
func WithSessionMedia(media string) SessionOption { return sessionField("media", media) }

// WithSessionRecord keeps a recording.
func WithSessionRecord(record bool) SessionOption { return sessionField("record", record) }

// TurnDetection says how the provider finds the end of a turn.
type TurnDetection interface{ turnDetection() any }

type detection struct{ wire any }

func (d detection) turnDetection() any { return d.wire }

// ServerVAD ends a turn after silence. Nil fields have the contract's defaults; Type may stay empty.
func ServerVAD(options contract.ServerVad) TurnDetection {
	options.Type = "server_vad"
	return detection{options}
}

// SemanticVAD ends a turn when the sentence sounds complete.
func SemanticVAD(options contract.SemanticVad) TurnDetection {
	options.Type = "semantic_vad"
	return detection{options}
}

// PushToTalk leaves the end of a turn to the client.
func PushToTalk() TurnDetection { return detection{nil} }

// WithSessionTurnDetection sets how turns end. Default: what the provider does.
func WithSessionTurnDetection(mode TurnDetection) SessionOption {
	return sessionField("turn_detection", mode.turnDetection())
}
