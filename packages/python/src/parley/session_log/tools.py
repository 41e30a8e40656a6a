"""Tool calls of the live model: judged here, run elsewhere, answered once (P1, P2)."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from parley.contract import LIMITS, TIMES
from parley.contract.types import ErrorCode, ErrorObject, ResolvedTool, ToolOutputCommand
from parley.errors import ERROR_CODES
from parley.json_text import canonical, loads

from .effects import Effect, Record, record
from .responses import flush
from .state import RunningCall, SessionState
from .tool_input import input_problem


class _Admitted(NamedTuple):
    target: str
    input: Any
    on_interrupt: Literal["finish", "cancel"]


class _Refused(NamedTuple):
    error: ErrorObject


def called(state: SessionState, entry: Record) -> list[Effect]:
    call_id, name = entry["call_id"], entry["name"]
    if call_id in state.calls or call_id in state.answered:
        return []
    state.tool_calls += 1
    verdict = _judge(state, entry)
    # The call is remembered before it is judged in the log, so that a repeat of it is known, and who is to be answered.
    state.calls = {
        **state.calls,
        call_id: RunningCall(
            name,
            entry["execution_id"],
            entry["source"],
            entry.get("response_id"),
            "finish" if isinstance(verdict, _Refused) else verdict.on_interrupt,
            entry["at_ms"],
        ),
    }
    if isinstance(verdict, _Refused):
        return [record("tool.rejected", call_id=call_id, name=name, error=verdict.error)]
    return [
        record(
            "tool.dispatched",
            call_id=call_id,
            name=name,
            target=verdict.target,
            execution_id=entry["execution_id"],
            input=verdict.input,
        )
    ]


def _judge(state: SessionState, entry: Record) -> _Admitted | _Refused:
    name, arguments = entry["name"], entry["arguments"]
    if state.phase == "closing":
        return _refusal("aborted", "the session is ending")
    tool = _tool_of(state, name, entry.get("response_id"))
    if tool is None:
        before = _begun_with(state, entry.get("response_id"))
        names = state.enabled_tools if before is None else [one["name"] for one in before]
        allowed = ", ".join(names) or "none"
        words = f"tool '{name}' is not in this session's allowlist. Allowed tools: {allowed}."
        return _refusal("permission_denied", words)
    limit = int(state.limits.get("max_tool_calls_in_flight", LIMITS["tool_calls_in_flight"]))
    if len(state.calls) >= limit:
        refused = _refusal("resource_exhausted", f"the session is at its limit of {limit} tool calls in flight")
        refused.error["details"] = {"limit": limit, "current": len(state.calls)}
        return refused
    bytes_max = LIMITS["payload_bytes_max"]
    if len(arguments.encode(errors="surrogatepass")) > bytes_max:
        return _refusal("resource_exhausted", f"tool arguments may have at most {bytes_max} bytes")
    try:
        # Models send nothing at all for a tool without parameters.
        input = loads(arguments) if arguments.strip("\t\n\r ") else {}
    except (ValueError, RecursionError):
        # Not in the words of the parser: a fold in another language has to say the same.
        return _refusal("invalid_argument", f"the arguments of tool '{name}' are not JSON")
    problem = input_problem(tool.get("input_schema"), input)
    if problem is not None:
        words = f"the arguments of tool '{name}' do not fit its schema: {problem}"
        return _refusal("invalid_argument", words)
    return _Admitted(tool["target"], input, tool.get("on_interrupt", "finish"))


def _begun_with(state: SessionState, response_id: str | None) -> list[ResolvedTool] | None:
    """The tools of an answer that began before others took their place."""
    response = state.response
    return response.tools if response is not None and response.response_id == response_id else None


def _tool_of(state: SessionState, name: str, response_id: str | None) -> ResolvedTool | None:
    """What the model may call under this name; in an answer that keeps the tools of before, what it was then."""
    before = _begun_with(state, response_id)
    if before is None:
        before = state.tools if name in state.enabled_tools else []
    return next((one for one in before if one["name"] == name), None)


def _refusal(code: ErrorCode, message: str) -> _Refused:
    return _Refused({"code": code, "message": message, "retryable": ERROR_CODES[code]["retryable"]})


def dispatched(state: SessionState, entry: Record) -> list[Effect]:
    call = state.calls.get(entry["call_id"])
    tool = _tool_of(state, entry["name"], None if call is None else call.response_id)
    if tool is None:
        tool = next((one for one in state.tools if one["name"] == entry["name"]), None)
    timeout_ms = None if tool is None else tool.get("timeout_ms")
    return [
        {
            "kind": "execution.dispatch",
            "call_id": entry["call_id"],
            "execution_id": entry["execution_id"],
            "target": entry["target"],
            "input": entry["input"],
            "timeout_ms": TIMES["execution_timeout_ms"] if timeout_ms is None else timeout_ms,
        }
    ]


def rejected(state: SessionState, entry: Record) -> list[Effect]:
    return _ended(state, entry["call_id"], {"error": entry["error"]})


def completed(state: SessionState, entry: Record) -> list[Effect]:
    respond = entry.get("respond") is not False
    if entry["status"] == "succeeded":
        return _ended(state, entry["call_id"], entry.get("output"), respond)
    unknown = {"code": "unknown", "message": f"the call ended as {entry['status']}", "retryable": False}
    return _ended(state, entry["call_id"], {"error": entry.get("error") or unknown}, respond)


def _ended(state: SessionState, call_id: str, output: Any, respond: bool = True) -> list[Effect]:
    """The call ends, once: a second end of it, or of one that never was, finds nothing (P1)."""
    call = state.calls.get(call_id)
    if call is None:
        return []
    state.calls = {key: one for key, one in state.calls.items() if key != call_id}
    state.answered = [*state.answered, call_id][-LIMITS["answered_calls_max"] :]
    if call.source != "model":
        return flush(state)
    if state.phase not in ("live", "starting"):
        return []
    if respond:
        state.respond_wanted = True
    command: ToolOutputCommand = {"type": "tool_output", "call_id": call_id, "output": canonical(output)}
    if state.phase == "starting":
        # One connection is gone and the next is not there: it is told then. There are no more of these than calls.
        state.waiting_commands = [*state.waiting_commands, command]
        return []
    return [{"kind": "provider.send", "command": command}, record("tool.answered", call_id=call_id), *flush(state)]
