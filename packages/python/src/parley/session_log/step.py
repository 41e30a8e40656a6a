"""The one function over a session's log. It touches no clock, socket, task or random source: time is in the entry, ids
are in the entry, and what has to be done comes back as effects.

P1  Every call id gets exactly one answer.
P2  A function runs only after ``tool.dispatched`` is in the log.
P3  One answer is generated at a time; whatever else should be said waits for it.
P4  After ``session.closing`` nothing new begins; everything begun ends in the log before ``session.closed``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from parley.contract import LIMITS, TIMES
from parley.contract.types import (
    AddItemCommand,
    AddTextCommand,
    CancelCommand,
    ErrorObject,
    SessionDeclaration,
    UpdateCommand,
    UpdateCommandToolsItem,
)

from . import calls, responses, tools
from .effects import Effect, Record, TimerSetEffect, clear_timer, record, set_timer
from .ending import close, closing, cut
from .responses import flush
from .state import CreatingSay, SessionState


class Step(NamedTuple):
    """What came of one entry."""

    state: SessionState
    effects: list[Effect]


#: What still matters once a session is closing (P4): the ends of what was begun, and requests that need their no.
_SETTLES = frozenset(
    ("response.completed", "say.requested", "tool.called", "tool.completed", "tool.rejected", "session.closed")
)
#: Close codes of a client that hangs up: it does not come back.
_HUNG_UP = (1000, 1001, 1005)


def step(state: SessionState, record: Record) -> Step:
    """Folds one entry of a log: the state after it, and the effects that it asks for.

    ``record`` is an event with its ``seq`` and ``at_ms``. It is taken as it is: ``fold`` checks what it folds. An entry
    of an unknown type is counted and asks for nothing. ``state`` is left as it was.

    >>> state, effects = step(SessionState(phase="live"), {"type": "client.attached", "seq": 1, "at_ms": 1000})
    >>> state.clients, [effect["kind"] for effect in effects]
    (1, ['timer.set'])
    """
    after = dataclasses.replace(state, seq=record["seq"])
    if state.phase == "closed" or (state.phase == "closing" and record["type"] not in _SETTLES):
        return Step(after, [])
    effects_of = _EFFECTS.get(record["type"])
    # Entries that only tell, and entries of types that came after this code was written, have no effects.
    return Step(after, [] if effects_of is None else effects_of(after, record))


# In what follows `state` is the step's own copy: its fields are written to, and never what a field holds.


def _created(state: SessionState, entry: Record) -> list[Effect]:
    declaration: SessionDeclaration = entry["declaration"]
    state.phase = "starting"
    state.session_id = entry["session_id"]
    state.created_at_ms = entry["at_ms"]
    state.declaration = declaration
    state.tools = list(entry["tools"])
    state.enabled_tools = [tool["name"] for tool in entry["tools"]]
    return [
        set_timer("duration", state.limits.get("max_duration_ms", TIMES["session_max_ms"])),
        _idle(state),
    ]


def _connect(state: SessionState) -> list[Effect]:
    """The provider is connected late, when somebody is there: providers bill by the second."""
    # A call that the provider terminates begins with the client's offer.
    if state.phase != "starting" or state.connecting or calls.is_native(state):
        return []
    state.connecting = True
    return [{"kind": "provider.connect"}]


def _provider_connected(state: SessionState, entry: Record) -> list[Effect]:
    if state.phase != "starting":
        return []
    state.phase = "live"
    state.connecting = False
    waiting, update = state.waiting_commands, state.waiting_update
    state.waiting_commands = []
    state.waiting_update = None
    told: list[Effect] = [] if update is None else [{"kind": "provider.send", "command": update}]
    for command in waiting:
        told.append({"kind": "provider.send", "command": command})
        # The output of a tool is its call's one answer.
        if command["type"] == "tool_output":
            told.append(record("tool.answered", call_id=command["call_id"]))
    return [*told, *flush(state)]


def _provider_reconnecting(state: SessionState, entry: Record) -> list[Effect]:
    """A connection is replaced by another one, and what was asked of the first is asked of the second."""
    if state.phase != "live":
        return []
    creating, response = state.creating, state.response
    state.phase = "starting"
    state.connecting = True
    state.user_speaking = False
    state.creating = None
    state.response = None
    effects: list[Effect] = [clear_timer("creating"), {"kind": "provider.connect"}]
    if isinstance(creating, CreatingSay):
        state.says = [creating.say, *state.says]
    elif creating is not None:
        state.respond_wanted = True
    if response is not None and response.say_id is not None:
        effects.append(cut(response.say_id, ""))
    elif response is not None and entry["respond"]:
        state.respond_wanted = True
    return effects


def _provider_disconnected(state: SessionState, entry: Record) -> list[Effect]:
    why = f": {entry['reason']}" if entry["reason"] else ""
    words = f"the provider ended the connection with {int(entry['code'])}{why}"
    lost: ErrorObject = {"code": "unavailable", "message": words, "retryable": True}
    return close(state, "provider_lost", "provider", entry.get("error") or lost)


def _provider_failed(state: SessionState, entry: Record) -> list[Effect]:
    if entry.get("command_id") == "restore":
        # Nobody can say what a session is that could not be put right.
        return close(state, "tampered", "server", entry["error"])
    return responses.failed(state, entry)


def _call_offered(state: SessionState, entry: Record) -> list[Effect]:
    # Of changes from now on the new call was not told.
    state.connecting = entry["media"] == "native" or state.connecting
    return [_idle(state), *_connect(state)]


def _client_attached(state: SessionState, entry: Record) -> list[Effect]:
    state.clients += 1
    state.had_client = True
    return [_idle(state), *_connect(state)]


def _client_detached(state: SessionState, entry: Record) -> list[Effect]:
    """A client that hangs up ends the session; one that was cut off may come back."""
    state.clients = max(0, state.clients - 1)
    if entry["code"] in _HUNG_UP and state.clients == 0:
        return close(state, "client_left", "client")
    return [_idle(state)]


def _turn_requested(state: SessionState, entry: Record) -> list[Effect]:
    """A whole turn is here: whatever is being said is over, as when the user begins to speak."""
    answer, wanted = state.response, state.creating
    stop: list[Effect] = []
    if state.phase == "live" and (answer is not None or wanted is not None):
        cancel: CancelCommand = {"type": "cancel"}
        if answer is not None:
            cancel["response_id"] = answer.response_id
        stop.append({"kind": "provider.send", "command": cancel})
    return [_idle(state), *_connect(state), *stop, *responses.interrupted(state, entry["at_ms"])]


def _speech_started(state: SessionState, entry: Record) -> list[Effect]:
    state.user_speaking = True
    return [_idle(state), *responses.interrupted(state, entry["at_ms"], entry.get("played_ms"))]


def _speech_stopped(state: SessionState, entry: Record) -> list[Effect]:
    state.user_speaking = False
    return flush(state)


def _turn_completed(state: SessionState, entry: Record) -> list[Effect]:
    state.turns += 1
    state.user_speaking = False
    return [_idle(state), *flush(state)]


def _say_requested(state: SessionState, entry: Record) -> list[Effect]:
    if state.phase == "closing":
        return responses.want_say(state, entry)
    return [_idle(state), *_connect(state), *responses.want_say(state, entry)]


def _injected(state: SessionState, entry: Record) -> list[Effect]:
    if entry["respond"]:
        state.respond_wanted = True
    command: AddTextCommand | AddItemCommand
    if "item" in entry:
        place = {name: entry[name] for name in ("previous_item_id",) if name in entry}
        command = cast(AddItemCommand, {"type": "add_item", "item": entry["item"], **place})
    else:
        command = {"type": "add_text", "role": "user", "text": entry["text"]}
    if state.phase != "starting":
        return [_idle(state), {"kind": "provider.send", "command": command}, *flush(state)]
    limit = LIMITS["texts_waiting_max"]
    if len(state.waiting_commands) >= limit:
        return [record("limit.reached", limit="texts_waiting_max", value=limit)]
    state.waiting_commands = [*state.waiting_commands, command]
    return [_idle(state), *_connect(state)]


def _response_requested(state: SessionState, entry: Record) -> list[Effect]:
    state.respond_wanted = True
    return [_idle(state), *_connect(state), *flush(state)]


def _updated(state: SessionState, entry: Record) -> list[Effect]:
    change = {name: entry[name] for name in ("instructions", "voice", "turn_detection") if name in entry}
    command = cast(UpdateCommand, {"type": "update", **change})
    if "resolved_tools" in entry:
        # Another agent takes over. The answer that the model is giving was begun with the tools of before.
        if state.response is not None and state.response.tools is None:
            began_with = [tool for tool in state.tools if tool["name"] in state.enabled_tools]
            state.response = dataclasses.replace(state.response, tools=began_with)
        state.tools = list(entry["resolved_tools"])
        state.enabled_tools = [tool["name"] for tool in state.tools]
        command["tools"] = [_shown(cast("dict[str, Any]", tool)) for tool in state.tools]
    if "tools" in entry:
        # Only what was resolved at the start can be enabled: an update narrows the allowlist, it never widens it.
        enabled = [tool for tool in state.tools if tool["name"] in entry["tools"]]
        state.enabled_tools = [tool["name"] for tool in enabled]
        command["tools"] = [_shown(cast("dict[str, Any]", tool)) for tool in enabled]
    if "settings" in entry:
        command["settings"] = entry["settings"]
    if state.declaration is not None:
        state.declaration = cast(SessionDeclaration, {**state.declaration, **change})
    # A connection that is being made was told the old values; one that is made later is told the new ones.
    if state.connecting:
        state.waiting_update = cast(UpdateCommand, {**(state.waiting_update or {}), **command})
    return [{"kind": "provider.send", "command": command}] if state.phase == "live" else []


def _shown(tool: dict[str, Any]) -> UpdateCommandToolsItem:
    shown = {name: tool[name] for name in ("name", "description", "input_schema") if name in tool}
    return cast(UpdateCommandToolsItem, shown)


def _handler_attached(state: SessionState, entry: Record) -> list[Effect]:
    state.handler = "attached"
    return [clear_timer("handler")]


def _handler_detached(state: SessionState, entry: Record) -> list[Effect]:
    if state.handler != "attached":
        return []
    state.handler = "detached"
    return [set_timer("handler", TIMES["agent_resume_ms"])]


def _handler_completed(state: SessionState, entry: Record) -> list[Effect]:
    state.handler = "completed"
    return flush(state)


def _handler_failed(state: SessionState, entry: Record) -> list[Effect]:
    # While its agent is away, a failure is the agent's: it did not come back, or came back without the handler.
    if state.handler == "detached":
        return close(state, "handler_lost", "server", entry["error"])
    return close(state, "handler_failed", "handler", entry["error"])


def _timer_fired(state: SessionState, entry: Record) -> list[Effect]:
    timer = entry["timer"]
    if timer == "duration":
        reached = record("limit.reached", limit="max_duration_ms", value=entry["at_ms"] - state.created_at_ms)
        return [reached, *close(state, "max_duration", "limit")]
    if timer == "idle":
        reached = record("limit.reached", limit="idle_timeout_ms", value=_idle_ms(state))
        return [reached, *close(state, "idle_timeout", "limit")]
    if timer == "playback" and state.playing is not None:
        return [record("response.played", response_id=state.playing.response_id)]
    if timer == "creating" and state.creating is not None:
        words = "the provider did not begin an answer in time"
        late = {"code": "deadline_exceeded", "message": words, "retryable": True}
        return [record("provider.failed", error=late)]
    if timer == "handler" and state.handler == "detached":
        words = "the agent that ran the handler did not come back"
        return close(state, "handler_lost", "server", {"code": "unavailable", "message": words, "retryable": True})
    return []


def _closed(state: SessionState, entry: Record) -> list[Effect]:
    state.phase = "closed"
    return []


def _idle(state: SessionState) -> TimerSetEffect:
    return set_timer("idle", _idle_ms(state))


def _idle_ms(state: SessionState) -> float:
    idle_ms = state.limits.get("idle_timeout_ms", TIMES["session_idle_ms"])
    # A call whose client was cut off costs money while nobody hears it.
    alone = state.clients == 0 and state.had_client
    return min(idle_ms, TIMES["client_resume_ms"]) if alone else idle_ms


_EFFECTS: dict[str, Callable[[SessionState, Record], list[Effect]]] = {
    "session.created": _created,
    "session.updated": _updated,
    "session.closing": closing,
    "session.closed": _closed,
    "provider.connected": _provider_connected,
    "provider.disconnected": _provider_disconnected,
    "provider.reconnecting": _provider_reconnecting,
    "provider.failed": _provider_failed,
    "call.offered": _call_offered,
    "call.failed": calls.failed,
    "call.ended": calls.ended,
    "session.tampered": calls.tampered,
    "client.attached": _client_attached,
    "client.detached": _client_detached,
    "turn.requested": _turn_requested,
    "speech.started": _speech_started,
    "speech.stopped": _speech_stopped,
    "turn.completed": _turn_completed,
    "response.started": responses.started,
    "response.completed": responses.completed,
    "response.played": responses.played,
    "interruption.requested": responses.interruption_requested,
    "item.truncated": responses.truncated,
    "say.requested": _say_requested,
    "input.injected": _injected,
    "response.requested": _response_requested,
    "tool.called": tools.called,
    "tool.rejected": tools.rejected,
    "tool.dispatched": tools.dispatched,
    "tool.completed": tools.completed,
    "handler.attached": _handler_attached,
    "handler.detached": _handler_detached,
    "handler.completed": _handler_completed,
    "handler.failed": _handler_failed,
    "timer.fired": _timer_fired,
}
