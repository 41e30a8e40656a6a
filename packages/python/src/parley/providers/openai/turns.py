"""The user's turns: from the first sound, or from a text, to the words that were said.

A transcript comes whenever it comes, often after the answer began, and sometimes not at all. A turn waits for it a
stated time and then completes without words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from parley.ids import new_id
from parley.providers.port import ModelEvent

from .wire import Wire, known, list_in, number_in, object_in, text_in

_TRANSCRIPT_S = 10.0
#: Turns that are open at a time; an older one completes without words.
_OPEN_MAX = 64


class _Turn:
    def __init__(self, item_id: str, start_ms: float | None) -> None:
        self.turn_id = new_id("turn")
        self.item_id = item_id
        self.start_ms = start_ms
        self.end_ms: float | None = None
        self.timer: asyncio.TimerHandle | None = None


class Turns:
    def __init__(self, emit: Callable[[ModelEvent], None], *, transcribes: bool, sent_ms: Callable[[], int]) -> None:
        self._emit = emit
        self._transcribes = transcribes
        #: Milliseconds of sound that were sent so far.
        self._sent_ms = sent_ms
        self._open: dict[str, _Turn] = {}
        #: Where the sound of the next committed turn begins, when nobody detects speech.
        self._committed_ms = 0

    def speech_started(self, event: Wire) -> None:
        item_id = text_in(event, "item_id")
        audio_ms = number_in(event, "audio_start_ms") or 0
        self._emit({"type": "speech.started", "audio_ms": audio_ms, **known(item_id=item_id)})
        # Speech that goes on within the silence window keeps its item, and its turn.
        if item_id is not None and item_id not in self._open:
            self._start(item_id, audio_ms)

    def speech_stopped(self, event: Wire) -> None:
        item_id = text_in(event, "item_id")
        audio_ms = number_in(event, "audio_end_ms") or 0
        turn = self._open.get(item_id or "")
        if turn is not None:
            turn.end_ms = audio_ms
        self._emit({"type": "speech.stopped", "audio_ms": audio_ms, **known(item_id=item_id)})

    def committed(self, event: Wire) -> None:
        item_id = text_in(event, "item_id")
        if item_id is None:
            return
        sent_ms = self._sent_ms()
        turn = self._open.get(item_id) or self._start(item_id, None)
        if turn.start_ms is None:
            turn.start_ms, turn.end_ms = self._committed_ms, sent_ms
        self._committed_ms = sent_ms
        if not self._transcribes:
            self._complete(turn, "")
        elif turn.timer is None:
            turn.timer = asyncio.get_running_loop().call_later(_TRANSCRIPT_S, self._complete, turn, "")

    def cleared(self) -> None:
        self._committed_ms = self._sent_ms()

    def transcribed(self, event: Wire) -> None:
        item_id, text = text_in(event, "item_id"), text_in(event, "transcript") or ""
        if item_id is None:
            return
        self._emit({"type": "transcript.completed", "track": "user", "item_id": item_id, "text": text})
        turn = self._open.get(item_id)
        if turn is not None:
            self._complete(turn, text)

    def transcription_failed(self, event: Wire) -> None:
        turn = self._open.get(text_in(event, "item_id") or "")
        if turn is not None:
            self._complete(turn, "")

    def item_added(self, event: Wire) -> None:
        """A client put a text of the user into the conversation."""
        item = object_in(event, "item")
        item_id = text_in(item, "id")
        if item_id is None or item.get("type") != "message" or item.get("role") != "user":
            return
        parts = [part for part in list_in(item, "content") if part.get("type") == "input_text"]
        if not parts or item_id in self._open:
            return
        turn = {"turn_id": new_id("turn"), "item_id": item_id, "source": "text"}
        self._emit({"type": "turn.started", **turn})
        self._emit({"type": "turn.completed", **turn, "text": "\n".join(text_in(one, "text") or "" for one in parts)})

    def stop(self) -> None:
        for turn in self._open.values():
            if turn.timer is not None:
                turn.timer.cancel()
        self._open.clear()

    def _start(self, item_id: str, start_ms: float | None) -> _Turn:
        if len(self._open) >= _OPEN_MAX:
            self._complete(next(iter(self._open.values())), "")
        turn = _Turn(item_id, start_ms)
        self._open[item_id] = turn
        self._emit({"type": "turn.started", "turn_id": turn.turn_id, "item_id": item_id, "source": "audio"})
        return turn

    def _complete(self, turn: _Turn, text: str) -> None:
        if turn.timer is not None:
            turn.timer.cancel()
        self._open.pop(turn.item_id, None)
        audio: Wire = {}
        if turn.start_ms is not None and turn.end_ms is not None:
            audio["audio_ms"] = max(0, turn.end_ms - turn.start_ms)
        ids = {"turn_id": turn.turn_id, "item_id": turn.item_id}
        self._emit({"type": "turn.completed", **ids, "source": "audio", "text": text, **audio})
