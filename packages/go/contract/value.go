package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Int is an integer of the contract. It reads 500.0 and 5e2 as 500, which encoding/json refuses for int64.
type Int int64

// UnmarshalJSON implements json.Unmarshaler.
func (i *Int) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	if whole, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		*i = Int(whole)
		return nil
	}
	number, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return fmt.Errorf("must be an integer: %w", err)
	}
	whole := Int(number)
	if float64(whole) != number {
		return errors.New("must be an integer")
	}
	*i = whole
	return nil
}

// Decode reads one JSON value as map[string]any, []any, string, float64, bool or nil. Numbers that a float64 cannot
// hold become infinite, and are then refused by the check; encoding/json by itself refuses them with words of its own.
func Decode(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return plain(value), nil
}

func plain(value any) any {
	switch v := value.(type) {
	case json.Number:
		// The error is that of a number out of range, and the infinite result says so.
		number, _ := strconv.ParseFloat(string(v), 64)
		return number
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = plain(v[key])
		}
	}
	return value
}
