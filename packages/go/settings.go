package parley

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/parley-dev/parley/packages/go/contract"
)

// Limits bounds what grows in an agent. A field of zero has its default.
type Limits struct {
	// Executions that run at the same time. Default 128.
	Executions int
	// ExecutionsWaiting for a place; one more is answered with resource_exhausted. Default 1,024.
	ExecutionsWaiting int
	// Sessions whose handler runs at the same time. Default 256.
	Sessions int
	// Turns that wait for one handler; past it the oldest is dropped. Default 32.
	Turns int
	// Requests to the control plane without a reply. Default 1,024.
	Requests int
	// OutboxFrames that wait for a link. Default 1,024.
	OutboxFrames int
	// OutboxBytes of those frames. Default 16 MiB.
	OutboxBytes int
	// ResultBytes of results that the control plane has not confirmed. Default 64 MiB.
	ResultBytes int
}

// Times of an agent. A field of zero has its default.
type Times struct {
	// Cancel is how long a function that was cancelled may take to end by itself. Default 2 s.
	Cancel time.Duration
	// Drain is how long a drain may take before it becomes a stop. Default 30 s.
	Drain time.Duration
	// Stop is how long a stop waits for what it cancelled. Default 3 s.
	Stop time.Duration
	// Connect is how long dialling may take, and then registering. Default 10 s.
	Connect time.Duration
	// Repeat is after how long a result that was not confirmed is sent again. Default 10 s.
	Repeat time.Duration
	// BackoffMin is the ceiling of the first wait before another try. Default 250 ms.
	BackoffMin time.Duration
	// BackoffMax is the ceiling of every wait. Default 30 s.
	BackoffMax time.Duration
	// BackoffReset is how long a link must have lived to begin again at BackoffMin. Default 5 s.
	BackoffReset time.Duration
}

// AgentOption changes how an agent runs.
type AgentOption func(*settings)

// WithURL says where the control plane listens: ws://, wss://, http:// or https://. Default PARLEY_URL, else
// ws://127.0.0.1:7700.
func WithURL(address string) AgentOption { return func(s *settings) { s.url = address } }

// WithKey is the key for the control plane; it is sent in a header only. Default PARLEY_KEY; loopback needs none.
func WithKey(key string) AgentOption { return func(s *settings) { s.key = key } }

// WithLogger says where the agent writes what it does. Default JSON lines on stderr from info.
func WithLogger(log *slog.Logger) AgentOption { return func(s *settings) { s.log = log } }

// WithLimits sets the bounds that are not zero.
func WithLimits(limits Limits) AgentOption { return func(s *settings) { s.limits = limits } }

// WithTimes sets the times that are not zero.
func WithTimes(times Times) AgentOption { return func(s *settings) { s.times = times } }

type settings struct {
	url, key string
	log      *slog.Logger
	limits   Limits
	times    Times
}

func settle(options []AgentOption) (*settings, error) {
	s := &settings{url: os.Getenv("PARLEY_URL"), key: os.Getenv("PARLEY_KEY")}
	for _, option := range options {
		option(s)
	}
	if s.url == "" {
		s.url = "ws://127.0.0.1:7700"
	}
	if s.log == nil {
		s.log = slog.New(slog.NewJSONHandler(os.Stderr, nil))
	}
	address, err := linkURL(s.url)
	if err != nil {
		return nil, err
	}
	s.url = address
	if err := s.limits.settle(); err != nil {
		return nil, err
	}
	return s, s.times.settle()
}

func (l *Limits) settle() error {
	return fill([]bounded[int]{
		{"Executions", &l.Executions, 128}, {"ExecutionsWaiting", &l.ExecutionsWaiting, 1024},
		{"Sessions", &l.Sessions, 256}, {"Turns", &l.Turns, 32}, {"Requests", &l.Requests, 1024},
		{"OutboxFrames", &l.OutboxFrames, 1024}, {"OutboxBytes", &l.OutboxBytes, 16 << 20},
		{"ResultBytes", &l.ResultBytes, 64 << 20},
	})
}

func (t *Times) settle() error {
	ms := func(name string) time.Duration { return time.Duration(contract.TimeMS(name)) * time.Millisecond }
	return fill([]bounded[time.Duration]{
		{"Cancel", &t.Cancel, 2 * time.Second}, {"Drain", &t.Drain, ms("drain_ms")}, {"Stop", &t.Stop, 3 * time.Second},
		{"Connect", &t.Connect, 10 * time.Second}, {"Repeat", &t.Repeat, 10 * time.Second},
		{"BackoffMin", &t.BackoffMin, ms("backoff_min_ms")}, {"BackoffMax", &t.BackoffMax, ms("backoff_max_ms")},
		{"BackoffReset", &t.BackoffReset, ms("backoff_reset_ms")},
	})
}

type bounded[T int | time.Duration] struct {
	name     string
	value    *T
	fallback T
}

func fill[T int | time.Duration](fields []bounded[T]) error {
	for _, field := range fields {
		if *field.value < 0 {
			return contract.NewError("invalid_argument", fmt.Sprintf("%s must not be negative, got %v", field.name, *field.value))
		}
		if *field.value == 0 {
			*field.value = field.fallback
		}
	}
	return nil
}

const linkPath = "/api/v1/agent-link"

// linkURL is the address of the agent link at a control plane; an address without a path means the usual one.
func linkURL(raw string) (string, error) {
	address, err := url.Parse(raw)
	scheme := ""
	if err == nil && address.Host != "" {
		scheme = map[string]string{"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}[address.Scheme]
	}
	if scheme == "" {
		// Only the scheme is shown: an address that is wrong may hold a secret.
		got := "something that is no URL"
		if err == nil && address.Scheme != "" {
			got = address.Scheme + ":"
		}
		return "", contract.NewError("invalid_argument", "url must start with ws://, wss://, http:// or https://, got "+got)
	}
	if address.User != nil {
		return "", contract.NewError("invalid_argument", "url must not hold a user or a password; give the key with WithKey")
	}
	address.Scheme = scheme
	if address.Path == "" || address.Path == "/" {
		address.Path = linkPath
	}
	return address.String(), nil
}
