// The testee for Go: one request a line on stdin, one answer a line on stdout. schemas/README.md has the operations.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	parley "github.com/parley-dev/parley/packages/go"
	"github.com/parley-dev/parley/packages/go/contract"
	"github.com/parley-dev/parley/packages/go/fold"
)

const lineBytesMax = 16 << 20

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, lineBytesMax)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		request, err := contract.Decode(lines.Bytes())
		if err != nil {
			fail(err)
		}
		fields, _ := request.(map[string]any)
		op, _ := fields["op"].(string)
		answer := map[string]any{"id": fields["id"]}
		if value, err := answerTo(op, fields["input"], lines.Bytes()); err != nil {
			failure := contract.ErrorOf(err, "internal")
			told := map[string]any{"code": failure.Code, "message": failure.Message}
			if path, ok := failure.Details["path"]; ok {
				told["path"] = path
			}
			answer["error"] = told
		} else {
			answer["value"] = value
		}
		if err := out.Encode(answer); err != nil {
			fail(err)
		}
	}
	if err := lines.Err(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// answerTo runs an operation. The folds read JSON text, in which keys have an order.
func answerTo(op string, input any, request []byte) (any, error) {
	switch op {
	case "session.fold":
		return foldSession(request)
	case "workflow.fold":
		return foldWorkflow(request)
	}
	return run(op, input)
}

func foldSession(request []byte) (any, error) {
	var asked struct {
		Input []struct {
			AtMS  float64         `json:"at_ms"`
			Event json.RawMessage `json:"event"`
		} `json:"input"`
	}
	if err := json.Unmarshal(request, &asked); err != nil {
		return nil, err
	}
	state, log := parley.InitialSession(), []parley.Record{}
	lines := []map[string]any{}
	for _, line := range asked.Input {
		done, err := fold.Append(state, line.Event, line.AtMS)
		if err != nil {
			return nil, err
		}
		state, log = done.State, append(log, done.Records...)
		lines = append(lines, map[string]any{"records": done.Records, "effects": append([]parley.Effect{}, done.Effects...)})
	}
	replayed, err := replay(log)
	if err != nil {
		return nil, err
	}
	now, err := json.Marshal(state)
	return map[string]any{"lines": lines, "state": state, "replayed": string(now) == replayed}, err
}

// replay is the state after a log that was written and read again, as JSON.
func replay(log []parley.Record) (string, error) {
	text, err := json.Marshal(map[string]any{"events": log})
	if err != nil {
		return "", err
	}
	stored, err := parley.ReadLog(bytes.NewReader(text))
	if err != nil {
		return "", err
	}
	state, err := parley.FoldSession(stored)
	if err != nil {
		return "", err
	}
	text, err = json.Marshal(state)
	return string(text), err
}

func foldWorkflow(request []byte) (any, error) {
	var asked struct {
		Input []contract.ExecutionResource `json:"input"`
	}
	if err := json.Unmarshal(request, &asked); err != nil {
		return nil, err
	}
	return parley.FoldWorkflow(asked.Input), nil
}

func run(op string, input any) (any, error) {
	fields, _ := input.(map[string]any)
	text := func(name string) string { value, _ := fields[name].(string); return value }
	whole, _ := input.(string)
	switch op {
	case "declaration.parse":
		return contract.ParseDeclaration(input)
	case "declaration.field":
		parsed, err := contract.ParseDeclaration(fields["declaration"])
		if err != nil {
			return nil, err
		}
		if value, ok := parsed[text("field")]; ok {
			return map[string]any{"present": true, "value": value}, nil
		}
		return map[string]any{"present": false}, nil
	case "function.parse":
		return contract.ParseFunction(input)
	case "pair.check":
		provider, transport, err := contract.CheckPair(fields["provider"], fields["transport"])
		return map[string]any{"provider": provider, "transport": transport}, err
	case "name.normalise":
		return contract.NormaliseName(whole), nil
	case "target.parse":
		agent, name, err := contract.ParseTarget(whole)
		return map[string]any{"agent": agent, "name": name}, err
	case "contract.check":
		return nil, contract.Checked(text("name"), fields["value"])
	case "error.read":
		return contract.ReadError(input).Object(), nil
	case "error.close_code":
		retryable, given := fields["retryable"].(bool)
		return contract.CloseCode(text("code"), retryable || !given && contract.DefaultRetryable(text("code"))), nil
	case "error.of_close":
		number, _ := input.(float64)
		if code, retryable, ok := contract.OfCloseCode(int(number)); ok {
			return map[string]any{"code": code, "retryable": retryable}, nil
		}
		return nil, nil
	case "error.http":
		return contract.HTTPStatus(whole), nil
	case "id.is":
		value, ok := fields["value"].(string)
		return ok && contract.IsID(text("kind"), value), nil
	case "tools.resolve":
		return resolveTools(text("agent"), fields)
	default:
		return nil, contract.NewError("unimplemented", fmt.Sprintf("no operation '%s'", op))
	}
}

func resolveTools(agent string, fields map[string]any) (any, error) {
	var tools []string
	for _, tool := range fields["tools"].([]any) {
		tools = append(tools, tool.(string))
	}
	return contract.ResolveTools(agent, tools, func(owner, name string) map[string]any {
		for _, one := range fields["functions"].([]any) {
			function := one.(map[string]any)
			if function["agent"] == owner && function["name"] == name {
				return function
			}
		}
		return nil
	})
}
