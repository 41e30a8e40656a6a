"""An event loop whose clock moves when there is nothing left to do: hours pass in a moment, in their order."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any


class _Selector(selectors.DefaultSelector):
    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing is left that anybody could wait for"
            self.now_s += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._selected = _Selector()
        super().__init__(self._selected)

    def time(self) -> float:
        return self._selected.now_s


def in_virtual_time(test: Callable[[], Awaitable[None]]) -> None:
    """Runs a test that waits for nothing but time."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(test())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def now_ms() -> int:
    return round(asyncio.get_running_loop().time() * 1000)
