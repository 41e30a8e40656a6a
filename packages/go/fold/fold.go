package fold

import (
	"encoding/json"
	"fmt"

	"github.com/parley-dev/parley/packages/go/contract"
)

// Appended is what came of an event: the state after it, the entries to append (the first is the event itself), and
// what to do once they are on disk. No effect is a [RecordEvent]: those were followed.
type Appended struct {
	State   State
	Records []Record
	Effects []Effect
}

// Append appends an event (a struct of package contract, or anything whose JSON is an event) and whatever follows from
// it to the session that state describes, at a time in Unix milliseconds. The error is invalid_argument for what is no
// event.
func Append(state State, event any, atMS float64) (Appended, error) {
	done := Appended{State: state}
	err := done.apply(event, atMS)
	return done, err
}

func (a *Appended) apply(event any, atMS float64) error {
	text, err := encode(event)
	if err != nil {
		return contract.NewError("invalid_argument", "an event must be JSON: "+err.Error()).Because(err)
	}
	record, err := entryOf(text, a.State.Seq+1, atMS)
	if err != nil {
		return err
	}
	state, effects, err := Step(a.State, record)
	if err != nil {
		return err
	}
	a.State = state
	a.Records = append(a.Records, record)
	for _, effect := range effects {
		if recorded, ok := effect.(RecordEvent); ok {
			if err := a.apply(recorded.Event, atMS); err != nil {
				return err
			}
		} else {
			a.Effects = append(a.Effects, effect)
		}
	}
	return nil
}

// Session is the state after a stored log. What follows from an entry stands in the log itself, so effects are not
// followed. The error is data_loss for a log with a gap or out of order, and invalid_argument for an entry that cannot
// be read.
func Session(records []Record) (State, error) { return From(Initial(), records) }

// From folds the entries that follow a state.
func From(state State, records []Record) (State, error) {
	for _, record := range records {
		if record.Seq != state.Seq+1 {
			return state, contract.NewError("data_loss",
				fmt.Sprintf("entry %d must follow %d, got %d", state.Seq+1, state.Seq, record.Seq)).
				With("expected", state.Seq+1).With("got", record.Seq)
		}
		next, _, err := Step(state, record)
		if err != nil {
			return state, err
		}
		state = next
	}
	return state, nil
}

func encode(value any) (json.RawMessage, error) {
	if raw, ok := value.(json.RawMessage); ok {
		return raw, nil
	}
	return json.Marshal(value)
}
