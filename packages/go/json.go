package parley

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/parley-dev/parley/packages/go/contract"
)

// encode is JSON text without the escapes that only matter inside of HTML.
func encode(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

// frameText is the text of a frame that this package made of values that were checked to be JSON.
func frameText(frame any) []byte {
	text, err := encode(frame)
	if err != nil {
		panic(fmt.Sprintf("parley: a frame is not JSON: %v", err))
	}
	return text
}

// payloadText is the JSON text of an input or an output. What is not JSON has the code; past payload_bytes_max it is
// resource_exhausted.
func payloadText(value any, what, code string) (json.RawMessage, error) {
	text, err := encode(value)
	if err != nil {
		return nil, contract.NewError(code, fmt.Sprintf("%s is not JSON: %v", what, err)).Because(err)
	}
	if limit := contract.Limit("payload_bytes_max"); int64(len(text)) > limit {
		return nil, contract.NewError("resource_exhausted",
			fmt.Sprintf("%s is %d bytes as JSON; the limit is %d", what, len(text), limit)).
			Fatal().With("limit", limit).With("current", len(text))
	}
	return text, nil
}

// decodeLoosely reads JSON text into a Go value. Where Go wants an integer, 500.0 is one.
func decodeLoosely(text []byte, into any) error {
	first := json.Unmarshal(text, into)
	if first == nil {
		return nil
	}
	value, err := contract.Decode(text)
	if err != nil {
		return first
	}
	plain, err := encode(value)
	if err != nil {
		return first
	}
	return json.Unmarshal(plain, into)
}
