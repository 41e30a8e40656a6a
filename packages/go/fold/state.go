package fold

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/parley-dev/parley/packages/go/contract"
)

// State is what is true of a session at one point of its log. It is bounded: nothing in it grows with the length of a
// call. It is a value: [Step] returns a new one and writes into nothing that an older one holds.
type State struct {
	Seq int64 `json:"seq"`
	// Phase is new, starting, live, closing or closed.
	Phase       string                       `json:"phase"`
	SessionID   string                       `json:"session_id"`
	CreatedAtMS float64                      `json:"created_at_ms"`
	Declaration *contract.SessionDeclaration `json:"declaration"`
	// Tools are all that were resolved at the start; EnabledTools are the names of those that the model may use now.
	Tools        []contract.ResolvedTool `json:"tools"`
	EnabledTools []string                `json:"enabled_tools"`
	// Connecting is true when the provider was asked for and is not there yet.
	Connecting bool `json:"connecting"`
	// WaitingCommands are inputs, and outputs of tools, that wait for it.
	WaitingCommands []any `json:"waiting_commands"`
	// WaitingUpdate are the changes that came while it was being connected.
	WaitingUpdate *contract.UpdateCommand `json:"waiting_update"`
	Clients       int                     `json:"clients"`
	HadClient     bool                    `json:"had_client"`
	UserSpeaking  bool                    `json:"user_speaking"`
	Creating      *Creating               `json:"creating"`
	Response      *ActiveResponse         `json:"response"`
	Playing       *PlayingResponse        `json:"playing"`
	// RespondWanted is true when tool outputs or injected text wait for an answer of the model.
	RespondWanted bool  `json:"respond_wanted"`
	Says          []Say `json:"says"`
	Calls         Calls `json:"calls"`
	// Answered are the latest call ids that were answered; a provider that repeats one is not answered twice.
	Answered []string `json:"answered"`
	// Handler is none, attached, detached or completed.
	Handler   string `json:"handler"`
	Turns     int    `json:"turns"`
	ToolCalls int    `json:"tool_calls"`
	// Usage is what the provider bills, summed by name.
	Usage map[string]float64 `json:"usage"`
	// Tamperings is how often the client changed what belongs to the server.
	Tamperings int      `json:"tamperings"`
	Closing    *Closing `json:"closing"`
	// schemas are those of Tools as the log has them: problems of an input are told in the order of the schema's keys.
	schemas map[string]json.RawMessage
}

// ActiveResponse is an answer that the model is generating.
type ActiveResponse struct {
	ResponseID  string  `json:"response_id"`
	SayID       *string `json:"say_id"`
	StartedAtMS float64 `json:"started_at_ms"`
	// InterruptedMS is how much of it was heard when the user spoke over it; nil when nobody did.
	InterruptedMS *float64 `json:"interrupted_ms"`
	// Tools are those that it began with, when others took their place since.
	Tools []contract.ResolvedTool `json:"tools,omitempty"`
	// schemas are those of Tools as the log has them.
	schemas map[string]json.RawMessage
}

// PlayingResponse is an answer that was generated and is still being heard: models generate faster than real time.
type PlayingResponse struct {
	ResponseID  string  `json:"response_id"`
	ItemID      *string `json:"item_id"`
	SayID       *string `json:"say_id"`
	StartedAtMS float64 `json:"started_at_ms"`
	AudioMS     float64 `json:"audio_ms"`
	Text        string  `json:"text"`
}

// Creating is an answer that was asked for and has not begun. Kind is respond or say.
type Creating struct {
	Kind string `json:"kind"`
	Say  *Say   `json:"say,omitzero"`
}

// Say is a text for the provider to speak.
type Say struct {
	SayID string `json:"say_id"`
	Text  string `json:"text"`
}

// Closing is why a session ends. Error is nil for an end that was wanted.
type Closing struct {
	Reason string                `json:"reason"`
	Error  *contract.ErrorObject `json:"error"`
}

// RunningCall is a tool call that has no end yet.
type RunningCall struct {
	CallID      string `json:"-"`
	Name        string `json:"name"`
	ExecutionID string `json:"execution_id"`
	// Source is model, client, or orphan: the model that asked is gone with its call, and nobody waits for the answer.
	Source     string  `json:"source"`
	ResponseID *string `json:"response_id"`
	// OnInterrupt is finish or cancel.
	OnInterrupt string  `json:"on_interrupt"`
	StartedAtMS float64 `json:"started_at_ms"`
}

// Calls are the running calls in the order in which they came. As JSON they are an object by call id.
type Calls []RunningCall

// Find is the running call of that id, or nil.
func (c Calls) Find(callID string) *RunningCall {
	for i := range c {
		if c[i].CallID == callID {
			return &c[i]
		}
	}
	return nil
}

// ofModel says whether the model waits for one of them.
func (c Calls) ofModel() bool {
	return slices.ContainsFunc(c, func(call RunningCall) bool { return call.Source == "model" })
}

// MarshalJSON implements json.Marshaler.
func (c Calls) MarshalJSON() ([]byte, error) {
	text := []byte{'{'}
	for i, call := range c {
		if i > 0 {
			text = append(text, ',')
		}
		name, err := json.Marshal(call.CallID)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(call)
		if err != nil {
			return nil, err
		}
		text = append(append(append(text, name...), ':'), value...)
	}
	return append(text, '}'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Calls) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	calls := Calls{}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return err
		}
		var call RunningCall
		if err := decoder.Decode(&call); err != nil {
			return err
		}
		call.CallID, _ = key.(string)
		calls = append(calls, call)
	}
	*c = calls
	return nil
}

// Initial is the state before the first entry.
func Initial() State {
	return State{
		Phase: "new", Tools: []contract.ResolvedTool{}, EnabledTools: []string{}, WaitingCommands: []any{}, Says: []Say{},
		Calls: Calls{}, Answered: []string{}, Handler: "none", Usage: map[string]float64{},
	}
}
