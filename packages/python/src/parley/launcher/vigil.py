"""The two clocks of one session: how long it has been alone in its call, and how long it may last. Each warns first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

from .notice import Notice

Expiry = Literal["idle_timeout", "max_duration"]


class VigilPorts(Protocol):
    def warn(self, notice: Notice) -> None: ...

    def expired(self, reason: Expiry) -> None: ...


class Vigil:
    """Begins with the session in its call, alone. An ``idle_ms`` of 0 and a ``duration_ms`` of None are for ever."""

    def __init__(self, idle_ms: int, duration_ms: int | None, warning_ms: int, ports: VigilPorts) -> None:
        self._idle_ms = idle_ms
        self._warning_ms = warning_ms
        self._ports = ports
        self._timers: dict[Expiry, asyncio.TimerHandle] = {}
        #: Who is in the call besides the agent.
        self._others = 0
        self._over = False
        if duration_ms is not None:
            self._count_down("max_duration", duration_ms)
        self.touch()

    def touch(self, others: int | None = None) -> None:
        """Somebody did something, so the time alone begins anew."""
        if others is not None:
            self._others = others
        self._clear("idle_timeout")
        if not self._over and self._idle_ms > 0 and self._others == 0:
            self._count_down("idle_timeout", self._idle_ms)

    def joined(self) -> None:
        self.touch(self._others + 1)

    def left(self) -> None:
        self.touch(max(0, self._others - 1))

    def stop(self) -> None:
        self._over = True
        self._clear("idle_timeout")
        self._clear("max_duration")

    def _count_down(self, reason: Expiry, ms: int) -> None:
        warning_ms = min(self._warning_ms, ms)

        def warn() -> None:
            # Set first: what the warning does may stop or touch this vigil.
            self._set(reason, warning_ms, lambda: self._ports.expired(reason))
            self._ports.warn(Notice(reason, warning_ms))

        self._set(reason, ms - warning_ms, warn)

    def _set(self, reason: Expiry, ms: int, run: Callable[[], None]) -> None:
        self._timers[reason] = asyncio.get_running_loop().call_later(ms / 1000, run)

    def _clear(self, reason: Expiry) -> None:
        timer = self._timers.pop(reason, None)
        if timer is not None:
            timer.cancel()
