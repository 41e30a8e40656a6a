"""WebRTC calls whose media the provider terminates: each is a conversation of its own with the provider, and the
session outlives it. And what their clients can do behind the server's back.
"""

from __future__ import annotations

import dataclasses

from parley.contract import LIMITS

from .effects import Effect, Record, clear_timer, record
from .ending import close, cut, heard_text
from .state import CreatingSay, SessionState


def is_native(state: SessionState) -> bool:
    """The client offers its call to the provider through the server, which then attaches to it."""
    declaration = state.declaration
    return declaration is not None and declaration["transport"] == "webrtc" and declaration.get("media") == "native"


def failed(state: SessionState, entry: Record) -> list[Effect]:
    """A call did not come about: the session waits for the next one, which is told everything."""
    if is_native(state):
        state.connecting = False
        state.waiting_update = None
    return []


def ended(state: SessionState, entry: Record) -> list[Effect]:
    """The provider forgot the conversation with the call.

    What was being said is over; what waits, waits for the next call.
    """
    if not is_native(state) or state.phase != "live":
        return []
    state.phase = "starting"
    playing, response, creating = state.playing, state.response, state.creating
    effects: list[Effect] = [clear_timer("playback"), clear_timer("creating")]
    if playing is not None and playing.say_id is not None:
        heard = heard_text(playing.text, entry["at_ms"] - playing.started_at_ms, playing.audio_ms)
        effects.append(cut(playing.say_id, heard))
    if response is not None and response.say_id is not None:
        effects.append(cut(response.say_id, ""))
    if isinstance(creating, CreatingSay):
        # Words that were asked for and never begun are said in the next call.
        state.says = [creating.say, *state.says]
    state.playing = None
    state.response = None
    state.creating = None
    state.respond_wanted = False
    state.user_speaking = False
    # Tools that run are finished: what they do is done in the world, whoever listens.
    state.calls = {
        call_id: dataclasses.replace(call, source="orphan") if call.source == "model" else call
        for call_id, call in state.calls.items()
    }
    return effects


def tampered(state: SessionState, entry: Record) -> list[Effect]:
    """Put right a stated number of times; a client that goes on is not one to talk to."""
    state.tamperings += 1
    if state.tamperings <= LIMITS["tamperings_max"]:
        return [{"kind": "provider.send", "command": {"type": "restore"}}]
    message = f"the client changed {', '.join(entry['fields'])} of the session for the {state.tamperings}th time"
    reached = record("limit.reached", limit="tamperings_max", value=state.tamperings)
    refused = close(state, "tampered", "server", {"code": "permission_denied", "message": message, "retryable": False})
    return [reached, *refused]
