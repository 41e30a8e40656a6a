package parley

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/parley-dev/parley/packages/go/contract"
)

// ClientOptions of a Client; fields of zero have their defaults.
type ClientOptions struct {
	// URL where the control plane listens. Default PARLEY_URL, as agents have it, else http://127.0.0.1:7700.
	URL string
	// Key is a Parley key or a session token. Default PARLEY_KEY. It travels in the Authorization header only; loopback
	// needs none.
	Key string
	// HTTPClient to use. The default follows no redirects: one would carry the key elsewhere.
	HTTPClient *http.Client
	// Timeout of one try of a request. Default 30 s.
	Timeout time.Duration
	// Retries of a request that may be repeated, after a retryable error. Default 2; negative is none.
	Retries int
	// RetryAfterMax is the longest pause that a server may ask for before a retry. Default 10 s.
	RetryAfterMax time.Duration
	// AnswerBytesMax is the longest answer that is read. Default 32 MiB.
	AnswerBytesMax int64
}

// Client uses a control plane. Every error is an *Error: the server's own, or unavailable when there was no answer.
//
//	client, err := parley.NewClient(parley.ClientOptions{})
//	session, err := client.Sessions.Start(ctx, "support.voice", contract.StartRequest{})
//	for event, err := range client.Sessions.Tail(ctx, session.SessionID, 0) { … }
type Client struct {
	Sessions   *SessionsClient
	Executions *ExecutionsClient

	base    string
	options ClientOptions
}

// NewClient checks the options. The error is invalid_argument; it shows no credentials.
func NewClient(options ClientOptions) (*Client, error) {
	options.URL = cmp.Or(options.URL, ofAgents(os.Getenv("PARLEY_URL")), "http://127.0.0.1:7700")
	options.Key = cmp.Or(options.Key, os.Getenv("PARLEY_KEY"))
	address, err := url.Parse(options.URL)
	switch {
	case err != nil || address.Host == "":
		return nil, contract.NewError("invalid_argument", "url must be an absolute http:// or https:// address")
	case address.Scheme != "http" && address.Scheme != "https":
		return nil, contract.NewError("invalid_argument", "url must start with http:// or https://, got "+address.Scheme+"://")
	case address.User != nil:
		return nil, contract.NewError("invalid_argument", "url must not hold credentials; pass them as Key")
	}
	options.HTTPClient = cmp.Or(options.HTTPClient, withoutRedirects)
	options.Timeout = cmp.Or(options.Timeout, 30*time.Second)
	options.Retries = max(cmp.Or(options.Retries, 2), 0)
	options.RetryAfterMax = cmp.Or(options.RetryAfterMax, 10*time.Second)
	options.AnswerBytesMax = cmp.Or(options.AnswerBytesMax, 32<<20)
	c := &Client{base: address.Scheme + "://" + address.Host + strings.TrimRight(address.Path, "/"), options: options}
	c.Sessions = &SessionsClient{c}
	c.Executions = &ExecutionsClient{c}
	return c, nil
}

// ofAgents is the address of the control plane, which an agent may have as that of its WebSocket.
func ofAgents(address string) string {
	if rest, ok := strings.CutPrefix(address, "ws"); ok {
		return "http" + rest
	}
	return address
}

// Health is how the control plane is, and its version.
func (c *Client) Health(ctx context.Context) (contract.HealthResponse, error) {
	return get[contract.HealthResponse](ctx, c, "/health", nil)
}

// Ready says whether it takes work; the error is unavailable when it does not.
func (c *Client) Ready(ctx context.Context) (contract.HealthResponse, error) {
	return get[contract.HealthResponse](ctx, c, "/ready", nil)
}

// Agents are all that are known.
func (c *Client) Agents(ctx context.Context) ([]contract.AgentResource, error) {
	list, err := get[contract.AgentList](ctx, c, "/api/v1/agents", nil)
	return list.Agents, err
}

// Agent by its name; the error is not_found where there is none.
func (c *Client) Agent(ctx context.Context, name string) (contract.AgentResource, error) {
	return get[contract.AgentResource](ctx, c, "/api/v1/agents/"+url.PathEscape(name), nil)
}

// Workflow is the tree of executions of a workflow.
func (c *Client) Workflow(ctx context.Context, id string) (contract.WorkflowResource, error) {
	return get[contract.WorkflowResource](ctx, c, "/api/v1/workflows/"+url.PathEscape(id)+"/dag", nil)
}

func get[T any](ctx context.Context, c *Client, path string, values url.Values) (T, error) {
	var out T
	err := c.do(ctx, exchange{method: http.MethodGet, path: path, query: values}, &out)
	return out, err
}

func post[T any](ctx context.Context, c *Client, call exchange) (T, error) {
	var out T
	call.method = http.MethodPost
	err := c.do(ctx, call, &out)
	return out, err
}
