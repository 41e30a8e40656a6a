"""Inside of the thread or process of one session: runs it, and tells its launcher of it.

What is said in both directions are objects of JSON; frames of clients are texts in them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from parley.errors import ParleyError
from parley.fence import fenced
from parley.frames import FrameSocket, memory_pair
from parley.log import Log

from .call_metrics import CallMetrics
from .context import AgentRequest
from .notice import Notice
from .options import LauncherOptions
from .shared import SharedUnit
from .unit import Presence, UnitOrder
from .watchdog import Blocked, watch_loop

if TYPE_CHECKING:
    from parley.agent import Agent

Report = dict[str, Any]
#: Signs of life within the time after which a loop counts as blocked.
SIGNS = 4
_COUNTED = frozenset(("turn.completed", "response.started", "response.completed", "tool.completed"))


class Isolate:
    """Belongs to the event loop of its session. ``tell`` may be called from any thread."""

    def __init__(
        self, options: LauncherOptions, make: Callable[[AgentRequest], Awaitable[Agent]], tell: Callable[[Report], None]
    ) -> None:
        self._options = options
        self._make = make
        self._tell = tell
        self._metrics = CallMetrics()
        self._clients: dict[int, FrameSocket] = {}
        self._unit: SharedUnit | None = None
        #: Made before the session came.
        self._prepared: Agent | None = None
        self._begun: asyncio.Future[UnitOrder] = asyncio.get_running_loop().create_future()
        #: What was said before the session could hear it.
        self._early: list[Mapping[str, Any]] = []
        self.log = options.log or Log()

    async def run(self, first: Mapping[str, Any]) -> None:
        """Returns when the session has ended and was told so. ``first`` begins it, or prepares its agent."""
        if first["type"] == "prepare":
            try:
                self._prepared = await fenced(self._make(AgentRequest(first["configuration"], None)))
            except Exception as failure:  # noqa: BLE001 - what an author's code raises is told to whoever wanted it warm
                self._tell({"type": "ended", "reason": "failed", "error": ParleyError.of(failure).to_object()})
                return
            self._tell({"type": "ready"})
        else:
            self.take(first)
        await self._session(await self._begun)

    async def _session(self, order: UnitOrder) -> None:
        blocked_ms = self._options.blocked_ms
        unwatch = watch_loop(blocked_ms, self._blocked) if blocked_ms > 0 else _nothing
        loop = asyncio.get_running_loop()
        beating = loop.create_task(self._beat(blocked_ms / SIGNS / 1000 if blocked_ms else 1.0))
        try:
            unit = SharedUnit(order, self._options, self, self._agent_for)
            # After the session's first step: it cannot be told to close before it began.
            loop.call_soon(self._listen, unit)
            reason, error = await asyncio.shield(unit.ended)
            self.metrics(self._metrics.report())
            failure = None if error is None else error.to_object()
            self._tell({"type": "ended", "reason": reason, "error": failure})
        finally:
            beating.cancel()
            unwatch()

    def take(self, order: Mapping[str, Any]) -> None:
        kind = order["type"]
        if kind == "begin":
            self._begun.set_result(UnitOrder(**order["order"]))
        elif self._unit is None:
            self._early.append(order)
        elif kind == "client.attach":
            self._attach(self._unit, order["client"], order["wants_events"])
        elif kind == "client.frame":
            client = self._clients.get(order["client"])
            if client is not None:
                client.send(order["frame"])
        elif kind == "client.closed":
            client = self._clients.pop(order["client"], None)
            if client is not None:
                client.close(order["code"], order["reason"])
        elif kind == "notice":
            self._unit.notice(Notice(order["reason"], order["left_ms"]))
        elif kind == "close":
            self._unit.close(order["reason"])

    def _listen(self, unit: SharedUnit) -> None:
        self._unit = unit
        for one in self._early:
            self.take(one)
        self._early.clear()

    async def _agent_for(self, request: AgentRequest) -> Agent:
        prepared, self._prepared = self._prepared, None
        return prepared or await self._make(request)

    async def _beat(self, every_s: float) -> None:
        while True:
            self._tell({"type": "alive"})
            await asyncio.sleep(every_s)

    def _blocked(self, blocked: Blocked) -> None:
        self._tell({"type": "blocked", **blocked._asdict()})

    def _attach(self, unit: SharedUnit, number: int, wants_events: bool) -> None:
        ours, place = memory_pair()
        place.wants_events = wants_events
        self._clients[number] = ours
        ours.on_frame(lambda frame: self._tell({"type": "client.frame", "client": number, "frame": frame}))

        def closed(code: int, reason: str) -> None:
            self._clients.pop(number, None)
            self._tell({"type": "client.closed", "client": number, "code": code, "reason": reason})

        ours.on_close(lambda close: closed(*close))
        try:
            unit.attach(place)
        except ParleyError as error:
            place.close(error.close_code, error.message)

    # --- what the session tells

    def active(self) -> None:
        self._tell({"type": "active"})

    def presence(self, what: Presence, others: int | None = None) -> None:
        self._tell({"type": "presence", "what": what, "others": others})

    def entry(self, entry: Mapping[str, Any]) -> None:
        self._metrics.entry(entry)
        if entry["type"] in _COUNTED:
            self.metrics(self._metrics.report())

    def metrics(self, report: dict[str, Any]) -> None:
        self._tell({"type": "metrics", "report": report})


class TellingHandler(logging.Handler):
    """Log lines of a session in a process of its own, on their way to the launcher's."""

    def __init__(self, tell: Callable[[Report], None]) -> None:
        super().__init__()
        self._to = tell

    def emit(self, record: logging.LogRecord) -> None:
        fields = {
            key: value if _is_plain(value) else str(value) for key, value in getattr(record, "fields", {}).items()
        }
        if record.exc_info:
            fields["stack"] = logging.Formatter().formatException(record.exc_info)
        self._to({"type": "log", "level": record.levelno, "message": record.getMessage(), "fields": fields})


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))


def _nothing() -> None: ...
