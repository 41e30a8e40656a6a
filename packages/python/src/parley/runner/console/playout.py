"""What is heard, in real time: models speak faster than anybody listens, and what was not heard can be taken back."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from .pcm import BYTES_PER_MS

_TICK_MS = 20
_ITEMS_MAX = 16


class CutAnswer(NamedTuple):
    """An answer that was cut, and how much of it was heard."""

    item_id: str
    played_ms: float


class Playout:
    def __init__(self, heard: Callable[[bytes], None]) -> None:
        """``heard`` takes what is heard now."""
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._pieces: deque[tuple[str, memoryview]] = deque()
        self._played: OrderedDict[str, int] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0

    @property
    def playing(self) -> bool:
        return bool(self._pieces)

    def add(self, item_id: str, pcm: bytes) -> None:
        if not pcm:
            return
        self._pieces.append((item_id, memoryview(pcm)))
        if self._timer is None:
            self._due_s = self._loop.time()
            self._tick()

    def cut(self) -> CutAnswer | None:
        """Takes back what was not heard. None when everything was."""
        pieces, self._pieces = self._pieces, deque()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not pieces:
            return None
        item_id = pieces[0][0]
        return CutAnswer(item_id, self._played.get(item_id, 0) / BYTES_PER_MS)

    def _tick(self) -> None:
        self._timer = None
        # A late timer plays what it missed.
        while self._pieces and self._due_s <= self._loop.time():
            self._play(_TICK_MS * BYTES_PER_MS)
            self._due_s += _TICK_MS / 1000
        if self._pieces:
            self._timer = self._loop.call_at(self._due_s, self._tick)

    def _play(self, left: int) -> None:
        while self._pieces and left > 0:
            item_id, pcm = self._pieces.popleft()
            taken, rest = pcm[:left], pcm[left:]
            left -= len(taken)
            if rest:
                self._pieces.appendleft((item_id, rest))
            self._played[item_id] = self._played.get(item_id, 0) + len(taken)
            # Only the answer that is heard now can be cut.
            if len(self._played) > _ITEMS_MAX:
                self._played.popitem(last=False)
            self._heard(bytes(taken))
