"""Sockets of JSON texts: what stands between a client, a session and a model, whatever carries it.

P1  Frames come in the order in which they were sent, and none after the close.
P2  ``on_close`` is told once, whoever listens.
P3  A socket that is paused takes nothing from its peer but what is under way already.
"""

from __future__ import annotations

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from .ids import new_id

_TYPE_FIRST = re.compile(r'\s*\{\s*"type"\s*:\s*"([^"\\]*)"')
_PLAIN_APPEND = re.compile(r'\{"type":"input_audio_buffer\.append","audio":"[^"\\]*"\}')
_SOUND = ('"delta":"', '"audio":"', '"delta": "', '"audio": "')


class FrameClose(NamedTuple):
    """WebSocket close code, 1006 for a cut connection, and its reason."""

    code: int
    reason: str


def frame_type(frame: str) -> str | None:
    """The ``type`` of a frame, read from its beginning; None when it is no object with one.

    Only of a peer that sends each key once: a parser takes the last of two.
    """
    found = _TYPE_FIRST.match(frame)
    if found:
        return found[1]
    event = parsed_object(frame)
    kind = None if event is None else event.get("type")
    return kind if isinstance(kind, str) else None


def is_plain_append(frame: str) -> bool:
    """True when it is sound of a user and nothing else, whoever sent it: it may be passed on unparsed."""
    return _PLAIN_APPEND.fullmatch(frame) is not None


def audio_bytes(frame: str) -> int:
    """Bytes of the sound in a frame of sound; nothing is decoded."""
    for key in _SOUND:
        start = frame.find(key)
        if start < 0:
            continue
        start += len(key)
        end = frame.find('"', start)
        if end < 0:
            return 0
        padding = 2 if frame.endswith("==", start, end) else int(frame.endswith("=", start, end))
        return (end - start) * 3 // 4 - padding
    return 0


def parsed_object(frame: str) -> dict[str, Any] | None:
    """A frame as an object; None when it is not one JSON object."""
    try:
        value = json.loads(frame)
    except (ValueError, RecursionError):
        # The caller says what was expected.
        return None
    return value if isinstance(value, dict) else None


class FrameSocket(ABC):
    """One end of a connection. Belongs to one event loop."""

    def __init__(self) -> None:
        self.id = new_id("link")
        #: Whether the client asked for the entries of the session's log besides the frames of the call.
        self.wants_events = False
        self._listener: Callable[[str], None] | None = None
        self._close_listeners: list[Callable[[FrameClose], None]] = []
        self._held: deque[str] = deque()
        self._held_chars = 0
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._close: FrameClose | None = None

    @property
    def open(self) -> bool:
        return self._close is None

    @property
    @abstractmethod
    def buffered(self) -> int:
        """Characters that were sent and that the peer has not taken."""

    @abstractmethod
    def send(self, frame: str) -> None:
        """Sends a frame. Does nothing once it is closed."""

    @abstractmethod
    def close(self, code: int = 1000, reason: str = "") -> None:
        """Says goodbye after what was sent."""

    @abstractmethod
    def terminate(self) -> None:
        """Cuts it."""

    def on_frame(self, listener: Callable[[str], None]) -> None:
        """The one listener of frames; what came before it is told now."""
        self._listener = listener
        self._flush()

    def on_close(self, listener: Callable[[FrameClose], None]) -> None:
        if self._close is None:
            self._close_listeners.append(listener)
        else:
            asyncio.get_running_loop().call_soon(listener, self._close)

    def pause(self) -> None:
        self._resumed.clear()

    def resume(self) -> None:
        self._resumed.set()
        self._flush()

    # --- for drivers

    def _came(self, frame: str) -> None:
        self._held.append(frame)
        self._held_chars += len(frame)
        self._flush()

    def _ended(self, code: int, reason: str) -> None:
        if self._close is not None:
            return
        self._flush()
        self._close = FrameClose(code, reason)
        # A reader that waits for its listener has nothing to wait for any more.
        self._resumed.set()
        self._held.clear()
        self._held_chars = 0
        listeners, self._close_listeners = self._close_listeners, []
        for listener in listeners:
            listener(self._close)

    def _flush(self) -> None:
        while self._held and self._listener is not None and self._resumed.is_set() and self._close is None:
            frame = self._held.popleft()
            self._held_chars -= len(frame)
            self._listener(frame)


