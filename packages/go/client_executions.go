package parley

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/parley-dev/parley/packages/go/contract"
)

// ExecuteOptions of a request to run a function.
type ExecuteOptions struct {
	// IdempotencyKey: the same key twice is one execution; with it a failed request is retried.
	IdempotencyKey string
	// Timeout is how long the function may work. Default 90 s.
	Timeout time.Duration
	// SessionID is the session that the execution belongs to.
	SessionID string
	// ParentExecutionID is the execution that asks for this one.
	ParentExecutionID string
}

// callTimeout: a function may work for as long as an execution may, and the answer still has to travel.
const (
	callTimeout  = 95 * time.Second
	answerMargin = 5 * time.Second
	sayTimeout   = 120 * time.Second
	pollMin      = 100 * time.Millisecond
	pollMax      = 2 * time.Second
	batchMax     = 1000
)

// ExecutionsClient runs functions and looks at their executions.
type ExecutionsClient struct{ client *Client }

// Execute runs a function (agent.function) and waits for its end, whatever that is: read Status. The error is why it
// could not be admitted.
func (e *ExecutionsClient) Execute(ctx context.Context, target string, input any, options ExecuteOptions) (contract.ExecutionResource, error) {
	call, err := executeCall("/api/v1/execute/", target, input, options)
	if err != nil {
		return contract.ExecutionResource{}, err
	}
	call.timeout = callTimeout
	if options.Timeout > 0 {
		call.timeout = options.Timeout + answerMargin
	}
	return post[contract.ExecutionResource](ctx, e.client, call)
}

// ExecuteAsync queues a function and returns at once with its execution.
func (e *ExecutionsClient) ExecuteAsync(ctx context.Context, target string, input any, options ExecuteOptions) (contract.ExecutionResource, error) {
	call, err := executeCall("/api/v1/execute/async/", target, input, options)
	if err != nil {
		return contract.ExecutionResource{}, err
	}
	return post[contract.ExecutionResource](ctx, e.client, call)
}

func executeCall(path, target string, input any, options ExecuteOptions) (exchange, error) {
	body := contract.ExecuteRequest{}
	if input != nil {
		text, err := payloadText(input, "the input of "+target, "invalid_argument")
		if err != nil {
			return exchange{}, err
		}
		body.Input = text
	}
	if options.Timeout > 0 {
		body.TimeoutMS = new(contract.Int(options.Timeout.Milliseconds()))
	}
	return exchange{path: path + url.PathEscape(target), body: body, header: map[string]string{
		"Idempotency-Key": options.IdempotencyKey, "X-Session-ID": options.SessionID,
		"X-Parent-Execution-ID": options.ParentExecutionID,
	}}, nil
}

// Get is an execution by its id.
func (e *ExecutionsClient) Get(ctx context.Context, id string) (contract.ExecutionResource, error) {
	return get[contract.ExecutionResource](ctx, e.client, executionPath(id), nil)
}

// Cancel asks an execution to stop; the reason may be empty. One that has ended stays as it is.
func (e *ExecutionsClient) Cancel(ctx context.Context, id, reason string) (contract.ExecutionResource, error) {
	return post[contract.ExecutionResource](ctx, e.client, exchange{
		path: executionPath(id) + "/cancel", body: contract.CancelRequest{Reason: optionalText(reason)}, repeatable: true,
	})
}

// Note adds a note to an execution, for whoever reads it later; data may be nil.
func (e *ExecutionsClient) Note(ctx context.Context, id, words string, data any) error {
	body := contract.NoteRequest{Text: words}
	if data != nil {
		text, err := payloadText(data, "the data of a note", "invalid_argument")
		if err != nil {
			return err
		}
		body.Data = text
	}
	_, err := post[any](ctx, e.client, exchange{path: executionPath(id) + "/notes", body: body})
	return err
}

// Batch is the state of up to 1,000 executions in one request.
func (e *ExecutionsClient) Batch(ctx context.Context, ids []string) (contract.BatchStatusResponse, error) {
	if len(ids) == 0 || len(ids) > batchMax {
		return contract.BatchStatusResponse{}, contract.NewError("invalid_argument",
			fmt.Sprintf("a batch has 1 to %d execution ids, got %d", batchMax, len(ids)))
	}
	return post[contract.BatchStatusResponse](ctx, e.client, exchange{
		path: "/api/v1/executions/batch-status", body: contract.BatchStatusRequest{ExecutionIDs: ids}, repeatable: true,
	})
}

// Wait waits until an execution has ended.
func (e *ExecutionsClient) Wait(ctx context.Context, id string) (contract.ExecutionResource, error) {
	for wait := pollMin; ; wait = min(pollMax, wait*3/2) {
		execution, err := e.Get(ctx, id)
		if err != nil || execution.FinishedAtMS != nil {
			return execution, err
		}
		if err := pause(ctx, wait); err != nil {
			return execution, err
		}
	}
}

func executionPath(id string) string { return "/api/v1/executions/" + url.PathEscape(id) }

func optionalText(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}
