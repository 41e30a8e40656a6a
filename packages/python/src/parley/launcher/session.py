"""One agent in one call, as whoever started it sees it. It can be read while it waits, while it runs, and for a while
after its end, whatever that was."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Literal, Protocol

from parley.errors import ParleyError
from parley.ids import new_id

from .call_metrics import CallMetrics
from .start import Start

#: ``queued`` waits for a place; ``starting`` until the agent has joined its call; ``failed`` says why in ``error``,
#: ``ended`` in ``reason``.
Status = Literal["queued", "starting", "active", "closing", "ended", "failed"]


class SessionOwner(Protocol):
    def close(self, session: LaunchedSession, reason: str = "closed") -> None: ...

    def place_of(self, session: LaunchedSession) -> int | None: ...


class LaunchedSession:
    def __init__(self, start: Start, owner: SessionOwner, id: str | None = None) -> None:
        self.id = id or new_id("session")
        self.call_id = start.call_id
        self.call_type = start.call_type
        self.input = start.input
        self.metadata = start.metadata
        #: Who started it: what ``can_start_session`` returned.
        self.principal = start.principal
        self.status: Status = "queued"
        #: Why it ended: ``client_left``, ``task_completed``, ``idle_timeout``, ``max_duration``, ``draining``, …
        self.reason: str | None = None
        self.error: ParleyError | None = None
        self.started_at = _now()
        self.active_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.metrics = CallMetrics()
        self._owner = owner
        self._changed = asyncio.Event()
        self._over = asyncio.Event()

    @property
    def over(self) -> bool:
        return self.status in ("ended", "failed")

    async def active(self) -> None:
        """Returns when the agent is in its call; raises the ParleyError of a session that ended before."""
        await self._changed.wait()
        if self.active_at is not None:
            return
        if self.error is not None:
            raise self.error
        words = f"session {self.id} ended: {self.reason}"
        raise ParleyError("failed_precondition", words, details={"reason": self.reason})

    async def finished(self) -> None:
        """Returns when it is over, however it ended."""
        await self._over.wait()

    async def close(self, reason: str = "closed") -> None:
        """Ends it; returns when it has ended. Again, or after the end, changes nothing."""
        self._owner.close(self, reason)
        await self.finished()

    def report(self) -> dict[str, Any]:
        """What the call was like: turns, answers, interruptions, tools, waiting times, usage."""
        return self.metrics.report()

    def to_dict(self) -> dict[str, Any]:
        """As it goes over the wire. Times are ISO 8601."""
        optional = {
            "active_at": self.active_at and self.active_at.isoformat(),
            "ended_at": self.ended_at and self.ended_at.isoformat(),
            "place": self._owner.place_of(self),
            "reason": self.reason,
            "error": self.error and self.error.to_object(),
            "owner": owner_of(self.principal),
        }
        return {
            "session_id": self.id,
            "call_id": self.call_id,
            "call_type": self.call_type,
            "status": self.status,
            "started_at": self.started_at.isoformat(),
            "metadata": dict(self.metadata),
            **{key: value for key, value in optional.items() if value is not None},
        }

    # --- for its launcher

    def became(self, status: Literal["starting", "active", "closing"], reason: str | None = None) -> None:
        # One that was told to close while it joined does not go back.
        if self.over or self.status == "closing":
            return
        self.status = status
        if status == "closing":
            self.reason = reason
        elif status == "active":
            self.active_at = _now()
            self._changed.set()

    def end(self, reason: str, error: ParleyError | None) -> None:
        if self.over:
            return
        self.ended_at = _now()
        self.reason, self.error = reason, error
        self.status = "failed" if error is not None else "ended"
        self._changed.set()
        self._over.set()


def owner_of(principal: Any) -> str | None:
    """A principal's name: itself when it is a string, or its ``id``. The rest of it is nobody else's business."""
    named = principal.get("id") if isinstance(principal, Mapping) else getattr(principal, "id", principal)
    return named if isinstance(named, str) else None


def _now() -> datetime:
    return datetime.now(timezone.utc)
