package parley

import (
	"context"
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
