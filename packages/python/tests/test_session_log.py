"""Folding: what the control plane says of a session and what its log says here are the same."""

from __future__ import annotations

import copy
import doctest
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from house import TEXT, House

import parley
from parley import Agent, ParleyClient, ParleyError, RealtimeSession, SessionState, append, fold, fold_workflow, step
from parley.json_text import canonical
from parley.session_log.tool_input import input_problem

CREATED: dict[str, Any] = {
    "type": "session.created",
    "session_id": "s",
    "workflow_id": "w",
    "execution_id": "root",
    "agent": "desk",
    "target": "desk.voice",
    "declaration": {"name": "voice", "provider": "simulator", "transport": "websocket"},
    "tools": [{"name": "find", "target": "desk.find", "kind": "skill", "input_schema": {"required": ["order"]}}],
    "metadata": {},
}
LIVE: list[dict[str, Any]] = [
    CREATED,
    {"type": "client.attached", "connection_id": "c1"},
    {"type": "provider.connected"},
    {"type": "say.requested", "say_id": "y1", "text": "It ships on Friday.", "by": "handler"},
    {"type": "response.started", "response_id": "r1", "cause": "say", "say_id": "y1"},
]


def logged(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The log that these events lead to."""
    state, log = SessionState(), []
    for i, event in enumerate(events):
        state, records, _ = append(state, event, 1000 + i)
        log.extend(records)
    return log


async def desk(house: House) -> None:
    app = Agent("ledger")

    @app.skill()
    async def find_order(order: str) -> dict[str, Any]:
        return {"order": order, "weight": 0.00001, "price": 500.0}

    @app.skill()
    async def broken() -> None:
        raise ParleyError("failed_precondition", "no kettle here")

    @app.session("voice", **TEXT, tools=["find_order", "broken"])
    async def voice(session: RealtimeSession) -> None:
        async for turn in session:
            if turn.text == "bye":
                return
            found = await session.call(find_order, order=turn.text)
            await session.say(f"Order {found['order']} ships on Friday.")

    await house.serve(app)


async def test_the_folded_log_of_a_real_session_says_what_the_server_says(house: House) -> None:
    await desk(house)
    session_id, client = await house.call("ledger.voice")
    await house.until(session_id, "handler.attached")
    async with ParleyClient(house.url) as control:
        await client.type("42")
        assert await client.answer() == "Order 42 ships on Friday."
        called = await control.sessions.tool(session_id, "find_order", {"order": "7"})
        assert called["status"] == "succeeded"
        assert (await control.sessions.tool(session_id, "broken"))["status"] == "failed"
        with pytest.raises(ParleyError, match="must have required property 'order'"):
            await control.sessions.tool(session_id, "find_order", {})
        await control.sessions.update(session_id, instructions="Be brief.", tools=["broken"])

        open_log = (await control.sessions.events(session_id))["events"]
        state, seen = fold(open_log), await control.sessions.get(session_id)
        assert state.phase == "live"
        assert state.seq == len(open_log) <= seen["last_seq"]
        assert (state.turns, state.tool_calls, state.calls) == (1, 3, {})
        assert state.enabled_tools == ["broken"]
        assert state.declaration is not None
        assert state.declaration["instructions"] == "Be brief."

        await client.type("bye")
        await house.until(session_id, "session.closed")
        log = (await control.sessions.events(session_id))["events"]
        state, seen = fold(log), await control.sessions.get(session_id)
        workflow = await control.sessions.workflow(session_id)
        executions = [await control.executions.get(node["execution_id"]) for node in workflow["nodes"]]

    assert state.phase == "closed"
    assert seen["status"] == "closed"
    assert (state.seq, state.turns, state.tool_calls) == (seen["last_seq"], seen["turns"], seen["tool_calls"])
    assert state.session_id == session_id
    assert state.closing is not None
    assert state.closing.reason == seen["close_reason"] == "handler_completed"
    assert (state.usage or None) == seen.get("usage")
    assert [tool for tool in state.tools if tool["name"] in state.enabled_tools] == seen["tools"]
    assert fold(log[len(open_log) :], fold(open_log)) == state
    # What the server appended by itself after each event is what it would append here, to the last word.
    assert consequences_of(log) == log
    assert fold_workflow(reversed(executions)) == workflow


def consequences_of(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The log as it is written here from the events that came from outside; those that others led to are left out."""
    state, written = SessionState(), []
    for record in log:
        if record["seq"] <= state.seq:
            continue
        event = {name: value for name, value in record.items() if name not in ("seq", "at_ms")}
        state, records, _ = append(state, event, record["at_ms"])
        written.extend(records)
    return written


def test_a_step_leaves_the_state_as_it_was() -> None:
    state = SessionState()
    for record in logged(LIVE):
        before = copy.deepcopy(state)
        after, _ = step(state, record)
        assert state == before
        state = after


def test_what_would_have_happened_is_asked_of_any_moment_of_a_log() -> None:
    moment = fold(logged(LIVE))
    assert moment.response is not None
    called = {"type": "tool.called", "call_id": "c", "name": "find", "execution_id": "e", "source": "model"}
    allowed = append(moment, {**called, "arguments": '{"order": 7}'}, 2000)
    assert [effect["kind"] for effect in allowed.effects] == ["execution.dispatch"]
    refused = append(moment, {**called, "arguments": "{}"}, 2000)
    assert [record["type"] for record in refused.records] == ["tool.called", "tool.rejected", "tool.answered"]
    assert "must have required property 'order'" in refused.records[1]["error"]["message"]
    assert fold([*logged(LIVE), *refused.records]) == refused.state


def test_a_state_is_json_and_the_same_after_a_trip_through_it() -> None:
    state = fold(logged(LIVE))
    shown = json.loads(json.dumps(state.to_json()))
    assert shown["response"] == {"response_id": "r1", "say_id": "y1", "started_at_ms": 1004, "interrupted_ms": None}
    assert fold(json.loads(json.dumps(logged(LIVE)))).to_json() == shown


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"seq": 5}, "data_loss", "expected entry 3 of the log, got entry 5"),
        ({"seq": None}, "invalid_argument", "entry 3 of the log has no seq: is it a record of a session's log?"),
        ({"at_ms": "now"}, "invalid_argument", "at_ms of entry 3 must be Unix milliseconds, got 'now'"),
        ({"type": 7}, "invalid_argument", "entry 3 of the log must be an object with a type, got object"),
        ({"type": "client.detached"}, "invalid_argument", "entry 3 of the log: "),
    ],
)
def test_a_log_that_is_not_one_is_refused_with_the_place(change: dict[str, Any], code: str, message: str) -> None:
    log = logged(LIVE)
    log[2] = {**log[2], **change}
    with pytest.raises(ParleyError) as caught:
        fold(log)
    assert caught.value.code == code
    assert caught.value.message.startswith(message)


