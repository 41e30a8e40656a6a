"""Frames on their way out, in order. They wait here while there is no link or the server does not read; a full outbox
is an answer. Results of executions do not pass through it: they are kept until the server has them (results.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .connection import Connection
from .errors import ParleyError
from .json_text import dumps
from .link import Link


class Posted:
    """A frame that waits, or was sent."""

    def __init__(self, text: str, over: Connection | None, sent: Callable[[Connection], None]) -> None:
        self.text = text
        #: The connection that it belongs to; once that has ended, any other.
        self.over = over
        self.sent = sent


class Outbox:
    def __init__(self, link: Link, *, frames_max: int, bytes_max: int) -> None:
        self._link = link
        self._frames_max = frames_max
        self._bytes_max = bytes_max
        self._waiting: dict[Posted, None] = {}
        self._bytes = 0

    def route(self, over: Connection | None) -> Connection | None:
        """The connection that a frame of ``over`` goes to now."""
        if over is not None and over.up:
            return over
        current = self._link.current
        return current if current is not None and current.up else None

    def post(
        self, frame: Any, over: Connection | None = None, sent: Callable[[Connection], None] = lambda _: None
    ) -> Posted:
        """Sends a frame, now or as soon as there is a link.

        Raises ParleyError ``resource_exhausted`` when too many wait already.
        """
        posted = Posted(dumps(frame), over, sent)
        if not self._waiting and self._send(posted):
            return posted
        size = self._bytes + len(posted.text)
        if len(self._waiting) >= self._frames_max or size > self._bytes_max:
            raise ParleyError(
                "resource_exhausted",
                f"{len(self._waiting)} frames already wait for the agent link",
                details={"frames_max": self._frames_max, "bytes_max": self._bytes_max},
            )
        self._bytes = size
        self._waiting[posted] = None
        return posted

    def withdraw(self, posted: Posted) -> bool:
        """Takes back a frame. False when it was sent already."""
        if posted not in self._waiting:
            return False
        del self._waiting[posted]
        self._bytes -= len(posted.text)
        return True

    def flush(self) -> None:
        """Sends what waits, as far as the link takes it."""
        for posted in list(self._waiting):
            if not self._send(posted):
                return
            self.withdraw(posted)

    def _send(self, posted: Posted) -> bool:
        connection = self.route(posted.over)
        if connection is None or not connection.send(posted.text):
            return False
        posted.sent(connection)
        return True
