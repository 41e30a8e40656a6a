"""The log of a session that is kept in this process: numbered, folded as it is written, and not stored.

P1  An event that comes while another one is told, or acted upon, is appended after it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any, Protocol

from parley.errors import ParleyError
from parley.session_log import PerformedEffect, SessionState, append


class LogPorts(Protocol):
    def tell(self, record: dict[str, Any]) -> None:
        """An entry was written."""

    def perform(self, effect: PerformedEffect) -> None:
        """What follows from it has to be done."""


class LocalLog:
    def __init__(self, session_id: str, ports: LogPorts) -> None:
        self._id = session_id
        self._ports = ports
        self._loop = asyncio.get_running_loop()
        self._epoch_s = time.time() - self._loop.time()
        self._waiting: deque[dict[str, Any]] = deque()
        self._telling = False
        #: What the entries so far come to.
        self.state = SessionState()

    def append(self, event: dict[str, Any]) -> None:
        self._waiting.append(event)
        if self._telling:
            return
        self._telling = True
        try:
            while self._waiting:
                self._apply(self._waiting.popleft())
        finally:
            self._telling = False

    def now_ms(self) -> int:
        """Unix milliseconds that never go back."""
        return round((self._epoch_s + self._loop.time()) * 1000)

    def check_open(self) -> None:
        """Raises ParleyError ``failed_precondition`` once the session ends."""
        phase = self.state.phase
        if phase in ("closing", "closed"):
            raise ParleyError("failed_precondition", f"session {self._id} is {phase}", retryable=False)

    def _apply(self, event: dict[str, Any]) -> None:
        phase = self.state.phase
        if phase == "closed" or (event["type"] == "session.closing" and phase == "closing"):
            return
        appended = append(self.state, event, self.now_ms())
        self.state = appended.state
        for record in appended.records:
            self._ports.tell(record)
        for effect in appended.effects:
            self._ports.perform(effect)
