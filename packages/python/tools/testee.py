"""The testee for Python: one request a line on stdin, one answer a line on stdout. See schemas/README.md."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from parley.check import checked
from parley.declaration import (
    check_pair,
    normalise_name,
    parse_declaration,
    parse_function,
    parse_target,
    resolve_tools,
)
from parley.errors import ERROR_CODES, ParleyError, close_code_of, error_code_of_close
from parley.ids import is_id
from parley.session_log import SessionState, append, fold
from parley.workflow import fold_workflow


def declaration_field(given: dict[str, Any]) -> Any:
    parsed: dict[str, Any] = {**parse_declaration(given["declaration"])}
    field = given["field"]
    return {"present": True, "value": parsed[field]} if field in parsed else {"present": False}


def of_close(code: int) -> Any:
    meaning = error_code_of_close(code)
    return None if meaning is None else {"code": meaning[0], "retryable": meaning[1]}


def resolve(given: dict[str, Any]) -> Any:
    offered = {(one["agent"], one["name"]): one for one in given["functions"]}
    return resolve_tools(given["agent"], given["tools"], lambda agent, name: offered.get((agent, name)))


def contract_check(given: dict[str, Any]) -> None:
    checked(given["name"], given["value"])


def fold_session(given: list[dict[str, Any]]) -> Any:
    state = SessionState()
    lines: list[dict[str, Any]] = []
    for one in given:
        state, records, effects = append(state, one["event"], one["at_ms"])
        lines.append({"records": records, "effects": effects})
    log = json.loads(json.dumps([record for line in lines for record in line["records"]]))
    return {"lines": lines, "state": state.to_json(), "replayed": fold(log) == state}


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "declaration.parse": parse_declaration,
    "declaration.field": declaration_field,
    "function.parse": parse_function,
    "pair.check": lambda i: dict(
        zip(("provider", "transport"), check_pair(i.get("provider"), i.get("transport")), strict=True)
    ),
    "name.normalise": normalise_name,
    "target.parse": lambda i: dict(zip(("agent", "name"), parse_target(i), strict=True)),
    "contract.check": contract_check,
    "error.read": lambda i: ParleyError.of(i).to_object(),
    "error.close_code": lambda i: close_code_of(i["code"], i.get("retryable")),
    "error.of_close": of_close,
    "error.http": lambda i: ERROR_CODES[i]["http"],
    "id.is": lambda i: is_id(i["kind"], i["value"]),
    "tools.resolve": resolve,
    "workflow.fold": fold_workflow,
    "session.fold": fold_session,
}


def answer(op: str, given: Any) -> dict[str, Any]:
    operation = OPERATIONS.get(op)
    if operation is None:
        return {"error": {"code": "unimplemented", "message": f"no operation '{op}'"}}
    try:
        return {"value": operation(given)}
    except ParleyError as error:
        path = (error.details or {}).get("path")
        return {"error": {"code": error.code, "message": error.message, **({} if path is None else {"path": path})}}


for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"id": request["id"], **answer(request["op"], request["input"])}), flush=True)
