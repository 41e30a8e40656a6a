package fold

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/parley-dev/parley/packages/go/contract"
)

// Tool calls of the live model: judged here, run elsewhere, answered once (P1, P2).

func (s *stepping) toolCalled(event contract.ToolCalledEvent) {
	if s.Calls.Find(event.CallID) != nil || slices.Contains(s.Answered, event.CallID) {
		return
	}
	s.ToolCalls++
	tool, input, refused := s.judge(event)
	onInterrupt := "finish"
	if refused == nil && tool.OnInterrupt != nil {
		onInterrupt = *tool.OnInterrupt
	}
	// The call is remembered before it is judged in the log, so that a repeat of it is known, and who has to be answered.
	s.Calls = append(slices.Clone(s.Calls), RunningCall{
		CallID: event.CallID, Name: event.Name, ExecutionID: event.ExecutionID, Source: event.Source,
		ResponseID: event.ResponseID, OnInterrupt: onInterrupt, StartedAtMS: s.at,
	})
	if refused != nil {
		s.record(rejection{Type: "tool.rejected", CallID: event.CallID, Name: event.Name, Error: refused})
		return
	}
	s.record(contract.ToolDispatchedEvent{
		Type: "tool.dispatched", CallID: event.CallID, Name: event.Name, Target: tool.Target,
		ExecutionID: event.ExecutionID, Input: input,
	})
}

// rejection is contract.ToolRejectedEvent with an error whose details keep their order: it is told to the model as text.
type rejection struct {
	Type   string   `json:"type"`
	CallID string   `json:"call_id"`
	Name   string   `json:"name"`
	Error  *refusal `json:"error"`
}

type refusal struct {
	Code      string    `json:"code"`
	Message   string    `json:"message"`
	Retryable bool      `json:"retryable"`
	Details   *inFlight `json:"details,omitzero"`
}

type inFlight struct {
	Limit   int64 `json:"limit"`
	Current int64 `json:"current"`
}

func refuse(code, form string, values ...any) *refusal {
	return &refusal{Code: code, Message: fmt.Sprintf(form, values...), Retryable: contract.DefaultRetryable(code)}
}

// judge says which tool a call means, and with what input; or why it is refused.
func (s *stepping) judge(event contract.ToolCalledEvent) (contract.ResolvedTool, json.RawMessage, *refusal) {
	var none contract.ResolvedTool
	if s.Phase == "closing" {
		return none, nil, refuse("aborted", "the session is ending")
	}
	tool := s.callable(event.Name, event.ResponseID)
	if tool == nil {
		names := s.EnabledTools
		if before := s.begunWith(event.ResponseID); before != nil {
			names = make([]string, len(before.Tools))
			for i := range before.Tools {
				names[i] = before.Tools[i].Name
			}
		}
		allowed := strings.Join(names, ", ")
		if allowed == "" {
			allowed = "none"
		}
		return none, nil, refuse("permission_denied",
			"tool '%s' is not in this session's allowlist. Allowed tools: %s.", event.Name, allowed)
	}
	limit := contract.Limit("tool_calls_in_flight")
	if own := s.limits().MaxToolCallsInFlight; own != nil {
		limit = int64(*own)
	}
	if running := int64(len(s.Calls)); running >= limit {
		full := refuse("resource_exhausted", "the session is at its limit of %d tool calls in flight", limit)
		full.Details = &inFlight{limit, running}
		return none, nil, full
	}
	if most := contract.Limit("payload_bytes_max"); int64(len(event.Arguments)) > most {
		return none, nil, refuse("resource_exhausted", "tool arguments may have at most %d bytes", most)
	}
	arguments := event.Arguments
	// Models send nothing at all for a tool without parameters.
	if strings.Trim(arguments, "\t\n\r ") == "" {
		arguments = "{}"
	}
	input, err := parse([]byte(arguments))
	if err != nil {
		// Not in the words of the parser: a replay in another language has to say the same.
		return none, nil, refuse("invalid_argument", "the arguments of tool '%s' are not JSON", event.Name)
	}
	if problem := inputProblem(s.schemaOf(tool, event.ResponseID), input); problem != "" {
		return none, nil, refuse("invalid_argument",
			"the arguments of tool '%s' do not fit its schema: %s", event.Name, problem)
	}
	return *tool, stringify(input), nil
}

