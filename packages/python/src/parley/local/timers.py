"""The timers of a session that is kept in this process: one of each name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from parley.session_log import Timer

#: asyncio takes longer waits, the log does not need them.
_MS_MAX = 0x7FFFFFFF


class LocalTimers:
    """``fired`` is told as the event that a timer is in the log."""

    def __init__(self, fired: Callable[[dict[str, Any]], None]) -> None:
        self._fired = fired
        self._loop = asyncio.get_running_loop()
        self._handles: dict[Timer, asyncio.TimerHandle] = {}

    def set(self, timer: Timer, ms: float) -> None:
        """One that is set already begins anew."""
        self.clear(timer)
        event = {"type": "timer.fired", "timer": timer}
        self._handles[timer] = self._loop.call_later(min(ms, _MS_MAX) / 1000, self._fired, event)

    def clear(self, timer: Timer) -> None:
        handle = self._handles.pop(timer, None)
        if handle is not None:
            handle.cancel()

    def close(self) -> None:
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()
