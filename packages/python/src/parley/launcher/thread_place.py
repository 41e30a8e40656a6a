"""A thread with an event loop of its own, for one session. It shares the program's memory: nothing is loaded twice."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from .context import AgentRequest
from .isolate import Isolate, Report
from .options import LauncherOptions
from .unit import UnitOrder

if TYPE_CHECKING:
    from parley.agent import Agent

    from .isolated import Hearing


class _GivenUp(SystemExit):
    """Raised in a thread whose session is over: it ends the loop there, and is nobody's failure."""


class ThreadPlace:
    name = "thread"

    def __init__(
        self,
        hearing: Hearing,
        options: LauncherOptions,
        make: Callable[[AgentRequest], Awaitable[Agent]],
    ) -> None:
        self._hearing = hearing
        self._options = options
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._inner: asyncio.AbstractEventLoop | None = None
        self._isolate: Isolate | None = None
        self._running: asyncio.Task[None] | None = None
        self._waiting: list[Mapping[str, Any]] = []
        self._killed = False
        self._finished = False
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Future[None] = self._loop.create_future()

    def hand_to(self, hearing: Hearing) -> None:
        self._hearing = hearing

    async def prepare(self, configuration: Any) -> None:
        self._start({"type": "prepare", "configuration": configuration}, "parley-warm")

    async def begin(self, order: UnitOrder) -> None:
        begin = {"type": "begin", "order": vars(order)}
        if self._thread is None:
            self._start(begin, order.session_id)
        else:
            self._thread.name = order.session_id
            self.post(begin)

    def _start(self, first: Mapping[str, Any], name: str) -> None:
        # A daemon: one that never returns cannot keep the process from ending.
        self._thread = threading.Thread(target=self._main, args=(first,), name=name, daemon=True)
        self._thread.start()

    def post(self, order: Mapping[str, Any]) -> None:
        with self._lock:
            if self._inner is None or self._isolate is None:
                self._waiting.append(order)
                return
            inner, isolate = self._inner, self._isolate
        _call(inner, isolate.take, order)

    async def kill(self) -> None:
        thread = self._thread
        if thread is None:
            return
        with self._lock:
            self._killed = True
            inner, running = self._inner, self._running
        if inner is not None and running is not None:
            _call(inner, running.cancel)
        # One that is blocked hears nothing of that. What it runs is Python, or returns to it at some time.
        try:
            await asyncio.wait_for(asyncio.shield(self._ended), self._options.close_ms / 1000 / 2)
        except asyncio.TimeoutError:
            with self._lock:
                if thread.ident is not None and not self._finished:
                    ident = ctypes.c_ulong(thread.ident)
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(_GivenUp))
                    # It is raised in the next line of Python there, and a loop with nothing to do runs none.
                    if self._inner is not None:
                        _call(self._inner, _turn)
            await asyncio.shield(self._ended)

    def _main(self, first: Mapping[str, Any]) -> None:
        why: str | None = None
        try:
            asyncio.run(self._session(first))
        except BaseException as failure:  # noqa: BLE001 - it ends this session and no other
            why = str(failure) or type(failure).__name__
        try:
            self._finish(why)
        except _GivenUp:
            # It was given up in the moment in which it ended by itself. That happens once.
            self._finish(why)

    def _finish(self, why: str | None) -> None:
        with self._lock:
            self._finished = True
            self._inner = self._isolate = None
        _call(self._loop, self._over, why)

    async def _session(self, first: Mapping[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        isolate = Isolate(self._options, self._make, self._tell)
        with self._lock:
            self._running = loop.create_task(isolate.run(first))
            self._inner, self._isolate = loop, isolate
            # It was told to end before there was anything to be told: a loop with nothing to do would wait for ever.
            if self._killed:
                self._running.cancel()
            waiting, self._waiting = self._waiting, []
        for one in waiting:
            loop.call_soon(isolate.take, one)
        try:
            await self._running
        except asyncio.CancelledError:
            # It was told to end, and has.
            return

    def _tell(self, report: Report) -> None:
        _call(self._loop, self._heard, report)

    def _heard(self, report: Report) -> None:
        self._hearing.report(report)

    def _over(self, why: str | None) -> None:
        if not self._ended.done():
            self._ended.set_result(None)
        self._hearing.crashed(why or "it ended without a word")


def _turn() -> None: ...


def _call(loop: asyncio.AbstractEventLoop, what: Callable[..., Any], *arguments: Any) -> None:
    try:
        loop.call_soon_threadsafe(what, *arguments)
    except RuntimeError:
        # The loop is closed: nobody is there to hear it.
        return
