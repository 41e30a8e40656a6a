"""Threads and processes that were begun, loaded and warmed before a session came for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from parley.errors import ParleyError
from parley.log import Log

from .isolate import Report
from .isolated import Hearing, Place
from .options import LauncherOptions
from .warm import WarmPool


class WarmPlaces:
    """Ready places for each configuration; each is given to one session, or ended by ``close``."""

    def __init__(self, size: int, options: LauncherOptions, place: Callable[[Hearing], Place], log: Log) -> None:
        self._options = options
        self._place = place
        self._log = log
        self._pool: WarmPool[Place] = WarmPool(
            size, options.warm_configurations_max, self._make, log, drop=self._end, what="a place"
        )
        #: Those that no session has, ready or not yet.
        self._idle: dict[Place, _Warming] = {}
        self._ending: dict[Place, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """Places that are ready."""
        return len(self._pool)

    def take(self, configuration: Any, hearing: Hearing) -> Place | None:
        """A ready one of this very configuration, which tells ``hearing`` from here on, or None."""
        place = self._pool.take(configuration)
        if place is not None:
            del self._idle[place]
            place.hand_to(hearing)
        return place

    async def warm(self, configuration: Any) -> None:
        """Returns when as many as are wanted are ready. Raises what making one raised."""
        await self._pool.warm(configuration)

    async def close(self) -> None:
        """Returns when nothing of them runs any more. A thread that does not return is not waited for."""
        making = self._pool.close()
        for place, warming in list(self._idle.items()):
            warming.crashed("its launcher stopped")
            self._end(place)
        ending = {*making, *self._ending.values()}
        if ending:
            await asyncio.wait(ending, timeout=self._options.close_ms / 1000)

    async def _make(self, configuration: Any) -> Place:
        warming = _Warming(self._log, lambda: self._lost(place))
        place = self._place(warming)
        self._idle[place] = warming
        try:
            await place.prepare(configuration)
            await warming.ready
            # It may have been ready, and have ended in the same turn.
            if warming.failure is not None:
                raise warming.failure
        except BaseException:
            self._end(place)
            raise
        return place

    def _lost(self, place: Place) -> None:
        """It ended; where it was ready, the next start makes its own."""
        if place in self._idle and self._pool.forget(place):
            failure = self._idle[place].failure
            words = None if failure is None else failure.message
            self._log.warning("a warm place ended before its session came", isolation=place.name, message=words)
            self._end(place)

    def _end(self, place: Place) -> None:
        self._idle.pop(place, None)
        if place in self._ending:
            return
        task = asyncio.get_running_loop().create_task(place.kill())
        self._ending[place] = task
        task.add_done_callback(lambda _: self._ending.pop(place, None))


class _Warming:
    """Hears a place until its session comes."""

    def __init__(self, log: Log, lost: Callable[[], None]) -> None:
        self._log = log
        self._lost = lost
        #: Settles when it is ready, or has failed.
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.failure: ParleyError | None = None

    def report(self, report: Report) -> None:
        kind = report["type"]
        if kind == "ready" and not self.ready.done():
            self.ready.set_result(None)
        elif kind == "log":
            self._log.log(report["level"], report["message"], **report["fields"])
        elif kind == "ended":
            self._failed(ParleyError.of(report["error"]))

    def crashed(self, why: str) -> None:
        self._failed(ParleyError("internal", f"it crashed before its session came: {why}"))

    def _failed(self, failure: ParleyError) -> None:
        if self.failure is not None:
            return
        self.failure = failure
        if not self.ready.done():
            self.ready.set_result(None)
        self._lost()
