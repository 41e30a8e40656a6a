"""Results that the server has not said to be on disk. They are kept over a cut link and sent again until
``execution.settled`` comes."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic
from typing import Any

from .connection import Connection
from .json_text import dumps


class _Kept:
    def __init__(self, text: str, over: Connection | None) -> None:
        self.text = text
        self.over = over
        self.sent_at = -math.inf


class Results:
    def __init__(self, route: Callable[[Connection | None], Connection | None], bytes_max: int) -> None:
        self._route = route
        self._bytes_max = bytes_max
        self._kept: dict[str, _Kept] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, execution_id: str) -> bool:
        return execution_id in self._kept

    def ids(self) -> list[str]:
        return list(self._kept)

    def uses(self, connection: Connection) -> bool:
        """True while a result waits for the server at the other end of this connection."""
        return any(kept.over is connection for kept in self._kept.values())

    def keep(self, result: dict[str, Any], over: Connection | None) -> None:
        """Keeps a result (``execution_id``, ``status``, ``output`` or ``error``) and sends it."""
        execution_id = result["execution_id"]
        text = dumps({"type": "execution.result", **result})
        if self._bytes + len(text) > self._bytes_max:
            # An execution always ends with a result, so the one that finds no room ends with this.
            words = f"its output could not be kept: {self._bytes_max} bytes of results wait for the control plane"
            error = {"code": "resource_exhausted", "message": words, "retryable": False}
            text = dumps({"type": "execution.result", "execution_id": execution_id, "status": "failed", "error": error})
        self._bytes += len(text)
        self._kept[execution_id] = _Kept(text, over)
        self.repeat(execution_id)

    def repeat(self, execution_id: str) -> None:
        """Sends a kept result, again or for the first time."""
        kept = self._kept.get(execution_id)
        if kept is None:
            return
        connection = self._route(kept.over)
        if connection is not None and connection.send(kept.text):
            kept.sent_at = monotonic()

    def repeat_all(self, older_ms: float) -> None:
        """Sends every result that was not sent within the last ``older_ms``."""
        before = monotonic() - older_ms / 1000
        for execution_id, kept in list(self._kept.items()):
            if kept.sent_at <= before:
                self.repeat(execution_id)

    def resumed(self, wanted: set[str]) -> None:
        """After a cut: what the server does not want is forgotten. Results of other live links are left."""
        for execution_id, kept in list(self._kept.items()):
            if execution_id in wanted:
                self.repeat(execution_id)
            elif kept.over is None or not kept.over.up:
                self.settled(execution_id)

    def settled(self, execution_id: str) -> None:
        """The server has it, or does not want it."""
        kept = self._kept.pop(execution_id, None)
        if kept is not None:
            self._bytes -= len(kept.text)
