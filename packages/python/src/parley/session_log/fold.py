"""A log folded into the state of its session, and a log written on by an event and by all that follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

from parley.check import describe, json_type_of, problem_of
from parley.contract import CATALOG
from parley.errors import ParleyError

from .effects import Event, PerformedEffect, Record
from .state import SessionState
from .step import step


class Appended(NamedTuple):
    """What came of one event."""

    state: SessionState
    #: What to append, in order; the first is the event that was given.
    records: list[dict[str, Any]]
    #: What to do once the records are on disk, in order.
    effects: list[PerformedEffect]


def append(state: SessionState, event: Event, at_ms: float) -> Appended:
    """Appends ``event`` and whatever follows from it to the session that ``state`` describes.

    This is what the control plane does with everything that happens in a session, so it answers "what would have
    happened if": fold a log up to some entry, append another event than the next one, and look at the effects.

    >>> begun = append(SessionState(phase="live"), {"type": "timer.fired", "timer": "idle"}, 1000)
    >>> [record["type"] for record in begun.records], begun.state.phase
    (['timer.fired', 'limit.reached', 'session.closing'], 'closing')
    """
    records: list[dict[str, Any]] = []
    effects: list[PerformedEffect] = []

    def follow(before: SessionState, event: Event) -> SessionState:
        entry = {**event, "seq": before.seq + 1, "at_ms": at_ms}
        records.append(entry)
        after, wanted = step(before, entry)
        for effect in wanted:
            if effect["kind"] == "record":
                after = follow(after, effect["event"])
            else:
                effects.append(effect)
        return after

    return Appended(follow(state, event), records, effects)


def fold(records: Iterable[Record], state: SessionState | None = None) -> SessionState:
    """The state of a session after a stored log, computed offline.

    ``records`` are the entries as ``GET /api/v1/sessions/{id}/events``, ``ParleyClient.sessions.events`` and
    ``parley sessions tail --json`` give them, from the first on, or from the one that follows ``state``. Events that
    others led to stand in the log themselves, so nothing is followed and nothing happens twice.

    Raises ParleyError ``invalid_argument`` for an entry that is not one, ``data_loss`` where entries are missing.

    >>> fold([{"type": "client.attached", "connection_id": "c1", "seq": 1, "at_ms": 1000}]).clients
    1
    >>> fold([{"type": "client.attached", "connection_id": "c1", "seq": 3, "at_ms": 1000}])
    Traceback (most recent call last):
    parley.errors.ParleyError: expected entry 1 of the log, got entry 3
    """
    now = state or SessionState()
    for record in records:
        now = step(now, _checked(record, now.seq + 1)).state
    return now


_CHECKED = frozenset(CATALOG["event_types"])


def _checked(record: object, seq: int) -> Record:
    if not isinstance(record, Mapping) or not isinstance(record.get("type"), str):
        words = f"entry {seq} of the log must be an object with a type, got {json_type_of(record)}"
        raise ParleyError("invalid_argument", words)
    got, at_ms = record.get("seq"), record.get("at_ms")
    if isinstance(got, bool) or not isinstance(got, (int, float)) or isinstance(at_ms, bool):
        raise ParleyError("invalid_argument", f"entry {seq} of the log has no seq: is it a record of a session's log?")
    if got != seq:
        raise ParleyError("data_loss", f"expected entry {seq} of the log, got entry {got}", details={"seq": seq})
    if not isinstance(at_ms, (int, float)):
        words = f"at_ms of entry {seq} must be Unix milliseconds, got {describe(at_ms)}"
        raise ParleyError("invalid_argument", words)
    problem = problem_of("SessionEvent", record) if record["type"] in _CHECKED else None
    if problem is not None:
        raise ParleyError("invalid_argument", f"entry {seq} of the log: {problem.message}", details={"seq": seq})
    return cast(Record, record)
