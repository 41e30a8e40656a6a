"""Runs one session in a thread or a process of its own.

P1  A blocked event loop ends the one session that it is in; in a process, so does any crash.
P2  Whoever does not end when told to is given up. A process is killed; a thread cannot be, and holds its place until it
    returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from parley.errors import ParleyError
from parley.frames import FrameClose, FrameSocket

from .isolate import Report
from .notice import Notice
from .options import LauncherOptions
from .unit import UnitEnd, UnitOrder, UnitPorts

#: Past this much unread a client is cut: it does not read.
_CLIENT_CHARS_MAX = 16 * 1024 * 1024
#: How much longer than its own watchdog a session's silence is borne.
_PATIENCE_S = 0.5


class Hearing(Protocol):
    """Whoever a place tells of itself, in the launcher's loop."""

    def report(self, report: Report) -> None:
        """It said something."""

    def crashed(self, why: str) -> None:
        """It ended; where it said so before, that counts."""


class Place(Protocol):
    """A thread or a process, as far as it matters here."""

    #: ``thread`` or ``process``.
    name: str

    def hand_to(self, hearing: Hearing) -> None:
        """Somebody else is told from here on: it was made before there was a session for it."""

    async def prepare(self, configuration: Any) -> None:
        """Makes the agent of a session that is still to come, and tells when it is ready."""

    async def begin(self, order: UnitOrder) -> None:
        """Raises ParleyError where the session cannot be run there."""

    def post(self, order: Mapping[str, Any]) -> None: ...

    async def kill(self) -> None:
        """Returns when nothing of it runs any more."""


class IsolatedUnit:
    def __init__(
        self,
        order: UnitOrder,
        options: LauncherOptions,
        ports: UnitPorts,
        place: Callable[[IsolatedUnit], Place],
    ) -> None:
        self._order = order
        self._options = options
        self._ports = ports
        self._loop = asyncio.get_running_loop()
        self._clients: dict[int, FrameSocket] = {}
        self._attached = 0
        self._closing: str | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._alive_s = self._loop.time()
        self._tasks: set[asyncio.Task[None]] = set()
        self.ended: asyncio.Future[UnitEnd] = self._loop.create_future()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._place = place(self)
        self._keep(self._begin())

    def notice(self, notice: Notice) -> None:
        self._post({"type": "notice", **asdict(notice)})

    def close(self, reason: str) -> None:
        if self._closing is not None or self.ended.done():
            return
        self._closing = reason
        self._post({"type": "close", "reason": reason})
        # It has `close_ms` itself to give up what does not end.
        grace_s = self._options.close_ms / 1000 * 1.5 + 0.1
        self._grace = self._loop.call_later(grace_s, lambda: self._end(UnitEnd(reason, None)))

    def attach(self, client: FrameSocket) -> None:
        self._attached += 1
        number = self._attached
        self._clients[number] = client
        self._post({"type": "client.attach", "client": number, "wants_events": client.wants_events})

        def closed(close: FrameClose) -> None:
            if self._clients.pop(number, None) is not None:
                self._post({"type": "client.closed", "client": number, **close._asdict()})

        client.on_close(closed)
        client.on_frame(lambda frame: self._post({"type": "client.frame", "client": number, "frame": frame}))

    # --- for its place, in the launcher's loop

    def report(self, report: Report) -> None:
        """The session said something."""
        if self.ended.done():
            return
        self._alive_s = self._loop.time()
        kind = report["type"]
        if kind == "alive":
            # The first sign: until then the module was being loaded, which may take its time.
            if self._watch is None and self._options.blocked_ms > 0:
                self._look()
        elif kind == "active":
            self._ports.active()
        elif kind == "presence":
            self._ports.presence(report["what"], report["others"])
        elif kind == "metrics":
            self._ports.metrics(report["report"])
        elif kind == "log":
            self._ports.log.log(report["level"], report["message"], **report["fields"])
        elif kind == "client.frame":
            self._to_client(report["client"], report["frame"])
        elif kind == "client.closed":
            client = self._clients.pop(report["client"], None)
            if client is not None:
                client.close(report["code"], report["reason"])
        elif kind == "blocked":
            self._blocked(report["blocked_ms"], {"at": report["at"], "stack": report["stack"]})
        elif kind == "ended":
            error = report["error"]
            self._end(UnitEnd(report["reason"], None if error is None else ParleyError.of(error)))

    def crashed(self, why: str) -> None:
        """The place ended without a word."""
        words = f"the {self._place.name} of this session crashed: {why}"
        self._end(UnitEnd("failed", ParleyError("internal", words)))

    async def _begin(self) -> None:
        try:
            await self._place.begin(self._order)
        except Exception as failure:  # noqa: BLE001 - what it is begun with asks author's code too: it ends this session
            self._end(UnitEnd("failed", ParleyError.of(failure)))

    def _to_client(self, number: int, frame: str) -> None:
        client = self._clients.get(number)
        if client is None:
            return
        client.send(frame)
        if client.buffered > _CLIENT_CHARS_MAX:
            client.terminate()

    def _post(self, order: Mapping[str, Any]) -> None:
        if not self.ended.done():
            self._place.post(order)

    def _look(self, suspicious: bool = False) -> None:
        """Looks whether its loop turns, where the session's own watchdog cannot say so: code that holds the
        interpreter lets no thread of it run. Where this loop was held up, what came meanwhile is heard first."""
        blocked_s = self._options.blocked_ms / 1000

        def look() -> None:
            silent_s = self._loop.time() - self._alive_s
            # Its own watchdog is given time to say more.
            if silent_s < blocked_s * 2 + _PATIENCE_S:
                self._look()
            elif not suspicious:
                self._look(True)
            else:
                self._blocked(round(silent_s * 1000), {})

        self._watch = self._loop.call_later(blocked_s / 4, look)

    def _blocked(self, blocked_ms: int, where: dict[str, Any]) -> None:
        session_id, call_id, name = self._order.session_id, self._order.call_id, self._place.name
        at = f" in {where['at']}" if where else ""
        ended = "its process was killed" if name == "process" else "its thread was given up"
        words = f"session {session_id} of call {call_id} blocked its event loop for {blocked_ms} ms{at}; {ended}"
        details = {"culprit": session_id, "call_id": call_id, "blocked_ms": blocked_ms, **where}
        self._ports.log.error("an event loop is blocked", **details)
        self._end(UnitEnd("blocked", ParleyError("internal", words, details=details)))

    def _end(self, end: UnitEnd) -> None:
        if self.ended.done():
            return
        for timer in (self._grace, self._watch):
            if timer is not None:
                timer.cancel()
        error = None if self._closing is not None else end.error
        reason = self._closing or end.reason
        for client in self._clients.values():
            if error is None:
                client.close(1000, reason)
            else:
                client.close(error.close_code, error.message)
        self._clients.clear()
        self.ended.set_result(UnitEnd(reason, error))
        self._keep(self._kill())

    async def _kill(self) -> None:
        try:
            await self._place.kill()
        finally:
            if not self.gone.done():
                self.gone.set_result(None)

    def _keep(self, work: Any) -> None:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