def test_an_entry_that_is_no_object_is_refused() -> None:
    with pytest.raises(ParleyError, match=r"^entry 1 of the log must be an object with a type, got string$"):
        fold(["session.created"])  # type: ignore[list-item]


def test_arguments_that_are_too_deep_for_a_parser_are_refused_and_do_not_break_the_fold() -> None:
    called = {"type": "tool.called", "call_id": "c", "name": "find", "execution_id": "e", "source": "model"}
    records = append(fold(logged(LIVE)), {**called, "arguments": "[" * 500_000}, 2000).records
    assert records[1]["error"]["message"] == "the arguments of tool 'find' are not JSON"


@pytest.mark.parametrize(
    ("schema", "input", "problem"),
    [
        ({"type": "string"}, 1, "input must be string"),
        ({"type": ["string", "null"]}, 1, "input must be string,null"),
        ({"enum": ["a"]}, "b", "input must be equal to one of the allowed values"),
        ({"type": "integer", "minimum": 2.5}, 1, "input must be >= 2.5"),
        ({"multipleOf": 2.0}, 3, "input must be multiple of 2"),
        ({"minLength": 2}, "👋", "input must NOT have fewer than 2 characters"),
        ({"pattern": "^a"}, "b", 'input must match pattern "^a"'),
        ({"properties": {"a": {"items": {"type": "number"}}}}, {"a": [1, "x"]}, "a.1 must be number"),
        ({"additionalProperties": False}, {"a": 1}, "input must NOT have additional properties"),
        (
            {"additionalProperties": False, "properties": {"a": {"type": "null"}}},
            {"a": 1, "b": 1},
            "input must NOT have additional properties",
        ),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, "input must be string"),
        ({"oneOf": [{"type": "number"}, {"minimum": 0}]}, 1, "input must match exactly one schema in oneOf"),
        ({"not": {"type": "number"}}, 1, "input must NOT be valid"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "input must have property b when property a is present"),
        ({"uniqueItems": True}, [1, 2, 1], "input must NOT have duplicate items (items ## 0 and 2 are identical)"),
        ({"prefixItems": [{}], "items": False}, [1, 2], "input must NOT have more than 1 items"),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "number"}}}, "x", "input must be number"),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, {"a": "x"}, None),
        (None, object, None),
    ],
)
def test_a_tool_input_that_does_not_fit_is_told_in_the_words_of_the_control_plane(
    schema: dict[str, Any] | None, input: Any, problem: str | None
) -> None:
    assert input_problem(schema, input) == problem


@pytest.mark.parametrize("schema", [{"type": 7}, {"$ref": "http://127.0.0.1:9/elsewhere"}])
def test_a_schema_that_cannot_be_used_is_an_error_and_nothing_is_fetched(schema: dict[str, Any]) -> None:
    with pytest.raises(ParleyError, match="input_schema is not a valid JSON Schema"):
        input_problem(schema, 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (500.0, "500"),
        (-0.0, "0"),
        (0.00001, "0.00001"),
        (-1.5e-6, "-0.0000015"),
        (1e-7, "1e-7"),
        (1.25e-9, "1.25e-9"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.1, "0.1"),
        (True, "true"),
        (None, "null"),
        ("\ud83d", '"\\ud83d"'),
        ("👋\u2028\x7f\x00", '"👋\u2028\x7f\\u0000"'),
        ({"__proto__": [1.0, {}]}, '{"__proto__":[1,{}]}'),
    ],
)
def test_a_tool_output_is_written_as_the_control_plane_writes_it(value: Any, text: str) -> None:
    assert canonical(value) == text


def test_the_examples_in_the_documentation_hold() -> None:
    for name in ("parley.session_log.step", "parley.session_log.fold", "parley.workflow"):
        module = importlib.import_module(name)
        names = {"SessionState": SessionState, **vars(module)}
        assert doctest.testmod(module, extraglobs=names).failed == 0, name
        assert doctest.testmod(module, extraglobs=names).attempted > 0, name


def test_the_example_in_the_readme_folds_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(parley.__file__).parents[2] / "README.md").read_text()
    sample = next(part for part in readme.split("```python\n") if "fold(" in part).split("```")[0]
    log = tmp_path / "call.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in logged(LIVE)))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(sample, names)
    assert names["state"] == fold(logged(LIVE))
    assert names["wanted"]
