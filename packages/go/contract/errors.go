package contract

import (
	"context"
	"errors"
)

// Error is the one error of Parley; errors.As finds it. Code is one of the sixteen of gRPC.
//
//	var failure *parley.Error
//	if errors.As(err, &failure) && failure.Code == "not_found" { … }
type Error struct {
	Code      string
	Message   string
	Retryable bool
	// RetryAfterMS is how many milliseconds to wait before another try; nil when nobody said.
	RetryAfterMS *float64
	Details      map[string]any
	RequestID    string
	cause        error
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap gives what caused it, or nil.
func (e *Error) Unwrap() error { return e.cause }

// NewError makes an error of a code; whether it is retryable comes from the table. A code that is none is unknown.
func NewError(code, message string) *Error {
	row, ok := loaded().Catalog.ErrorCodes[code]
	if !ok {
		code = "unknown"
	}
	return &Error{Code: code, Message: message, Retryable: row.Retryable}
}

// With returns the error with one more detail.
func (e *Error) With(name string, value any) *Error {
	more := *e
	more.Details = map[string]any{name: value}
	for key, detail := range e.Details {
		if key != name {
			more.Details[key] = detail
		}
	}
	return &more
}

// Fatal returns the error as one that trying again cannot help.
func (e *Error) Fatal() *Error {
	more := *e
	more.Retryable = false
	return &more
}

// Because returns the error with its cause, for errors.Is and errors.As.
func (e *Error) Because(cause error) *Error {
	more := *e
	more.cause = cause
	return &more
}

// HTTPStatus is the HTTP status of the error's code.
func (e *Error) HTTPStatus() int { return HTTPStatus(e.Code) }

// CloseCode is the WebSocket close code of the error: 4000 + n when retryable, 4500 + n when not.
func (e *Error) CloseCode() int { return CloseCode(e.Code, e.Retryable) }

// Object is the error as it stands in frames, in the log and in the bodies of answers.
func (e *Error) Object() *ErrorObject {
	object := &ErrorObject{
		Code: e.Code, Message: e.Message, Retryable: e.Retryable, RetryAfterMS: e.RetryAfterMS, Details: e.Details,
	}
	if e.RequestID != "" {
		object.RequestID = &e.RequestID
	}
	return object
}

// OfObject is the error that a checked frame carries.
func OfObject(object ErrorObject) *Error {
	e := &Error{
		Code: object.Code, Message: object.Message, Retryable: object.Retryable,
		RetryAfterMS: object.RetryAfterMS, Details: object.Details,
	}
	if object.RequestID != nil {
		e.RequestID = *object.RequestID
	}
	return e
}

// ReadError reads what came over a wire: a body or a bare error object, forgivingly. Fields of a wrong type are
// dropped; what has no known code and no text is unknown.
func ReadError(value any) *Error {
	if text, ok := value.(string); ok {
		return NewError("unknown", text)
	}
	inner := value
	if object, ok := value.(map[string]any); ok {
		if nested, ok := object["error"]; ok {
			inner = nested
		}
	}
	fields, _ := inner.(map[string]any)
	code, _ := fields["code"].(string)
	message, hasMessage := fields["message"].(string)
	if _, known := loaded().Catalog.ErrorCodes[code]; !known || !hasMessage {
		return NewError("unknown", "unknown error")
	}
	e := NewError(code, message)
	if retryable, ok := fields["retryable"].(bool); ok {
		e.Retryable = retryable
	}
	if wait, ok := fields["retry_after_ms"].(float64); ok && wait >= 0 {
		e.RetryAfterMS = &wait
	}
	e.Details, _ = fields["details"].(map[string]any)
	e.RequestID, _ = fields["request_id"].(string)
	return e
}

// ErrorOf makes an *Error of any error: one that is or wraps an *Error is that, the ends of a context are cancelled
// and deadline_exceeded, and the rest has the fallback code. Nil stays nil.
func ErrorOf(err error, fallback string) *Error {
	if err == nil {
		return nil
	}
	if found, ok := errors.AsType[*Error](err); ok {
		return found
	}
	code := fallback
	if errors.Is(err, context.Canceled) {
		code = "cancelled"
	} else if errors.Is(err, context.DeadlineExceeded) {
		code = "deadline_exceeded"
	}
	return NewError(code, err.Error()).Because(err)
}

// IsCode says whether a text is one of the sixteen codes.
func IsCode(code string) bool {
	_, ok := loaded().Catalog.ErrorCodes[code]
	return ok
}

// HTTPStatus is the HTTP status of a code, as in Connect.
func HTTPStatus(code string) int { return loaded().Catalog.ErrorCodes[code].HTTP }

// DefaultRetryable says whether trying again can help, when a case does not say otherwise.
func DefaultRetryable(code string) bool { return loaded().Catalog.ErrorCodes[code].Retryable }

// CloseCode is the WebSocket close code of a code.
func CloseCode(code string, retryable bool) int {
	base := 4500
	if retryable {
		base = 4000
	}
	return base + loaded().Catalog.ErrorCodes[code].Number
}

// OfCloseCode is what a close code says; ok is false when it is none of Parley's.
func OfCloseCode(closeCode int) (code string, retryable, ok bool) {
	for code, row := range loaded().Catalog.ErrorCodes {
		if closeCode == 4000+row.Number {
			return code, true, true
		}
		if closeCode == 4500+row.Number {
			return code, false, true
		}
	}
	return "", false, false
}
