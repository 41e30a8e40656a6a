package parley

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/parley-dev/parley/packages/go/contract"
)

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
