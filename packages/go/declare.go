package parley

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/parley-dev/parley/packages/go/contract"
)

// SessionHandler answers the turns of one session. The session goes on until it returns; an error closes the session.
// ctx ends with the session.
type SessionHandler func(ctx context.Context, session *Session) error

type sessionDefinition struct {
	declaration contract.SessionDeclaration
	handler     SessionHandler
}

// RegisterSession declares a session. Without a handler (nil) the live model answers by itself. The error is
// invalid_argument, with details.path naming the field; already_exists; or resource_exhausted.
func (a *Agent) RegisterSession(name, provider, transport string, handler SessionHandler, options ...SessionOption) error {
	fields := map[string]any{"name": name, "provider": provider, "transport": transport, "responder": "model"}
	if handler != nil {
		fields["responder"] = "handler"
	}
	for _, option := range options {
		option(fields)
	}
	text, err := encode(fields)
	if err != nil {
		return contract.NewError("invalid_argument", fmt.Sprintf("session '%s' is not JSON: %v", name, err)).Because(err)
	}
	raw, err := contract.Decode(text)
	if err != nil {
		return contract.NewError("internal", err.Error()).Because(err)
	}
	completed, err := contract.ParseDeclaration(raw)
	if err != nil {
		return err
	}
	definition := sessionDefinition{handler: handler}
	if err := decodeLoosely(frameText(completed), &definition.declaration); err != nil {
		return contract.NewError("internal", err.Error()).Because(err)
	}
	return a.sessions.add(name, definition)
}

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

// FunctionOption sets a field of a function's declaration.
type FunctionOption func(fields map[string]any)

// WithDescription is what the live model reads to decide whether to call the function.
func WithDescription(text string) FunctionOption {
	return func(fields map[string]any) { fields["description"] = text }
}

// WithTimeoutMS is how many milliseconds the function may take until it ends as timed_out. Default 90,000.
func WithTimeoutMS(ms int64) FunctionOption {
	return func(fields map[string]any) { fields["timeout_ms"] = ms }
}

// WithCancelOnInterrupt cancels the function when the user speaks over the answer that called it.
func WithCancelOnInterrupt() FunctionOption {
	return func(fields map[string]any) { fields["on_interrupt"] = "cancel" }
}

// WithMaxConcurrent is how many runs of the function one process does at the same time; more wait.
func WithMaxConcurrent(runs int) FunctionOption {
	return func(fields map[string]any) { fields["max_concurrent"] = runs }
}

// WithTags are access tags of the function.
func WithTags(tags ...string) FunctionOption {
	return func(fields map[string]any) { fields["tags"] = listOf(tags) }
}

type functionDefinition struct {
	declaration contract.FunctionDeclaration
	body        func(ctx context.Context, input json.RawMessage) (json.RawMessage, error)
}

// Function is a registered function with its types, for typed calls.
type Function[In, Out any] struct {
	// Target is agent.function.
	Target string
}

// Caller runs functions: a *Session or an *Execution.
type Caller interface {
	Call(ctx context.Context, target string, input, output any) error
}

// Call runs the function as a child of the caller. The error is how the execution ended when it did not succeed.
func (f Function[In, Out]) Call(ctx context.Context, caller Caller, input In) (Out, error) {
	var output Out
	err := caller.Call(ctx, f.Target, input, &output)
	return output, err
}

// RegisterReasoner declares a function that may call others and think. JSON Schema comes from the types: names from
// json tags, a `description` tag for words, an `enum` tag ("a,b") for texts; a field is required unless it is a
// pointer, omitempty or omitzero. The input is checked before the body sees it. The error is invalid_argument,
// already_exists or resource_exhausted.
func RegisterReasoner[In, Out any](a *Agent, name string, body func(ctx context.Context, input In) (Out, error),
	options ...FunctionOption,
) (Function[In, Out], error) {
	return register(a, "reasoner", name, body, options)
}

// RegisterSkill declares a function that is plain work. See RegisterReasoner for its types and errors.
func RegisterSkill[In, Out any](a *Agent, name string, body func(ctx context.Context, input In) (Out, error),
	options ...FunctionOption,
) (Function[In, Out], error) {
	return register(a, "skill", name, body, options)
}

func register[In, Out any](a *Agent, kind, name string, body func(context.Context, In) (Out, error),
	options []FunctionOption,
) (Function[In, Out], error) {
	function := Function[In, Out]{Target: a.name + "." + name}
	what := "the input of " + function.Target
	input, err := describe[In](what)
	if err != nil {
		return function, err
	}
	output, err := describe[Out]("the output of " + function.Target)
	if err != nil {
		return function, err
	}
	fields := map[string]any{"name": name, "kind": kind}
	for _, option := range options {
		option(fields)
	}
	if input.schema != nil {
		fields["input_schema"] = input.schema
	}
	if output.schema != nil {
		fields["output_schema"] = output.schema
	}
	raw, err := contract.Decode(frameText(fields))
	if err != nil {
		return function, contract.NewError("internal", err.Error()).Because(err)
	}
	if _, err := contract.ParseFunction(raw); err != nil {
		return function, err
	}
	// Schemas are those of the types, shared by all that have them.
	delete(fields, "input_schema")
	delete(fields, "output_schema")
	definition := functionDefinition{}
	if err := decodeLoosely(frameText(fields), &definition.declaration); err != nil {
		return function, contract.NewError("internal", err.Error()).Because(err)
	}
	definition.declaration.InputSchema, definition.declaration.OutputSchema = input.object, output.object
	definition.body = func(ctx context.Context, text json.RawMessage) (json.RawMessage, error) {
		value, err := readInput[In](text, input.check, what)
		if err != nil {
			return nil, err
		}
		result, err := body(ctx, value)
		if err != nil {
			return nil, err
		}
		return payloadText(result, "the output of "+name, "internal")
	}
	return function, a.functions.add(name, definition)
}

func readInput[In any](text json.RawMessage, check func(any) *contract.Problem, what string) (In, error) {
	var input In
	value, err := contract.Decode(text)
	if err != nil {
		return input, contract.NewError("invalid_argument", fmt.Sprintf("%s is not JSON: %v", what, err))
	}
	if problem := check(value); problem != nil {
		return input, contract.NewError("invalid_argument",
			fmt.Sprintf("%s is not valid: %s", what, problem.Message)).With("path", problem.Path)
	}
	if err := decodeLoosely(text, &input); err != nil {
		return input, contract.NewError("invalid_argument", fmt.Sprintf("%s is not valid: %v", what, err)).Because(err)
	}
	return input, nil
}
