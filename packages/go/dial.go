package parley

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
	"github.com/parley-dev/parley/packages/go/contract"
)

// dial opens a WebSocket to the control plane. The error names the host and never the headers: the key is there.
func dial(ctx context.Context, s *settings) (*websocket.Conn, error) {
	header := http.Header{}
	if s.key != "" {
		header.Set("Authorization", "Bearer "+s.key)
	}
	socket, response, err := websocket.Dial(ctx, s.url, &websocket.DialOptions{
		HTTPHeader: header, Subprotocols: []string{subprotocol}, HTTPClient: withoutRedirects,
	})
	if err == nil {
		socket.SetReadLimit(contract.Limit("frame_bytes_max"))
		return socket, nil
	}
	if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
		return nil, refusal(s.host(), response)
	}
	code := "unavailable"
	if ctx.Err() != nil {
		code = contract.ErrorOf(context.Cause(ctx), "unavailable").Code
	}
	unreachable := contract.NewError(code, fmt.Sprintf("%s could not be reached: %v", s.host(), err)).Because(err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	if certificate || noTLS || errors.Is(err, http.ErrSchemeMismatch) {
		// A certificate that is wrong now is wrong in a second, and so is a peer that does not speak TLS.
		return nil, unreachable.Fatal()
	}
	return nil, unreachable
}

// A redirect would carry the key to an address that nobody configured.
var withoutRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
	return http.ErrUseLastResponse
}}

var codeOfStatus = map[int]string{
	400: "invalid_argument", 401: "unauthenticated", 403: "permission_denied", 404: "not_found",
	408: "deadline_exceeded", 409: "aborted", 413: "resource_exhausted", 429: "resource_exhausted",
	501: "unimplemented", 504: "deadline_exceeded",
}

func refusal(host string, response *http.Response) *Error {
	code, ok := codeOfStatus[response.StatusCode]
	if !ok {
		code = "failed_precondition"
		if response.StatusCode >= 500 {
			code = "unavailable"
		}
	}
	refused := contract.NewError(code, fmt.Sprintf("%s answered the handshake with HTTP %d", host, response.StatusCode)).
		With("status", response.StatusCode)
	refused.RetryAfterMS = retryAfter(response.Header.Get("Retry-After"))
	return refused
}

// retryAfter reads the header in milliseconds: seconds or an HTTP date.
func retryAfter(header string) *float64 {
	if header == "" {
		return nil
	}
	ms := -1.0
	if seconds, err := strconv.ParseFloat(header, 64); err == nil {
		ms = seconds * 1000
	} else if at, err := http.ParseTime(header); err == nil {
		ms = float64(time.Until(at).Milliseconds())
	}
	if ms < 0 {
		return nil
	}
	return &ms
}
