"""Agents that were made and warmed before anybody called, kept by the configuration that they were made of: an agent of
one configuration is never given to another, though both are of one class."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from parley.errors import ParleyError
from parley.log import Log

if TYPE_CHECKING:
    from parley.agent import Agent


class _Shelf:
    def __init__(self) -> None:
        self.ready: deque[Agent] = deque()
        self.making = 0


class WarmPool:
    """``size`` ready agents for each configuration; past ``configurations_max`` the one asked for longest ago goes."""

    def __init__(self, size: int, configurations_max: int, make: Callable[[Any], Awaitable[Agent]], log: Log) -> None:
        self._size = size
        self._max = configurations_max
        self._make = make
        self._log = log
        self._shelves: OrderedDict[str, _Shelf] = OrderedDict()
        self._filling: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        """Ready agents."""
        return sum(len(shelf.ready) for shelf in self._shelves.values())

    def take(self, configuration: Any) -> Agent | None:
        """A ready one of this very configuration, or None. Either way the next ones are being made."""
        if self._size == 0 or self._closed:
            return None
        shelf = self._shelf(configuration)
        made = shelf.ready.popleft() if shelf.ready else None
        task = asyncio.get_running_loop().create_task(self._fill(configuration))
        self._filling.add(task)
        task.add_done_callback(self._filling.discard)
        return made

    async def warm(self, configuration: Any) -> None:
        """Returns when as many as are wanted are ready. Raises what making one raised."""
        shelf = self._shelf(configuration)
        missing = max(0, self._size - len(shelf.ready) - shelf.making)
        await asyncio.gather(*(self._one(shelf, configuration) for _ in range(missing)))

    def close(self) -> None:
        self._closed = True
        self._shelves.clear()
        for task in self._filling:
            task.cancel()

    async def _fill(self, configuration: Any) -> None:
        try:
            await self.warm(configuration)
        except Exception as failure:  # noqa: BLE001 - the next start of it makes its own, and is told if that fails too
            error = ParleyError.of(failure)
            self._log.warning("an agent could not be warmed", code=error.code, message=error.message)

    async def _one(self, shelf: _Shelf, configuration: Any) -> None:
        shelf.making += 1
        try:
            made = await self._make(configuration)
            if not self._closed and shelf in self._shelves.values():
                shelf.ready.append(made)
        finally:
            shelf.making -= 1

    def _shelf(self, configuration: Any) -> _Shelf:
        key = json.dumps(configuration, sort_keys=True)
        shelf = self._shelves.pop(key, None) or _Shelf()
        # The one that was asked for last is at the end.
        self._shelves[key] = shelf
        if len(self._shelves) > self._max:
            self._shelves.popitem(last=False)
        return shelf
