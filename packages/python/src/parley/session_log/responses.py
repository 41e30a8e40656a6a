"""Answers: one is generated at a time (P3), and one is over when it was heard, not when it was generated."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from parley.contract import LIMITS, TIMES
from parley.contract.types import CancelCommand, RespondCommand, SayCommand, Usage

from .effects import Effect, Record, clear_timer, record, set_timer
from .ending import cut, heard_text
from .state import ActiveResponse, CreatingRespond, CreatingSay, PlayingResponse, Say, SessionState

_BUSY = "conversation_already_has_active_response"


def want_say(state: SessionState, entry: Record) -> list[Effect]:
    say_id = entry["say_id"]
    if state.phase not in ("starting", "live"):
        return [cut(say_id, "")]
    limit = LIMITS["says_waiting_max"]
    if len(state.says) >= limit:
        message = f"{limit} texts already wait to be spoken"
        return [_unspoken(say_id, {"code": "resource_exhausted", "message": message, "retryable": True})]
    state.says = [*state.says, Say(say_id, entry["text"])]
    return flush(state)


def flush(state: SessionState) -> list[Effect]:
    """Begins the next answer when nothing stands in its way."""
    if state.phase != "live" or state.creating or state.response or state.user_speaking:
        return []
    # The model answers tool outputs once all of them are there.
    if state.respond_wanted and not any(call.source == "model" for call in state.calls.values()):
        state.respond_wanted = False
        return _create(state, CreatingRespond())
    if state.playing:
        return []
    if state.says:
        first, *state.says = state.says
        return _create(state, CreatingSay(first))
    if state.handler == "completed":
        return [record("session.closing", reason="handler_completed", by="handler")]
    return []


def _create(state: SessionState, creating: CreatingRespond | CreatingSay) -> list[Effect]:
    state.creating = creating
    command: RespondCommand | SayCommand
    if isinstance(creating, CreatingSay):
        command = {"type": "say", "say_id": creating.say.say_id, "text": creating.say.text}
    else:
        command = {"type": "respond"}
    return [
        {"kind": "provider.send", "command": command},
        set_timer("creating", TIMES["response_creating_ms"]),
    ]


def started(state: SessionState, entry: Record) -> list[Effect]:
    effects: list[Effect] = []
    creating = state.creating
    say_id: str | None = None
    if isinstance(creating, CreatingSay):
        begun = creating.say.say_id == entry.get("say_id")
        # Only a say that is waited for is one: a say that was given up has its `say.completed` already.
        say_id = creating.say.say_id if begun else None
    else:
        begun = creating is not None and entry["cause"] != "say"
    if begun:
        state.creating = None
        effects.append(clear_timer("creating"))
    # A new answer follows one that is still being heard: that one is played on, and counts as heard.
    if state.playing:
        effects.extend(_heard(state))
    # One that is still being generated is over, whatever the provider forgot to say.
    if state.response and state.response.say_id is not None:
        effects.append(cut(state.response.say_id, ""))
    state.response = ActiveResponse(entry["response_id"], say_id, entry["at_ms"], None)
    return effects


def completed(state: SessionState, entry: Record) -> list[Effect]:
    active = state.response
    if active is not None and active.response_id != entry["response_id"]:
        active = None
    if active is not None:
        state.response = None
    state.usage = _add_usage(state.usage, entry.get("usage"))
    if active is None:
        return flush(state)
    say_id, status = active.say_id, entry["status"]
    if status == "failed" and say_id is not None:
        unknown = {"code": "unknown", "message": "the provider failed to speak it", "retryable": False}
        return [_unspoken(say_id, entry.get("error") or unknown), *flush(state)]
    # A provider may have generated everything by the time the user speaks over it: an interruption all the same.
    if status != "completed" or active.interrupted_ms is not None:
        played_ms = active.interrupted_ms
        if played_ms is None:
            played_ms = entry["at_ms"] - active.started_at_ms
        spoken: list[Effect] = []
        if say_id is not None:
            spoken.append(cut(say_id, heard_text(entry["text"], played_ms, entry["audio_ms"])))
        return [*spoken, *flush(state)]
    state.playing = PlayingResponse(
        entry["response_id"],
        entry.get("item_id"),
        say_id,
        active.started_at_ms,
        entry["audio_ms"],
        entry["text"],
    )
    left_ms = active.started_at_ms + entry["audio_ms"] - entry["at_ms"]
    if entry.get("playback_reported"):
        # Who plays it will say when it was heard; the timer is for one that never does.
        left_ms = max(0, left_ms) + TIMES["playback_report_ms"]
    playback: Effect
    if left_ms > 0:
        playback = set_timer("playback", left_ms)
    else:
        playback = record("response.played", response_id=entry["response_id"])
    return [playback, *flush(state)]


def played(state: SessionState, entry: Record) -> list[Effect]:
    if state.playing is None or state.playing.response_id != entry["response_id"]:
        return []
    return [*_heard(state), *flush(state)]


def _heard(state: SessionState) -> list[Effect]:
    playing = state.playing
    state.playing = None
    if playing is None:
        return []
    effects: list[Effect] = [clear_timer("playback")]
    if playing.say_id is not None:
        effects.append(record("say.completed", say_id=playing.say_id, interrupted=False, spoken_text=playing.text))
    return effects


def truncated(state: SessionState, entry: Record) -> list[Effect]:
    """A client cut the answer that is being heard."""
    if state.playing is None or state.playing.item_id != entry["item_id"]:
        return []
    return [*_interrupted_answer(state, entry["at_ms"], entry["audio_ms"]), *_cancelled_tools(state)]


def interruption_requested(state: SessionState, entry: Record) -> list[Effect]:
    """Somebody other than the user cuts the answer, whatever the declaration says of interruptions."""
    response = state.response
    effects: list[Effect] = []
    # Once: an answer that was interrupted already is being cancelled.
    if response is not None and response.interrupted_ms is None:
        cancel: CancelCommand = {"type": "cancel", "response_id": response.response_id}
        effects.append({"kind": "provider.send", "command": cancel})
    answer = _interrupted_answer(state, entry["at_ms"], entry.get("played_ms"))
    return [*effects, *answer, *_cancelled_tools(state)]


def interrupted(state: SessionState, at_ms: float, heard_ms: float | None = None) -> list[Effect]:
    """The user speaks while something is generated or heard, or a tool runs.

    ``heard_ms`` is what whoever plays the answer says was played of it; without it that is reckoned.
    """
    detection = None if state.declaration is None else state.declaration.get("turn_detection")
    if detection is not None and detection.get("interrupt_response") is False:
        return []
    return [*_interrupted_answer(state, at_ms, heard_ms), *_cancelled_tools(state)]


def _interrupted_answer(state: SessionState, at_ms: float, cut_ms: float | None) -> list[Effect]:
    playing, response = state.playing, state.response
    if playing is not None:
        since_ms = max(0, at_ms - playing.started_at_ms)
        played_ms = min(playing.audio_ms, since_ms if cut_ms is None else cut_ms)
        state.playing = None
        item = {} if playing.item_id is None else {"item_id": playing.item_id}
        effects: list[Effect] = [
            clear_timer("playback"),
            record("response.interrupted", response_id=playing.response_id, **item, played_ms=played_ms),
        ]
        if playing.say_id is not None:
            effects.append(cut(playing.say_id, heard_text(playing.text, played_ms, playing.audio_ms)))
        return effects
    if response is not None and response.interrupted_ms is None:
        # Its `response.completed` ends what it said.
        played_ms = max(0, at_ms - response.started_at_ms) if cut_ms is None else cut_ms
        state.response = dataclasses.replace(response, interrupted_ms=played_ms)
        return [record("response.interrupted", response_id=response.response_id, played_ms=played_ms)]
    return []


def _cancelled_tools(state: SessionState) -> list[Effect]:
    """Tools whose authors said so are not worth finishing once the user speaks again. They still get their answer."""
    return [
        {"kind": "execution.cancel", "execution_id": call.execution_id, "reason": "interrupted"}
        for call in state.calls.values()
        if call.on_interrupt == "cancel" and call.source == "model"
    ]


def failed(state: SessionState, entry: Record) -> list[Effect]:
    """The provider refused something. When it was the answer that we asked for, that answer ends here."""
    creating = state.creating
    busy = entry.get("provider_code") == _BUSY
    command_id = entry.get("command_id")
    if creating is None:
        # The answer that the provider began by itself was taken for ours, and ours is refused: it is wanted still.
        if busy and command_id == "respond":
            state.respond_wanted = True
        return []
    asked = creating.say.say_id if isinstance(creating, CreatingSay) else "respond"
    if command_id not in (None, asked):
        return []
    effects: list[Effect] = [clear_timer("creating")]
    state.creating = None
    if busy:
        # The provider began an answer by itself a moment before: ours follows it.
        if isinstance(creating, CreatingSay):
            state.says = [creating.say, *state.says]
        else:
            state.respond_wanted = True
        return effects
    if isinstance(creating, CreatingSay):
        effects.append(_unspoken(creating.say.say_id, entry["error"]))
    return [*effects, *flush(state)]


def _unspoken(say_id: str, error: Any) -> Effect:
    return record("say.completed", say_id=say_id, interrupted=True, spoken_text="", error=error)


def _add_usage(total: Usage, more: Usage | None) -> Usage:
    if not more:
        return total
    total_of: dict[str, Any] = {**total}
    for name, value in more.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            total_of[name] = total_of.get(name, 0) + value
    return cast(Usage, total_of)
