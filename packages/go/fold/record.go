// Package fold is what a session's log means: one pure function over its entries, in the words of every other language.
//
// A session is a numbered log of events, and its state is what [Step] makes of them, entry by entry. The function knows
// no clock, socket or random source: times and ids stand in the entries, and what has to be done comes back as effects.
// So a log that was exported is enough to know what was true of a session at any point of it, without a control plane.
package fold

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parley-dev/parley/packages/go/contract"
)

// recordBytesMax is the longest entry that is read; the payloads within one are far below it.
const recordBytesMax = 16 << 20

// Record is an entry of a log: an event with its number (from 1, without gaps) and its time. It keeps the JSON that it
// was read from, unknown fields and the order of keys included.
type Record struct {
	Seq int64
	// AtMS is the time in Unix milliseconds.
	AtMS float64
	Type string
	text json.RawMessage
}

// ParseRecord reads one entry. An entry of a type that this version does not know is kept as it is. The error is
// invalid_argument with details.path.
func ParseRecord(text []byte) (Record, error) {
	value, err := contract.Decode(text)
	if err != nil {
		return Record{}, contract.NewError("invalid_argument", "an entry of a log must be JSON: "+err.Error()).Because(err)
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return Record{}, contract.NewError("invalid_argument", "an entry of a log must be a JSON object")
	}
	seq, at := fields["seq"], fields["at_ms"]
	number, ok := seq.(float64)
	if !ok || number < 1 || number != float64(int64(number)) {
		return Record{}, invalid("seq", "seq must be a whole number of at least 1")
	}
	record := Record{Seq: int64(number), text: bytes.Clone(text)}
	if record.AtMS, ok = at.(float64); !ok {
		return Record{}, invalid("at_ms", "at_ms must be a number")
	}
	if record.Type, ok = fields["type"].(string); !ok {
		return Record{}, invalid("type", "type must be a string")
	}
	if problem := contract.Check("SessionEvent", fields); problem != nil && problem.Path != "type" {
		return Record{}, invalid(problem.Path, fmt.Sprintf("entry %d (%s): %s", record.Seq, record.Type, problem.Message))
	}
	return record, nil
}

func invalid(path, message string) error {
	return contract.NewError("invalid_argument", message).With("path", path)
}

// UnmarshalJSON implements json.Unmarshaler, so that []Record can be decoded.
func (r *Record) UnmarshalJSON(text []byte) (err error) {
	*r, err = ParseRecord(text)
	return err
}

// MarshalJSON implements json.Marshaler: the entry as it was read.
func (r Record) MarshalJSON() ([]byte, error) {
	if r.text == nil {
		return nil, errors.New("parley: an empty Record is no entry of a log")
	}
	return r.text, nil
}

// Decode reads the entry into a type of package contract, such as *contract.TurnCompletedEvent.
func (r Record) Decode(into any) error {
	if err := json.Unmarshal(r.text, into); err != nil {
		return contract.NewError("invalid_argument", fmt.Sprintf("entry %d (%s): %v", r.Seq, r.Type, err)).Because(err)
	}
	return nil
}

// ReadLog reads an exported log: JSON Lines, one entry a line, as `parley session tail --json` prints them, or the JSON
// of GET /api/v1/sessions/{id}/events. The error is invalid_argument and says which line.
func ReadLog(from io.Reader) ([]Record, error) {
	lines := bufio.NewReaderSize(from, 64<<10)
	var records []Record
	for number := 1; ; number++ {
		line, err := lines.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, contract.ErrorOf(err, "data_loss")
		}
		if len(line) > recordBytesMax {
			return nil, contract.NewError("resource_exhausted",
				fmt.Sprintf("line %d is longer than %d bytes", number, recordBytesMax)).Fatal()
		}
		if text := strings.TrimSpace(line); text != "" {
			more, failure := readLine([]byte(text))
			if failure != nil {
				problem := *contract.ErrorOf(failure, "invalid_argument")
				problem.Message = fmt.Sprintf("line %d: %s", number, problem.Message)
				return nil, &problem
			}
			records = append(records, more...)
		}
		if err != nil {
			return records, nil
		}
	}
}

func readLine(text []byte) ([]Record, error) {
	var page struct {
		Events []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(text, &page); err != nil || page.Events == nil {
		record, err := ParseRecord(text)
		return []Record{record}, err
	}
	records := make([]Record, 0, len(page.Events))
	for _, entry := range page.Events {
		record, err := ParseRecord(entry)
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, nil
}

// entryOf makes the entry of an event: its fields as they are, then seq and at_ms.
func entryOf(event json.RawMessage, seq int64, atMS float64) (Record, error) {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(event, &head); err != nil {
		return Record{}, contract.NewError("invalid_argument", "an event must be a JSON object: "+err.Error()).Because(err)
	}
	body := bytes.TrimSpace(event)
	if len(body) < 2 || head.Type == "" {
		return Record{}, invalid("type", "an event must be a JSON object with a type")
	}
	at, err := json.Marshal(atMS)
	if err != nil {
		return Record{}, invalid("at_ms", "at_ms must be a finite number")
	}
	text := fmt.Appendf(bytes.Clone(body[:len(body)-1]), `,"seq":%d,"at_ms":%s}`, seq, at)
	return Record{Seq: seq, AtMS: atMS, Type: head.Type, text: text}, nil
}
