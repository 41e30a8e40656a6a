"""The end of a session: everything begun is settled in the log first (P4)."""

from __future__ import annotations

import math
from typing import cast

from parley.contract.types import ErrorObject

from .effects import Effect, Record, RecordEffect, SessionEndEffect, Timer, clear_timer, record
from .state import CreatingSay, Ending, SessionState

_TIMERS: tuple[Timer, ...] = ("duration", "idle", "playback", "creating", "handler")


def close(state: SessionState, reason: str, by: str, error: ErrorObject | None = None) -> list[Effect]:
    """Asks for the end, and says with what error it will be."""
    state.closing = Ending(reason, error)
    return [record("session.closing", reason=reason, by=by)]


def closing(state: SessionState, entry: Record) -> list[Effect]:
    state.phase = "closing"
    ended = state.closing or Ending(entry["reason"])
    state.closing = ended
    effects: list[Effect] = []
    for call_id, call in state.calls.items():
        effects.append({"kind": "execution.cancel", "execution_id": call.execution_id, "reason": "session_closed"})
        effects.append(
            record(
                "tool.completed",
                call_id=call_id,
                name=call.name,
                execution_id=call.execution_id,
                status="cancelled",
                error={"code": "cancelled", "message": "the session ended before the call did", "retryable": False},
                duration_ms=max(0, entry["at_ms"] - call.started_at_ms),
            )
        )
    playing = state.playing
    if playing is not None and playing.say_id is not None:
        heard = heard_text(playing.text, entry["at_ms"] - playing.started_at_ms, playing.audio_ms)
        effects.append(cut(playing.say_id, heard))
    if state.response is not None and state.response.say_id is not None:
        effects.append(cut(state.response.say_id, ""))
    if isinstance(state.creating, CreatingSay):
        effects.append(cut(state.creating.say.say_id, ""))
    effects.extend(cut(say.say_id, "") for say in state.says)
    state.says = []
    state.waiting_commands = []
    state.waiting_update = None
    state.playing = None
    state.creating = None
    state.response = None
    state.respond_wanted = False
    effects.extend(clear_timer(timer) for timer in _TIMERS)
    effects.append(cast(SessionEndEffect, {"kind": "session.end", "reason": ended.reason, "error": ended.error}))
    return effects


def cut(say_id: str, spoken_text: str) -> RecordEffect:
    return record("say.completed", say_id=say_id, interrupted=True, spoken_text=spoken_text)


def heard_text(text: str, played_ms: float, audio_ms: float) -> str:
    """What was heard of ``text`` after ``played_ms`` of ``audio_ms``, to the last whole word.

    An estimate: speech is not spoken at one speed, and providers do not say where each word stands.
    """
    if audio_ms <= 0 or played_ms >= audio_ms:
        return text
    if played_ms <= 0:
        return ""
    space = text.rfind(" ", 0, math.floor(len(text) * played_ms / audio_ms) + 1)
    return "" if space <= 0 else text[:space]
