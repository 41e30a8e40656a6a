package parley

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parley-dev/parley/packages/go/contract"
)

// exchange is one HTTP request to the control plane.
type exchange struct {
	method, path string
	query        url.Values
	body         any
	header       map[string]string
	// repeatable: sending it twice changes nothing.
	repeatable bool
	timeout    time.Duration
}

const backoffMin = 250 * time.Millisecond

// do sends a request, again where that is safe and can help, and decodes the JSON answer into out unless it is nil.
func (c *Client) do(ctx context.Context, call exchange, out any) error {
	repeatable := call.repeatable || call.method == http.MethodGet || call.header["Idempotency-Key"] != ""
	for attempt := 0; ; attempt++ {
		err := c.once(ctx, call, out)
		if err == nil {
			return nil
		}
		failure := contract.ErrorOf(err, "unavailable")
		wait := backoffMin << attempt
		if failure.RetryAfterMS != nil {
			wait = max(wait, time.Duration(*failure.RetryAfterMS*float64(time.Millisecond)))
		}
		if !repeatable || !failure.Retryable || attempt >= c.options.Retries || wait > c.options.RetryAfterMax {
			return failure
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

func (c *Client) once(ctx context.Context, call exchange, out any) error {
	timeout := call.timeout
	if timeout == 0 {
		timeout = c.options.Timeout
	}
	late := contract.NewError("deadline_exceeded",
		fmt.Sprintf("%s %s had no answer within %d ms", call.method, call.path, timeout.Milliseconds()))
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, late)
	defer cancel()
	response, err := c.send(ctx, call)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := c.read(ctx, call, response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return problemOf(call, response, text)
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return contract.NewError("internal",
			fmt.Sprintf("%s %s must answer with JSON, got %s", call.method, call.path, excerpt(text))).Because(err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, call exchange) (*http.Response, error) {
	var body io.Reader
	if call.body != nil {
		text, err := encode(call.body)
		if err != nil {
			return nil, contract.NewError("invalid_argument", "the request is not JSON: "+err.Error()).Because(err)
		}
		body = bytes.NewReader(text)
	}
	address := c.base + call.path
	if query := call.query.Encode(); query != "" {
		address += "?" + query
	}
	request, err := http.NewRequestWithContext(ctx, call.method, address, body)
	if err != nil {
		return nil, contract.NewError("invalid_argument", err.Error()).Because(err)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "parley-go/"+Version)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.options.Key != "" {
		request.Header.Set("Authorization", "Bearer "+c.options.Key)
	}
	for name, value := range call.header {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	response, err := c.options.HTTPClient.Do(request)
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	return response, nil
}

func (c *Client) read(ctx context.Context, call exchange, body io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(body, c.options.AnswerBytesMax+1))
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	if int64(len(text)) > c.options.AnswerBytesMax {
		return nil, contract.NewError("resource_exhausted", fmt.Sprintf("the answer to %s %s is longer than %d bytes",
			call.method, call.path, c.options.AnswerBytesMax)).Fatal()
	}
	return text, nil
}

// broken is why there was no answer: the end of ctx, or the network.
func (c *Client) broken(ctx context.Context, err error) *Error {
	if ctx.Err() != nil {
		return contract.ErrorOf(context.Cause(ctx), "cancelled")
	}
	// What net/http says begins with the address, which the message has already.
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	return contract.NewError("unavailable", fmt.Sprintf("no answer from %s: %v", c.base, err)).Because(err)
}

func problemOf(call exchange, response *http.Response, text []byte) *Error {
	requestID := response.Header.Get("X-Request-Id")
	if body, err := contract.Decode(text); err == nil {
		fields, _ := body.(map[string]any)
		inner, _ := fields["error"].(map[string]any)
		// Other services answer errors of this shape too, with codes of their own.
		if code, _ := inner["code"].(string); contract.IsCode(code) {
			failure := contract.ReadError(body)
			if failure.RequestID == "" {
				failure.RequestID = requestID
			}
			return failure
		}
	}
	failure := contract.NewError(codeOf(response.StatusCode), fmt.Sprintf(
		"%s %s answered %d without a Parley error body: %s", call.method, call.path, response.StatusCode, excerpt(text)))
	failure.RequestID = requestID
	failure.RetryAfterMS = retryAfter(response.Header.Get("Retry-After"))
	return failure
}

func codeOf(status int) string {
	switch {
	case status == 502 || status == 503:
		return "unavailable"
	case status == 400 || status == 408 || status == 413:
		return "invalid_argument"
	case codeOfStatus[status] != "":
		return codeOfStatus[status]
	case status >= 500:
		return "internal"
	case status >= 400:
		return "invalid_argument"
	default:
		return "unknown"
	}
}

func excerpt(text []byte) string {
	line := strings.Join(strings.Fields(string(text)), " ")
	if line == "" {
		return "an empty body"
	}
	if runes := []rune(line); len(runes) > 120 {
		return string(runes[:120]) + "…"
	}
	return line
}

func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return contract.ErrorOf(context.Cause(ctx), "cancelled")
	}
}

// query is a query string of the values that are not empty.
func query(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	return values
}

// positive is a number for a query; what is not positive is left out.
func positive(number int64) string {
	if number <= 0 {
		return ""
	}
	return strconv.FormatInt(number, 10)
}
