"""What a session that is kept in this process has under way: connecting, functions, its handler."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from parley.errors import ParleyError
from parley.log import Log

from .log import LocalLog


class LocalWork:
    def __init__(self, entries: LocalLog, log: Log) -> None:
        self._entries = entries
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begins it, and holds it to its end. What it raises ends the call."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            # A mistake of ours: the call cannot go on as if nothing had happened.
            self._log.error("a session failed inside", exc_info=failure)
            error = ParleyError.of(failure, "internal")
            lost = {"type": "provider.disconnected", "code": 1006, "reason": "", "error": error.to_object()}
            self._entries.append(lost)
