package fold

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/parley-dev/parley/packages/go/contract"
)

const started = `{"type":"session.created","session_id":"s","workflow_id":"w","execution_id":"root","agent":"support",
"target":"support.voice","declaration":{"name":"voice","provider":"simulator","transport":"websocket","limits":{}},
"tools":[{"name":"find","target":"support.find","kind":"skill","input_schema":{"type":"object",
"properties":{"z":{"type":"string"},"a":{"type":"string"}}}}],"metadata":{},"unknown":{"b":1,"a":2}}`

// live is the log of a session whose provider is there.
func live(t *testing.T, events ...string) Appended {
	t.Helper()
	all := Appended{State: Initial()}
	events = append([]string{started, `{"type":"client.attached","connection_id":"c"}`, `{"type":"provider.connected"}`}, events...)
	for i, event := range events {
		done, err := Append(all.State, json.RawMessage(strings.ReplaceAll(event, "\n", "")), float64(1000*(i+1)))
		if err != nil {
			t.Fatal(err)
		}
		all = Appended{done.State, append(all.Records, done.Records...), append(all.Effects, done.Effects...)}
	}
	return all
}

func text(t *testing.T, value any) string {
	t.Helper()
	written, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(written)
}

const called = `{"type":"tool.called","call_id":"c1","name":"find","arguments":"{\"z\":\"1\",\"a\":\"2\"}","execution_id":"e1","source":"model"}`

func TestAStepChangesNothingThatItWasGiven(t *testing.T) {
	log := live(t, called, called,
		`{"type":"say.requested","say_id":"s1","text":"one","by":"handler"}`,
		`{"type":"say.requested","say_id":"s2","text":"two","by":"handler"}`,
		`{"type":"tool.completed","call_id":"c1","name":"find","execution_id":"e1","status":"succeeded","output":1,"duration_ms":1}`,
		`{"type":"session.updated","tools":[],"by":"api"}`, `{"type":"session.closing","reason":"done","by":"api"}`)
	state := Initial()
	for _, record := range log.Records {
		before := text(t, state)
		next, _, err := Step(state, record)
		if err != nil {
			t.Fatal(err)
		}
		if after := text(t, state); after != before {
			t.Errorf("%s changed the state before it from %s to %s", record.Type, before, after)
		}
		state = next
	}
	if state.Phase != "closing" || state.Calls.Find("c1") != nil || len(state.Says) != 0 {
		t.Errorf("the state is %s", text(t, state))
	}
}

func TestTheModelIsToldAnOutputWithItsKeysInOrder(t *testing.T) {
	log := live(t, called,
		`{"type":"tool.completed","call_id":"c1","name":"find","execution_id":"e1","status":"succeeded","output":{"z":5.0e0,"a":{"y":-0,"b":"<\u2028>"},"2":1,"1":2},"duration_ms":1}`)
	want := `{"1":2,"2":1,"z":5,"a":{"y":0,"b":"<` + "\u2028" + `>"}}`
	var got []string
	for _, effect := range log.Effects {
		switch e := effect.(type) {
		case DispatchExecution:
			if string(e.Input) != `{"z":"1","a":"2"}` {
				t.Errorf("the input is %s", e.Input)
			}
		case SendCommand:
			if output, ok := e.Command.(contract.ToolOutputCommand); ok {
				got = append(got, output.Output)
			}
		}
	}
	if len(got) != 1 || got[0] != want {
		t.Errorf("the model is told %q, want %q", got, want)
	}
}

func TestASchemaIsHeldAgainstAnInputInItsOwnOrder(t *testing.T) {
	log := live(t, strings.ReplaceAll(called, `{\"z\":\"1\",\"a\":\"2\"}`, `{\"a\":1,\"z\":1}`))
	var rejected contract.ToolRejectedEvent
	for _, record := range log.Records {
		if record.Type == "tool.rejected" {
			if err := record.Decode(&rejected); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := "the arguments of tool 'find' do not fit its schema: z must be string"; rejected.Error.Message != want {
		t.Errorf("got %q, want %q", rejected.Error.Message, want)
	}
}

func TestAnEntryKeepsWhatThisVersionDoesNotKnow(t *testing.T) {
	log := live(t, `{"type":"moon.risen","phase":{"z":1,"a":2}}`)
	written := text(t, log.Records)
	read, err := ReadLog(strings.NewReader(`{"events":` + written + `}`))
	if err != nil {
		t.Fatal(err)
	}
	if text(t, read) != written || !strings.Contains(written, `"unknown":{"b":1,"a":2}`) {
		t.Errorf("read as %s", text(t, read))
	}
	state, err := Session(read)
	if err != nil || text(t, state) != text(t, log.State) {
		t.Errorf("folded to %s, %v", text(t, state), err)
	}
}

func TestALogWithAGapOrAnEntryThatIsNoneIsRefused(t *testing.T) {
	log := live(t)
	_, err := Session([]Record{log.Records[0], log.Records[2]})
	var failure *contract.Error
	if !errors.As(err, &failure) || failure.Code != "data_loss" || failure.Message != "entry 2 must follow 1, got 3" {
		t.Errorf("a gap: %v", err)
	}
	for line, want := range map[string]string{
		`{"type":"say.requested","seq":2,"at_ms":1}`: "line 2: entry 2 (say.requested): say_id is required",
		`{"type":"say.requested","seq":0,"at_ms":1}`: "line 2: seq must be a whole number of at least 1",
		`{"type":"x","seq":1}`:                       "line 2: at_ms must be a number",
		`{"seq":1,"at_ms":1}`:                        "line 2: type must be a string",
		`[1]`:                                        "line 2: an entry of a log must be a JSON object",
		`{"type":"client.attached","connection_id":1,"seq":1,"at_ms":1}`: "line 2: entry 1 (client.attached): connection_id must be a string, got number",
	} {
		_, err := ReadLog(strings.NewReader(text(t, log.Records[0]) + "\n" + line + "\n"))
		if !errors.As(err, &failure) || failure.Code != "invalid_argument" || failure.Message != want {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

func TestUsageIsSummedByItsNamesWhateverTheyAre(t *testing.T) {
	log := live(t,
		`{"type":"response.completed","response_id":"r1","status":"completed","text":"","audio_ms":0,"usage":{"input_tokens":2,"moon_tokens":1}}`,
		`{"type":"response.completed","response_id":"r2","status":"completed","text":"","audio_ms":0}`,
		`{"type":"response.completed","response_id":"r3","status":"completed","text":"","audio_ms":0,"usage":{"input_tokens":3,"seconds":1.5}}`)
	if got, want := text(t, log.State.Usage), `{"input_tokens":5,"moon_tokens":1,"seconds":1.5}`; got != want {
		t.Errorf("the usage is %s, want %s", got, want)
	}
}

func TestAStateIsTheSameAfterItWasWrittenAndRead(t *testing.T) {
	log := live(t, called, `{"type":"say.requested","say_id":"s1","text":"one","by":"handler"}`)
	var read State
	if err := json.Unmarshal([]byte(text(t, log.State)), &read); err != nil {
		t.Fatal(err)
	}
	if text(t, read) != text(t, log.State) || read.Calls.Find("c1") == nil {
		t.Errorf("read as %s", text(t, read))
	}
}
