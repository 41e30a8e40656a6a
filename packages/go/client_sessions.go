package parley

import (
	"context"
	"iter"
	"net/url"

	"github.com/parley-dev/parley/packages/go/contract"
)

// SessionsClient starts, looks at, speaks into, follows and ends sessions.
type SessionsClient struct{ client *Client }

// SessionFilter says which sessions a list has; empty fields let everything through.
type SessionFilter struct {
	Status string
	// Agent is the name of an agent.
	Agent string
	// Target is agent.session.
	Target string
	// Limit of sessions in one page.
	Limit  int64
	Cursor string
}

// RequestOption says more of one request.
type RequestOption func(*exchange)

// WithIdempotencyKey makes all requests of one kind with the same key one request: after a lost answer it is sent again,
// and what it asks for is done once. The error is already_exists when the key was used for another request.
//
//	said, err := client.Sessions.Say(ctx, id, "Welcome.", parley.WithIdempotencyKey("welcome-"+id))
func WithIdempotencyKey(key string) RequestOption {
	return func(call *exchange) { call.header = map[string]string{"Idempotency-Key": key} }
}

// with is the request as the options say.
func (call exchange) with(options []RequestOption) exchange {
	for _, option := range options {
		option(&call)
	}
	return call
}

// Start starts a session of target (agent.session). The error is not_found when no agent declares it,
// failed_precondition or invalid_argument when the request asks for another provider or transport than declared, or
// resource_exhausted at a limit.
func (s *SessionsClient) Start(ctx context.Context, target string, request contract.StartRequest, options ...RequestOption) (contract.StartResponse, error) {
	return post[contract.StartResponse](ctx, s.client, exchange{
		path: "/api/v1/sessions/" + url.PathEscape(target) + "/start", body: request,
	}.with(options))
}

// List is one page of sessions, newest first.
func (s *SessionsClient) List(ctx context.Context, filter SessionFilter) (contract.SessionList, error) {
	return get[contract.SessionList](ctx, s.client, "/api/v1/sessions", query("status", filter.Status,
		"agent", filter.Agent, "target", filter.Target, "limit", positive(filter.Limit), "cursor", filter.Cursor))
}

// All is every session that the filter lets through, page after page. An error is the last pair.
func (s *SessionsClient) All(ctx context.Context, filter SessionFilter) iter.Seq2[contract.SessionResource, error] {
	return func(yield func(contract.SessionResource, error) bool) {
		for {
			page, err := s.List(ctx, filter)
			if err != nil {
				yield(contract.SessionResource{}, err)
				return
			}
			for _, session := range page.Sessions {
				if !yield(session, nil) {
					return
				}
			}
			if page.NextCursor == nil {
				return
			}
			filter.Cursor = *page.NextCursor
		}
	}
}

// Get is a session by its id.
func (s *SessionsClient) Get(ctx context.Context, id string) (contract.SessionResource, error) {
	return get[contract.SessionResource](ctx, s.client, sessionPath(id), nil)
}

// Close ends a session; the reason may be empty. Ending one that has ended changes nothing.
func (s *SessionsClient) Close(ctx context.Context, id, reason string) (contract.SessionResource, error) {
	return post[contract.SessionResource](ctx, s.client, exchange{
		path: sessionPath(id) + "/close", body: contract.CloseRequest{Reason: optionalText(reason)}, repeatable: true,
	})
}

// Say has the provider speak words; it returns when they were heard or cut.
func (s *SessionsClient) Say(ctx context.Context, id, words string, options ...RequestOption) (contract.SayResponse, error) {
	return post[contract.SayResponse](ctx, s.client, exchange{
		path: sessionPath(id) + "/say", body: contract.SayRequest{Text: words}, timeout: sayTimeout,
	}.with(options))
}

// Inject puts text into the conversation without speaking it; respond asks for an answer to it.
func (s *SessionsClient) Inject(ctx context.Context, id, words string, respond bool, options ...RequestOption) error {
	_, err := post[any](ctx, s.client, exchange{
		path: sessionPath(id) + "/inject", body: contract.InjectRequest{Text: words, Respond: &respond},
	}.with(options))
	return err
}

// Update changes what the model is told, from the next answer on.
func (s *SessionsClient) Update(ctx context.Context, id string, change contract.UpdateRequest, options ...RequestOption) (contract.SessionResource, error) {
	return post[contract.SessionResource](ctx, s.client, exchange{
		path: sessionPath(id) + "/update", body: change,
	}.with(options))
}

// Tool calls a tool of the session, as its model could: the allowlist holds. It returns the execution once it ended,
// whatever its Status. The error is permission_denied for a tool that is not of this session.
func (s *SessionsClient) Tool(ctx context.Context, id, tool string, call contract.ToolRequest, options ...RequestOption) (contract.ExecutionResource, error) {
	return post[contract.ExecutionResource](ctx, s.client, exchange{
		path: sessionPath(id) + "/tools/" + url.PathEscape(tool), body: call, timeout: callTimeout,
	}.with(options))
}

// Events is one page of the log after entry `after`; a limit of 0 is the server's.
func (s *SessionsClient) Events(ctx context.Context, id string, after, limit int64) (contract.EventList, error) {
	return get[contract.EventList](ctx, s.client, sessionPath(id)+"/events",
		query("after", positive(after), "limit", positive(limit)))
}

// Workflow is the tree of executions of a session.
func (s *SessionsClient) Workflow(ctx context.Context, id string) (contract.WorkflowResource, error) {
	return get[contract.WorkflowResource](ctx, s.client, sessionPath(id)+"/workflow", nil)
}

func sessionPath(id string) string { return "/api/v1/sessions/" + url.PathEscape(id) }
