"""Who may start. A place is taken in the same turn in which the limits are looked at, so no two starts can take one.

P1  Never more places than ``sessions_max``, and never more of one call than ``per_call_max``.
P2  Whoever waits is admitted in the order of coming; one whose call is full lets those behind it pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parley.errors import ParleyError

RETRY_AFTER_MS = 2_000


class Waiting:
    """Whoever waits for a place; ``admitted`` is called once one was taken for it."""

    def __init__(self, call_id: str, admitted: Callable[[], None]) -> None:
        self.call_id = call_id
        self.admitted = admitted


class Admission:
    def __init__(self, *, sessions_max: int, per_call_max: int | None, queue_max: int) -> None:
        self.sessions_max = sessions_max
        self._per_call_max = per_call_max
        self._queue_max = queue_max
        self._of_call: dict[str, int] = {}
        self._queue: dict[Waiting, None] = {}
        #: Places that are taken.
        self.taken = 0

    @property
    def queued(self) -> int:
        return len(self._queue)

    def take(self, call_id: str) -> None:
        """Takes a place. Raises ParleyError ``resource_exhausted`` with ``reason``, ``limit`` and ``current``."""
        full = self._full(call_id)
        if full is not None:
            words = (
                f"call {call_id} is at its limit of {full['limit']} sessions"
                if full["reason"] == "call_limit"
                else f"this launcher is at its limit of {full['limit']} sessions"
            )
            raise _exhausted(words, full)
        self._hold(call_id)

    def take_or_wait(self, waiting: Waiting) -> bool:
        """Takes a place now, or waits for one. Whether it was taken. Raises ParleyError when the queue is full."""
        full = self._full(waiting.call_id)
        if full is None:
            self._hold(waiting.call_id)
            return True
        if len(self._queue) >= self._queue_max:
            words = f"{len(self._queue)} starts wait for a place already"
            raise _exhausted(words, {**full, "queue_limit": self._queue_max, "queued": len(self._queue)})
        self._queue[waiting] = None
        return False

    def place_of(self, waiting: Waiting) -> int | None:
        """Its place in the queue, from 1; None when it does not wait."""
        return next((place for place, one in enumerate(self._queue, 1) if one is waiting), None)

    def leave(self, waiting: Waiting) -> bool:
        """Gives up waiting. Whether it waited."""
        if waiting not in self._queue:
            return False
        del self._queue[waiting]
        return True

    def release(self, call_id: str) -> None:
        """Gives a place back, and the next one that fits takes it."""
        left = self._of_call.get(call_id, 1) - 1
        if left > 0:
            self._of_call[call_id] = left
        else:
            self._of_call.pop(call_id, None)
        self.taken -= 1
        for waiting in list(self._queue):
            if self.taken >= self.sessions_max:
                return
            # One that was admitted may have ended in that moment, and others with it.
            if waiting not in self._queue or self._full(waiting.call_id) is not None:
                continue
            del self._queue[waiting]
            self._hold(waiting.call_id)
            waiting.admitted()

    def _hold(self, call_id: str) -> None:
        self.taken += 1
        self._of_call[call_id] = self._of_call.get(call_id, 0) + 1

    def _full(self, call_id: str) -> dict[str, Any] | None:
        of_call, limit = self._of_call.get(call_id, 0), self._per_call_max
        if limit is not None and of_call >= limit:
            return {"reason": "call_limit", "limit": limit, "current": of_call}
        if self.taken < self.sessions_max:
            return None
        return {"reason": "node_at_capacity", "limit": self.sessions_max, "current": self.taken}


def _exhausted(words: str, details: dict[str, Any]) -> ParleyError:
    return ParleyError("resource_exhausted", words, retry_after_ms=RETRY_AFTER_MS, details=details)
