"""What one start asks for, checked once, before a place is taken for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from parley.call import check_call
from parley.errors import ParleyError
from parley.ids import new_id
from parley.session_log.tool_input import input_problem
from parley.shapes import parsed, shape_of

#: Returns an input as the launcher's ``input`` has it.
InputCheck = Callable[[Any], Any]


@dataclass(frozen=True)
class Start:
    """A start that was checked."""

    call_id: str
    call_type: str
    input: Any
    metadata: Mapping[str, Any]
    principal: Any


def checked_start(
    check_input: InputCheck,
    call_id: str | None,
    call_type: str,
    input: Any,
    metadata: Mapping[str, Any] | None,
    principal: Any,
) -> Start:
    """Raises ParleyError ``invalid_argument`` naming the field."""
    call_id = new_id("call") if call_id is None else call_id
    check_call(call_type, call_id)
    return Start(call_id, call_type, check_input(input), metadata or {}, principal)


def input_check_of(wanted: Any) -> InputCheck:
    """A check of inputs by the launcher's ``input``. It raises ParleyError ``invalid_argument`` naming the field."""
    if wanted is None:
        return lambda value: value
    if isinstance(wanted, Mapping):

        def check(value: Any) -> Any:
            problem = input_problem(wanted, value)
            if problem is not None:
                words = f"the input of a start is not valid: {problem}"
                raise ParleyError("invalid_argument", words, details={"path": "input"})
            return value

        return check
    adapter = shape_of(wanted, "validation", "a start").adapter
    return lambda value: parsed(adapter, value, "the input of a start", "invalid_argument")
