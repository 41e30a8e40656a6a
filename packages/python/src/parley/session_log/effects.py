"""What ``step`` wants done. Whoever runs a session performs these; ``step`` itself touches nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from typing_extensions import TypedDict

from parley.contract.types import (
    AddItemCommand,
    AddTextCommand,
    CancelCommand,
    ErrorObject,
    RespondCommand,
    RestoreCommand,
    SayCommand,
    ToolOutputCommand,
    UpdateCommand,
)

#: An event of a session: a ``type`` and what belongs to it. Open: one of an unknown type is kept and skipped.
Event: TypeAlias = Mapping[str, Any]
#: An entry of a log: an event with its ``seq`` (from 1, without gaps) and ``at_ms`` (Unix milliseconds).
Record: TypeAlias = Mapping[str, Any]

Timer: TypeAlias = Literal["duration", "idle", "playback", "creating", "handler"]


class RecordEffect(TypedDict):
    """Append this event to the log next, and fold it. Its effects stand in its place."""

    kind: Literal["record"]
    event: Event


class ProviderConnectEffect(TypedDict):
    kind: Literal["provider.connect"]


class ProviderSendEffect(TypedDict):
    kind: Literal["provider.send"]
    command: (
        UpdateCommand
        | AddTextCommand
        | AddItemCommand
        | CancelCommand
        | RespondCommand
        | SayCommand
        | ToolOutputCommand
        | RestoreCommand
    )


class ExecutionDispatchEffect(TypedDict):
    """Run the function, once the entry that asked for it is on disk."""

    kind: Literal["execution.dispatch"]
    call_id: str
    execution_id: str
    target: str
    input: Any
    timeout_ms: float


class ExecutionCancelEffect(TypedDict):
    kind: Literal["execution.cancel"]
    execution_id: str
    reason: str


class TimerSetEffect(TypedDict):
    """Append ``timer.fired`` once after ``ms``. Setting a timer replaces the one of that name."""

    kind: Literal["timer.set"]
    timer: Timer
    ms: float


class TimerClearEffect(TypedDict):
    kind: Literal["timer.clear"]
    timer: Timer


class SessionEndEffect(TypedDict):
    """Close provider and clients, then append ``session.closed``."""

    kind: Literal["session.end"]
    reason: str
    error: ErrorObject | None


#: An effect that is performed; told apart by ``kind``.
PerformedEffect: TypeAlias = (
    "ProviderConnectEffect | ProviderSendEffect | ExecutionDispatchEffect | ExecutionCancelEffect"
    " | TimerSetEffect | TimerClearEffect | SessionEndEffect"
)
Effect: TypeAlias = "RecordEffect | PerformedEffect"


def record(type: str, **fields: Any) -> RecordEffect:
    return {"kind": "record", "event": {"type": type, **fields}}


def set_timer(timer: Timer, ms: float) -> TimerSetEffect:
    return {"kind": "timer.set", "timer": timer, "ms": ms}


def clear_timer(timer: Timer) -> TimerClearEffect:
    return {"kind": "timer.clear", "timer": timer}
