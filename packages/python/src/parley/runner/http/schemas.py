"""The bodies, queries and answers, as JSON Schema: they check, and they are the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parley.errors import ParleyError
from parley.session_log.tool_input import input_problem

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_STATUS: Schema = {"enum": ["queued", "starting", "active", "closing", "ended", "failed"]}
OBJECT: Schema = {"type": "object"}

START_BODY: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "call_id": {"type": "string", "minLength": 1, "maxLength": 128, "description": "Default: a new one."},
        "call_type": {"type": "string", "maxLength": 64, "description": "Default: default."},
        "input": {"description": "For the agent; checked against its input schema."},
        "metadata": {"type": "object"},
        "queue": {"type": "boolean", "description": "Wait for a place where a limit is met, and answer 202."},
    },
}
START_QUERY: Schema = {
    "type": "object",
    "properties": {
        "wait": {"enum": ["active"], "description": "Answer once the agent is in its call."},
        "timeout_ms": {"type": "string", "pattern": "^[0-9]{1,9}$", "description": "How long to wait."},
    },
}
LIST_QUERY: Schema = {
    "type": "object",
    "properties": {
        "call_id": _TEXT,
        "status": _STATUS,
        "limit": {"type": "string", "pattern": "^[0-9]{1,4}$", "description": "Default 100, at most 1,000."},
        "after": {"type": "string", "description": "The last session_id of the page before."},
    },
}
ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "retryable"],
            "properties": {
                "code": _TEXT,
                "message": _TEXT,
                "retryable": {"type": "boolean"},
                "retry_after_ms": {"type": "number"},
                "details": OBJECT,
                "request_id": _TEXT,
            },
        },
    },
}
SESSION: Schema = {
    "type": "object",
    "required": ["session_id", "call_id", "call_type", "status", "started_at", "metadata"],
    "properties": {
        "session_id": _TEXT,
        "call_id": _TEXT,
        "call_type": _TEXT,
        "status": _STATUS,
        "started_at": _TIME,
        "active_at": _TIME,
        "ended_at": _TIME,
        "place": {"type": "integer", "minimum": 1},
        "reason": _TEXT,
        "error": ERROR["properties"]["error"],
        "owner": _TEXT,
        "metadata": OBJECT,
        "client_token": _TEXT,
        "realtime_path": _TEXT,
    },
}
LIST: Schema = {"type": "object", "properties": {"sessions": {"type": "array", "items": SESSION}}}


def fitted(schema: Schema, value: Any, what: str) -> Any:
    """The value. Raises ParleyError ``invalid_argument`` naming the field."""
    problem = input_problem(schema, value)
    if problem is None:
        return value
    if problem.endswith("must NOT have additional properties") and isinstance(value, Mapping):
        unknown = next(name for name in value if name not in schema["properties"])
        words, path = f"has an unknown field '{unknown[:64]}'", unknown[:64]
    else:
        path, _, words = problem.partition(" ")
        words = words if path == "input" else f"is not valid: {problem}"
    details = {"path": "" if path == "input" else path}
    raise ParleyError("invalid_argument", f"{what} {words}", details=details)
