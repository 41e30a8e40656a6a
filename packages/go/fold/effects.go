package fold

import (
	"encoding/json"

	"github.com/parley-dev/parley/packages/go/contract"
)

// Effect is what [Step] wants done. Whoever runs a session performs effects; whoever looks at a log reads them. It is
// one of [RecordEvent], [ConnectProvider], [SendCommand], [DispatchExecution], [CancelExecution], [SetTimer],
// [ClearTimer] and [EndSession]. Their JSON is told apart by "kind".
type Effect interface{ effect() }

// RecordEvent appends an event to the log next, and folds it. Its effects stand in its place.
type RecordEvent struct {
	// Event has the JSON of a contract.SessionEvent, without seq and at_ms.
	Event any `json:"event"`
}

// ConnectProvider connects the provider, and then appends provider.connected.
type ConnectProvider struct{}

// SendCommand tells the provider something.
type SendCommand struct {
	// Command is a contract.UpdateCommand, AddTextCommand, AddItemCommand, RespondCommand, SayCommand, CancelCommand,
	// ToolOutputCommand or RestoreCommand.
	Command any `json:"command"`
}

// DispatchExecution runs a function, once the entry that asked for it is on disk.
type DispatchExecution struct {
	CallID      string          `json:"call_id"`
	ExecutionID string          `json:"execution_id"`
	Target      string          `json:"target"`
	Input       json.RawMessage `json:"input"`
	TimeoutMS   int64           `json:"timeout_ms"`
}

// CancelExecution asks for the end of an execution; tool.completed still follows.
type CancelExecution struct {
	ExecutionID string `json:"execution_id"`
	Reason      string `json:"reason"`
}

// SetTimer appends timer.fired once after MS milliseconds. It replaces the timer of that name.
type SetTimer struct {
	Timer string  `json:"timer"`
	MS    float64 `json:"ms"`
}

// ClearTimer forgets a timer.
type ClearTimer struct {
	Timer string `json:"timer"`
}

// EndSession closes provider and clients, and then appends session.closed.
type EndSession struct {
	Reason string                `json:"reason"`
	Error  *contract.ErrorObject `json:"error"`
}

func (RecordEvent) effect()       {}
func (ConnectProvider) effect()   {}
func (SendCommand) effect()       {}
func (DispatchExecution) effect() {}
func (CancelExecution) effect()   {}
func (SetTimer) effect()          {}
func (ClearTimer) effect()        {}
func (EndSession) effect()        {}

// The types without methods, so that encoding/json does not come back here.
type (
	bareRecord   RecordEvent
	bareSend     SendCommand
	bareDispatch DispatchExecution
	bareCancel   CancelExecution
	bareSet      SetTimer
	bareClear    ClearTimer
	bareEnd      EndSession
)

// MarshalJSON implements json.Marshaler.
func (e RecordEvent) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind string `json:"kind"`
		bareRecord
	}{"record", bareRecord(e)})
}

// MarshalJSON implements json.Marshaler.
func (e ConnectProvider) MarshalJSON() ([]byte, error) {
	return []byte(`{"kind":"provider.connect"}`), nil
}

// MarshalJSON implements json.Marshaler.
func (e SendCommand) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind string `json:"kind"`
		bareSend
	}{"provider.send", bareSend(e)})
}

// MarshalJSON implements json.Marshaler.
func (e DispatchExecution) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind string `json:"kind"`
		bareDispatch
	}{"execution.dispatch", bareDispatch(e)})
}

// MarshalJSON implements json.Marshaler.
func (e CancelExecution) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind string `json:"kind"`
		bareCancel
	}{"execution.cancel", bareCancel(e)})
}

// MarshalJSON implements json.Marshaler.
func (e SetTimer) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind string `json:"kind"`
		bareSet
	}{"timer.set", bareSet(e)})
}

// MarshalJSON implements json.Marshaler.
func (e ClearTimer) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind string `json:"kind"`
		bareClear
	}{"timer.clear", bareClear(e)})
}

// MarshalJSON implements json.Marshaler.
func (e EndSession) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind string `json:"kind"`
		bareEnd
	}{"session.end", bareEnd(e)})
}
