"""Threads for what blocks. They are daemons: one that never returns cannot keep the process from ending."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any

#: Seconds that a thread without work stays for the next.
_IDLE_S = 10.0

_Work = Callable[[], None]


class Threads:
    """Runs functions in threads, and keeps idle threads for the next. Whoever calls bounds their number."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[_Work] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def run(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Starts a function. The future belongs to the running loop; cancelling it does not stop the thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()

        def work() -> None:
            try:
                value = context.run(function)
            except BaseException as error:  # noqa: BLE001 - it is raised where the future is awaited
                raised = _sound(error)
                self._tell(loop, lambda: _fail(future, raised))
            else:
                self._tell(loop, lambda: _resolve(future, value))

        with self._lock:
            reuse = self._idle > 0
            if reuse:
                self._idle -= 1
        if reuse:
            self._work.put(work)
        else:
            threading.Thread(target=self._serve, args=(work,), name="parley", daemon=True).start()
        return future

    def _serve(self, work: _Work) -> None:
        while True:
            work()
            with self._lock:
                self._idle += 1
            try:
                work = self._work.get(timeout=_IDLE_S)
            except queue.Empty:
                with self._lock:
                    if self._idle > 0:
                        self._idle -= 1
                        return
                # Somebody counted on this thread in the same moment: its work is on the way.
                work = self._work.get()

    def _tell(self, loop: asyncio.AbstractEventLoop, what: Callable[[], Any]) -> None:
        # A thread that outlived the loop has nobody to tell.
        if not loop.is_closed():
            loop.call_soon_threadsafe(what)


def _resolve(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _sound(error: BaseException) -> BaseException:
    """Futures take no StopIteration; and what would end a program ends a thread, and not the event loop that waits."""
    unsound = isinstance(error, (StopIteration, SystemExit, KeyboardInterrupt))
    return RuntimeError(f"{type(error).__name__}: {error}") if unsound else error