class _MemorySocket(FrameSocket):
    """What is sent arrives in the next turn of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.peer: _MemorySocket
        self._loop = asyncio.get_running_loop()
        self._under_way = 0
        self._said_goodbye = False

    @property
    def buffered(self) -> int:
        return self._under_way + self.peer._held_chars

    def send(self, frame: str) -> None:
        if self._close is not None or self._said_goodbye:
            return
        self._under_way += len(frame)
        self._loop.call_soon(self._arrive, frame)

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self._said_goodbye:
            return
        self._said_goodbye = True
        self._loop.call_soon(self._both_end, code, reason)

    def terminate(self) -> None:
        self._said_goodbye = True
        self._both_end(1006, "")

    def _arrive(self, frame: str) -> None:
        self._under_way -= len(frame)
        if self.peer._close is None:
            self.peer._came(frame)

    def _both_end(self, code: int, reason: str) -> None:
        self.peer._ended(code, reason)
        self._ended(code, reason)


def memory_pair() -> tuple[FrameSocket, FrameSocket]:
    """Two ends of a connection within one event loop."""
    one, other = _MemorySocket(), _MemorySocket()
    one.peer, other.peer = other, one
    return one, other


class PumpedSocket(FrameSocket):
    """A socket whose library reads and writes in coroutines: one task for each direction."""

    #: How long a goodbye may take before the connection is cut.
    _CLOSE_S = 2.0

    def __init__(self) -> None:
        super().__init__()
        self._out: deque[str] = deque()
        self._buffered = 0
        self._goodbye: tuple[int, str] | None = None
        self._something = asyncio.Event()
        self._writer = asyncio.ensure_future(self._write())

    @property
    def buffered(self) -> int:
        return self._buffered

    def send(self, frame: str) -> None:
        if self._close is not None or self._goodbye is not None:
            return
        self._out.append(frame)
        self._buffered += len(frame)
        self._something.set()

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self._goodbye is not None or self._close is not None:
            return
        # A close frame has room for 123 bytes.
        self._goodbye = (code, reason.encode()[:123].decode(errors="ignore"))
        self._something.set()

    def terminate(self) -> None:
        self._abort()
        self._over(1006, "")

    async def pump(self) -> None:
        """Reads until the end. Whoever made the socket runs this."""
        code, reason = 1006, ""
        try:
            while True:
                await self._resumed.wait()
                if self._close is not None:
                    return
                frame = await self._read()
                if frame is None:
                    code, reason = self._closed_with()
                    return
                self._came(frame)
        finally:
            self._over(code, reason)

    def _over(self, code: int, reason: str) -> None:
        self._writer.cancel()
        self._ended(code, reason)

    async def _write(self) -> None:
        try:
            while True:
                await self._something.wait()
                self._something.clear()
                while self._out:
                    frame = self._out.popleft()
                    await self._put(frame)
                    self._buffered -= len(frame)
                if self._goodbye is not None:
                    await asyncio.wait_for(self._bye(*self._goodbye), self._CLOSE_S)
                    return
        except (OSError, asyncio.TimeoutError):
            # The reader hears of the end of a connection that it belongs to; one that does not answer is cut.
            self._abort()

    @abstractmethod
    async def _read(self) -> str | None:
        """The next text; None at the end."""

    @abstractmethod
    async def _put(self, frame: str) -> None:
        """Writes; raises OSError when it is gone."""

    @abstractmethod
    async def _bye(self, code: int, reason: str) -> None: ...

    @abstractmethod
    def _closed_with(self) -> tuple[int, str]: ...

    @abstractmethod
    def _abort(self) -> None: ...
