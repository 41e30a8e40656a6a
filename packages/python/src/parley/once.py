"""Work that many may ask for at once, and that is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Begins when it is asked for; whoever asks gets the same. Where it failed, the next one who asks tries again."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work
        self._task: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Raises what the work raised. One that gives up waiting takes nothing from the others."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
            self._task.add_done_callback(self._done)
        return await asyncio.shield(self._task)

    async def forget(self) -> T | None:
        """What was done, or is being done and then waited for. The next one who asks begins anew."""
        task, self._task = self._task, None
        if task is None:
            return None
        await asyncio.wait({task})
        return None if task.cancelled() or task.exception() is not None else task.result()

    def _done(self, task: asyncio.Task[T]) -> None:
        # Asked for here, because all who wanted to hear it may have given up.
        if (task.cancelled() or task.exception() is not None) and self._task is task:
            self._task = None
