"""The user's side of a call, at a terminal: sound and text go in as a client sends them, and what comes out is told to
a screen. It is a client of the session like any other."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from parley.frames import FrameClose, FrameSocket, parsed_object

from .pcm import BYTES_PER_MS
from .playout import Playout

Who = Literal["you", "agent"]

_FRAME_BYTES = 20 * BYTES_PER_MS


class ConsoleScreen(Protocol):
    """What is told of a call."""

    def words(self, who: Who, text: str, final: bool) -> None:
        """Words of one side; ``final`` says that no more come."""

    def answered(self, first_ms: float, began_ms: float | None) -> None:
        """From the end of what the user said to the first sound, or word, of the answer."""

    def interrupted(self, played_ms: float) -> None: ...

    def entry(self, entry: Mapping[str, Any]) -> None:
        """An entry of the session's log."""

    def sound(self, who: Who, pcm: bytes) -> None: ...

    def problem(self, message: str) -> None: ...


class ConsoleCall:
    def __init__(self, socket: FrameSocket, responder: str, screen: ConsoleScreen) -> None:
        self._socket = socket
        self._responder = responder
        self._screen = screen
        self._loop = asyncio.get_running_loop()
        self._playout = Playout(self._heard)
        self._partial: dict[str, str] = {}
        self._wake: set[asyncio.Future[None]] = set()
        self._turn_ended_s: float | None = None
        self._began_s: float | None = None
        self._responding: str | None = None
        self._cut_response: str | None = None
        self._tools = 0
        self._saying = 0
        self._live = False
        self.closed: asyncio.Future[FrameClose] = self._loop.create_future()
        socket.on_frame(self._frame)
        socket.on_close(self._over)

    def say(self, text: str) -> None:
        """Says a line. It interrupts what is being said."""
        self.interrupt(cancel=True)
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        self._send({"type": "conversation.item.create", "item": item})
        self._turn_ended_s = self._loop.time()
        self._began_s = None
        # A handler is told of the turn and answers it itself; a second answer must not be asked for.
        if self._responder == "model":
            self._send({"type": "response.create"})

    def hear(self, pcm: bytes) -> None:
        """Sound of the microphone."""
        for at in range(0, len(pcm), _FRAME_BYTES):
            part = pcm[at : at + _FRAME_BYTES]
            self._screen.sound("you", part)
            self._send({"type": "input_audio_buffer.append", "audio": base64.b64encode(part).decode()})

    def interrupt(self, *, cancel: bool) -> None:
        """Stops what is being said; ``cancel`` where the model would go on, because nobody spoke to it."""
        if cancel and self._responding is not None:
            self._cut_response = self._responding
            self._send({"type": "response.cancel"})
        cut = self._playout.cut()
        if cut is None:
            return
        place = {"item_id": cut.item_id, "content_index": 0, "audio_end_ms": math.floor(cut.played_ms)}
        self._send({"type": "conversation.item.truncate", **place})
        self._screen.interrupted(cut.played_ms)

    async def quiet(self, ms: int) -> bool:
        """Returns once nothing is said, computed or heard for ``ms``, after an answer; or when the call is closed.
        Whether it became quiet."""
        while not self.closed.done():
            if self._busy:
                await self._change()
                continue
            try:
                await asyncio.wait_for(self._change(), ms / 1000)
            except asyncio.TimeoutError:
                return True
        return False

    def hang_up(self) -> None:
        self._playout.cut()
        self._socket.close(1000, "the user hung up")

    @property
    def _busy(self) -> bool:
        waits = self._turn_ended_s is not None or self._responding is not None
        return not self._live or waits or self._tools > 0 or self._saying > 0 or self._playout.playing

    async def _change(self) -> None:
        changed: asyncio.Future[None] = self._loop.create_future()
        self._wake.add(changed)
        try:
            await changed
        finally:
            self._wake.discard(changed)

    def _changed(self) -> None:
        for wake in self._wake:
            if not wake.done():
                wake.set_result(None)

    def _over(self, close: FrameClose) -> None:
        self._playout.cut()
        if not self.closed.done():
            self.closed.set_result(close)
        self._changed()

    def _heard(self, pcm: bytes) -> None:
        self._screen.sound("agent", pcm)
        self._changed()

    def _send(self, frame: dict[str, Any]) -> None:
        if self._socket.open:
            self._socket.send(json.dumps(frame, separators=(",", ":")))

    def _frame(self, text: str) -> None:
        frame = parsed_object(text)
        if frame is not None:
            self._told(frame.get("type"), frame)
            self._changed()

    def _told(self, kind: object, frame: dict[str, Any]) -> None:
        item_id = frame.get("item_id") or ""
        if kind == "session.created":
            self._live = True
        elif kind == "parley.event":
            self._entry(frame["event"])
        elif kind == "input_audio_buffer.speech_started":
            self._turn_ended_s = None
            self._cut_response = self._responding
            self.interrupt(cancel=False)
        elif kind == "input_audio_buffer.speech_stopped":
            self._turn_ended_s = self._loop.time()
            self._began_s = None
        elif kind == "conversation.item.input_audio_transcription.delta":
            self._words("you", item_id, frame.get("delta") or "")
        elif kind == "conversation.item.input_audio_transcription.completed":
            self._final("you", item_id, frame.get("transcript") or "")
        elif kind == "response.created":
            self._responding = (frame.get("response") or {}).get("id") or "response"
            self._began_s = self._loop.time()
        elif kind == "response.done":
            self._responding = None
            # One without a word, such as the call of a tool, answers nothing yet.
            if self._tools == 0:
                self._turn_ended_s = None
        elif kind == "response.output_audio.delta":
            if frame.get("response_id") != self._cut_response or self._cut_response is None:
                self._first()
                self._playout.add(item_id, base64.b64decode(frame.get("delta") or ""))
        elif kind in ("response.output_audio_transcript.delta", "response.output_text.delta"):
            self._first()
            self._words("agent", item_id, frame.get("delta") or "")
        elif kind in ("response.output_audio_transcript.done", "response.output_text.done"):
            self._final("agent", item_id, frame.get("transcript") or frame.get("text") or "")
        elif kind == "error":
            self._screen.problem(str((frame.get("error") or {}).get("message")))

    def _entry(self, entry: Mapping[str, Any]) -> None:
        kind = entry["type"]
        if kind == "tool.called":
            self._tools += 1
        elif kind in ("tool.completed", "tool.rejected"):
            self._tools = max(0, self._tools - 1)
        elif kind == "say.requested":
            self._saying += 1
        elif kind == "say.completed":
            self._saying = max(0, self._saying - 1)
        self._screen.entry(entry)

    def _first(self) -> None:
        if self._turn_ended_s is None:
            return
        first_ms = (self._loop.time() - self._turn_ended_s) * 1000
        began_ms = None if self._began_s is None else (self._began_s - self._turn_ended_s) * 1000
        self._turn_ended_s = None
        self._screen.answered(first_ms, began_ms)

    def _words(self, who: Who, item_id: str, delta: str) -> None:
        words = self._partial.get(item_id, "") + delta
        self._partial[item_id] = words
        self._screen.words(who, words, False)

    def _final(self, who: Who, item_id: str, words: str) -> None:
        self._partial.pop(item_id, None)
        if words.strip():
            self._screen.words(who, words, True)
