package parley

import (
	"context"
	"encoding/json"
	"io"

	"github.com/parley-dev/parley/packages/go/contract"
	"github.com/parley-dev/parley/packages/go/fold"
)

// What a session's log means, without a control plane: see package fold.
type (
	// Record is an entry of a session's log.
	Record = fold.Record
	// SessionState is what is true of a session at one point of its log.
	SessionState = fold.State
	// Effect is what an entry makes whoever runs the session do.
	Effect = fold.Effect
)

// ReadLog reads an exported log: one entry a line, or the JSON of a session's events. The error is invalid_argument.
func ReadLog(from io.Reader) ([]Record, error) { return fold.ReadLog(from) }

// InitialSession is the state before the first entry.
func InitialSession() SessionState { return fold.Initial() }

// FoldSession is the state of a session after its log, or after the first entries of it. The error is data_loss for a
// log with a gap or out of order, and invalid_argument for an entry that is not what its type says.
func FoldSession(records []Record) (SessionState, error) { return fold.Session(records) }

// Step folds one entry of a log: it is pure, and says what the entry wants done. The error is invalid_argument.
func Step(state SessionState, entry Record) (SessionState, []Effect, error) {
	return fold.Step(state, entry)
}

// FoldWorkflow is the tree of the executions of one workflow, given in any order; nil when there are none.
func FoldWorkflow(executions []contract.ExecutionResource) *contract.WorkflowResource {
	return fold.Workflow(executions)
}

// Log is the log of a session as it stands, page after page, for FoldSession. Its entries keep their JSON.
func (s *SessionsClient) Log(ctx context.Context, id string) ([]Record, error) {
	var records []Record
	for after := int64(0); ; {
		page, err := get[struct {
			Events  []json.RawMessage `json:"events"`
			HasMore bool              `json:"has_more"`
		}](ctx, s.client, sessionPath(id)+"/events", query("after", positive(after)))
		if err != nil {
			return nil, err
		}
		for _, text := range page.Events {
			record, err := fold.ParseRecord(text)
			if err != nil {
				return nil, err
			}
			records = append(records, record)
			after = record.Seq
		}
		if !page.HasMore || len(page.Events) == 0 {
			return records, nil
		}
	}
}