// begunWith is an answer that began before other tools took the place of its own, or nil.
func (s *stepping) begunWith(responseID *string) *ActiveResponse {
	if s.Response != nil && s.Response.Tools != nil && responseID != nil && *responseID == s.Response.ResponseID {
		return s.Response
	}
	return nil
}

// callable is what the model may call under this name; in an answer that keeps the tools of before, what it was then.
func (s *stepping) callable(name string, responseID *string) *contract.ResolvedTool {
	if before := s.begunWith(responseID); before != nil {
		return named(before.Tools, name)
	}
	if !slices.Contains(s.EnabledTools, name) {
		return nil
	}
	return named(s.Tools, name)
}

func named(tools []contract.ResolvedTool, name string) *contract.ResolvedTool {
	for i := range tools {
		if tools[i].Name == name {
			return &tools[i]
		}
	}
	return nil
}

// schemaOf is the schema of a tool with its keys in order, where the log was folded from its beginning.
func (s *stepping) schemaOf(tool *contract.ResolvedTool, responseID *string) json.RawMessage {
	schemas := s.schemas
	if before := s.begunWith(responseID); before != nil {
		schemas = before.schemas
	}
	if text, ok := schemas[tool.Name]; ok || tool.InputSchema == nil {
		return text
	}
	return json.RawMessage(textOf(tool.InputSchema))
}

func (s *stepping) toolDispatched(event contract.ToolDispatchedEvent) {
	timeout := contract.TimeMS("execution_timeout_ms")
	var responseID *string
	if call := s.Calls.Find(event.CallID); call != nil {
		responseID = call.ResponseID
	}
	tool := s.callable(event.Name, responseID)
	if tool == nil {
		tool = named(s.Tools, event.Name)
	}
	if tool != nil && tool.TimeoutMS != nil {
		timeout = int64(*tool.TimeoutMS)
	}
	s.want(DispatchExecution{
		CallID: event.CallID, ExecutionID: event.ExecutionID, Target: event.Target, Input: event.Input, TimeoutMS: timeout,
	})
}

// ended is what an end of a call says to the model, as JSON that keeps its order.
type ended struct {
	CallID string          `json:"call_id"`
	Status string          `json:"status"`
	Output json.RawMessage `json:"output"`
	Error  json.RawMessage `json:"error"`
	// Respond is false where the model need not answer the output.
	Respond *bool `json:"respond"`
}

func (s *stepping) toolRejected(event ended) {
	s.settled(event.CallID, true, func() any { return map[string]any{"error": event.Error} })
}

func (s *stepping) toolCompleted(event ended) {
	s.settled(event.CallID, event.Respond == nil || *event.Respond, func() any {
		switch {
		case event.Status == "succeeded" && event.Output == nil:
			return nil
		case event.Status == "succeeded":
			return event.Output
		case event.Error != nil:
			return map[string]any{"error": event.Error}
		}
		return map[string]any{"error": contract.ErrorObject{
			Code: "unknown", Message: "the call ended as " + event.Status, Retryable: false,
		}}
	})
}

// settled ends a call, once: a second end of it, or of one that never was, finds nothing (P1). The model is told the
// output of a call that it made.
func (s *stepping) settled(callID string, respond bool, output func() any) {
	call := s.Calls.Find(callID)
	if call == nil {
		return
	}
	ofModel := call.Source == "model"
	s.Calls = slices.DeleteFunc(slices.Clone(s.Calls), func(one RunningCall) bool { return one.CallID == callID })
	kept := s.Answered
	if most := int(contract.Limit("answered_calls_max")) - 1; len(kept) > most {
		kept = kept[len(kept)-most:]
	}
	s.Answered = append(slices.Clone(kept), callID)
	if !ofModel {
		s.flush()
		return
	}
	if s.Phase != "live" && s.Phase != "starting" {
		return
	}
	if respond {
		s.RespondWanted = true
	}
	command := contract.ToolOutputCommand{Type: "tool_output", CallID: callID, Output: textOf(output())}
	if s.Phase == "starting" {
		// One connection is gone and the next is not there: it is told then. There are no more of these than calls.
		s.WaitingCommands = append(slices.Clone(s.WaitingCommands), command)
		return
	}
	s.send(command)
	s.record(contract.ToolAnsweredEvent{Type: "tool.answered", CallID: callID})
	s.flush()
}
