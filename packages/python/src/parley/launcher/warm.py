"""What was made and warmed before anybody called, kept by the configuration that it was made of: an agent of one
configuration is never given to another, though both are of one class."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from parley.errors import ParleyError
from parley.log import Log

#: An agent, or a place with one in it.
Made = TypeVar("Made")


class _Shelf(Generic[Made]):
    def __init__(self) -> None:
        self.ready: deque[Made] = deque()
        self.making = 0


class WarmPool(Generic[Made]):
    """``size`` ready ones for each configuration; past ``configurations_max`` the one asked for longest ago goes."""

    def __init__(
        self,
        size: int,
        configurations_max: int,
        make: Callable[[Any], Awaitable[Made]],
        log: Log,
        *,
        drop: Callable[[Made], None] = lambda _: None,
        what: str = "an agent",
    ) -> None:
        """``drop`` is given what was made for nothing; ``what`` it is that is made is said in the log."""
        self._size = size
        self._max = configurations_max
        self._make = make
        self._log = log
        self._drop = drop
        self._what = what
        self._shelves: OrderedDict[str, _Shelf[Made]] = OrderedDict()
        self._filling: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        """Ready ones."""
        return sum(len(shelf.ready) for shelf in self._shelves.values())

    def take(self, configuration: Any) -> Made | None:
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
        """Returns when as many as are wanted are ready, or it is closed. Raises what making one raised."""
        if self._closed:
            return
        shelf = self._shelf(configuration)
        missing = max(0, self._size - len(shelf.ready) - shelf.making)
        await asyncio.gather(*(self._one(shelf, configuration) for _ in range(missing)))

    def forget(self, made: Made) -> bool:
        """A ready one came to its end before anybody wanted it. False when it is not here."""
        for shelf in self._shelves.values():
            if made in shelf.ready:
                shelf.ready.remove(made)
                return True
        return False

    def close(self) -> set[asyncio.Task[None]]:
        """Returns what is still being made: it is cancelled, and can be waited for."""
        self._closed = True
        for shelf in self._shelves.values():
            self._clear(shelf)
        self._shelves.clear()
        for task in self._filling:
            task.cancel()
        return set(self._filling)

    async def _fill(self, configuration: Any) -> None:
        try:
            await self.warm(configuration)
        except Exception as failure:  # noqa: BLE001 - the next start of it makes its own, and is told if that fails too
            error = ParleyError.of(failure)
            self._log.warning(f"{self._what} could not be warmed", code=error.code, message=error.message)

    async def _one(self, shelf: _Shelf[Made], configuration: Any) -> None:
        shelf.making += 1
        try:
            made = await self._make(configuration)
            if self._closed or shelf not in self._shelves.values():
                self._drop(made)
            else:
                shelf.ready.append(made)
        finally:
            shelf.making -= 1

    def _shelf(self, configuration: Any) -> _Shelf[Made]:
        key = json.dumps(configuration, sort_keys=True)
        shelf = self._shelves.pop(key, None) or _Shelf()
        # The one that was asked for last is at the end.
        self._shelves[key] = shelf
        if len(self._shelves) > self._max:
            self._clear(self._shelves.popitem(last=False)[1])
        return shelf

    def _clear(self, shelf: _Shelf[Made]) -> None:
        while shelf.ready:
            self._drop(shelf.ready.popleft())
