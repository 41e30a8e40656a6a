package fold

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// JSON with its keys in order. The output of a tool is told to the model as text, and that text has to be the same
// whatever language folds the log; a Go map would sort its keys.

// object is a JSON object whose keys keep their order, those that are array indices first, as everywhere where
// JavaScript has read the text.
type object struct {
	keys   []string
	values map[string]any
}

// parse reads one JSON value as *object, []any, string, float64, bool or nil.
func parse(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	value, err := parseValue(decoder)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return value, nil
}

func parseValue(decoder *json.Decoder) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for decoder.More() {
			value, err := parseValue(decoder)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err := decoder.Token()
		return list, err
	case json.Delim('{'):
		return parseObject(decoder)
	}
	if number, ok := token.(json.Number); ok {
		// The error is that of a number out of range, and the infinite result says so.
		value, _ := strconv.ParseFloat(string(number), 64)
		return value, nil
	}
	return token, nil
}

func parseObject(decoder *json.Decoder) (any, error) {
	read := &object{values: map[string]any{}}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		value, err := parseValue(decoder)
		if err != nil {
			return nil, err
		}
		if _, twice := read.values[name]; !twice {
			read.keys = append(read.keys, name)
		}
		read.values[name] = value
	}
	slices.SortStableFunc(read.keys, func(a, b string) int {
		i, j := arrayIndex(a), arrayIndex(b)
		switch {
		case i < j:
			return -1
		case i > j:
			return 1
		}
		return 0
	})
	_, err := decoder.Token()
	return read, err
}

// arrayIndex is the number of a key that is one, and more than any other for one that is not.
func arrayIndex(key string) uint64 {
	number, err := strconv.ParseUint(key, 10, 32)
	if err != nil || number == math.MaxUint32 || strconv.FormatUint(number, 10) != key {
		return math.MaxUint64
	}
	return number
}

// ordered reads what a map or a JSON text says.
func ordered(value any) (any, error) {
	text, err := encode(value)
	if err != nil {
		return nil, err
	}
	return parse(text)
}

// textOf is the JSON text of a value that was read from JSON, or of a part of the contract.
func textOf(value any) string {
	read, err := ordered(value)
	if err != nil {
		panic("parley: what was read from JSON is no JSON: " + err.Error())
	}
	return string(stringify(read))
}

// stringify is the shortest JSON text of what parse has read.
func stringify(value any) json.RawMessage { return appendJSON(nil, value) }

func appendJSON(text []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(text, "null"...)
	case bool:
		return strconv.AppendBool(text, v)
	case float64:
		return append(text, numberText(v)...)
	case string:
		return appendString(text, v)
	case []any:
		text = append(text, '[')
		for i, entry := range v {
			if i > 0 {
				text = append(text, ',')
			}
			text = appendJSON(text, entry)
		}
		return append(text, ']')
	case *object:
		text = append(text, '{')
		for i, key := range v.keys {
			if i > 0 {
				text = append(text, ',')
			}
			text = append(appendString(text, key), ':')
			text = appendJSON(text, v.values[key])
		}
		return append(text, '}')
	}
	panic("parley: not a JSON value")
}

// numberText prints a number as JavaScript does; encoding/json does the same but for -0.
func numberText(number float64) string {
	if math.IsInf(number, 0) {
		return "null"
	}
	if number == 0 {
		return "0"
	}
	text, err := json.Marshal(number)
	if err != nil {
		panic("parley: not a number of JSON: " + err.Error())
	}
	// 1e+21 in both; encoding/json shortens the exponent as JavaScript does.
	return string(text)
}

var escapes = strings.NewReplacer(`"`, `\"`, `\`, `\\`, "\b", `\b`, "\f", `\f`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

func appendString(text []byte, words string) []byte {
	text = append(text, '"')
	for _, char := range escapes.Replace(words) {
		if char < 0x20 {
			const hex = "0123456789abcdef"
			text = append(text, `\u00`...)
			text = append(text, hex[char>>4], hex[char&15])
		} else {
			text = append(text, string(char)...)
		}
	}
	return append(text, '"')
}
