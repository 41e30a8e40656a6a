"""One launch: from its place, or its wait for one, to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from parley.call import CallHost
from parley.errors import ParleyError
from parley.frames import FrameSocket
from parley.log import Log

from .admission import Waiting
from .notice import Notice
from .options import LauncherOptions
from .session import LaunchedSession, SessionOwner
from .start import Start
from .unit import Presence, Unit, UnitEnd, UnitOrder
from .units import Units
from .vigil import Expiry, Vigil


@dataclass(frozen=True)
class LaunchPorts:
    """What a launch has of its launcher."""

    options: LauncherOptions
    log: Log
    units: Units
    #: Of the session, which outlives the launch.
    owner: SessionOwner
    #: It has a place.
    began: Callable[[], None]
    #: It has ended, and its session can be read.
    ended: Callable[[Launch], None]
    #: What a session is told that comes into its call now, if anything.
    notice: Callable[[], Notice | None]


class Launch:
    """Belongs to its launcher while it waits or runs. ``host`` is where its call is held instead of here."""

    def __init__(self, start: Start, ports: LaunchPorts, host: CallHost | None, session_id: str | None) -> None:
        self._ports = ports
        self._host = host
        self.session = LaunchedSession(start, ports.owner, session_id)
        self.waiting = Waiting(start.call_id, self.begin)
        self.log = ports.log.bind(call_id=start.call_id)
        #: None while it waits for its place.
        self.unit: Unit | None = None
        self._vigil: Vigil | None = None
        #: The time until it must have a place, and then be in its call.
        self._timer: asyncio.TimerHandle | None = None

    def wait(self) -> None:
        """It has no place yet."""
        late_ms = self._ports.options.queue_timeout_ms
        late = ParleyError("deadline_exceeded", f"no place became free within {late_ms} ms")
        self._after(late_ms, lambda: self.end(UnitEnd("queue_timeout", late)))

    def begin(self) -> None:
        """It has a place."""
        self._ports.began()
        self.session.became("starting")
        limit_ms = self._ports.options.start_timeout_ms
        self._after(limit_ms, lambda: self._too_late(limit_ms))
        try:
            self.unit = self._ports.units.open(self._order(), self, self._host)
        except Exception as failure:  # noqa: BLE001 - what an author's code raises ends this session and no other
            self.end(UnitEnd("failed", ParleyError.of(failure)))
            return
        self.log.info("session starting", session_id=self.session.id)
        self.unit.ended.add_done_callback(lambda ended: self.end(ended.result()))

    def notice(self, notice: Notice) -> None:
        if self.unit is not None:
            self.unit.notice(notice)

    def attach(self, client: FrameSocket) -> None:
        """Gives a client a place in the call. Raises ParleyError where there is none to be had yet."""
        if self.unit is None:
            words = f"session {self.session.id} is {self.session.status}"
            raise ParleyError("failed_precondition", words, retryable=True)
        self.unit.attach(client)

    def close(self, reason: str) -> None:
        if self.session.over or self.session.status == "closing":
            return
        if self.unit is None:
            self.end(UnitEnd(reason, None))
            return
        self.session.became("closing", reason)
        if self._vigil is not None:
            self._vigil.stop()
        self.unit.close(reason)

    def end(self, end: UnitEnd) -> None:
        if self.session.over:
            return
        if self._timer is not None:
            self._timer.cancel()
        if self._vigil is not None:
            self._vigil.stop()
        self.session.end(end.reason, end.error)
        self._ports.ended(self)

    def _order(self) -> UnitOrder:
        session, options = self.session, self._ports.options
        configure = options.configure
        configuration = None if configure is None else configure(session.input, session.call_type)
        return UnitOrder(
            session.id,
            session.call_id,
            session.call_type,
            session.input,
            session.metadata,
            session.principal,
            configuration,
            options.provider,
        )

    def _after(self, ms: int, run: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(ms / 1000, run)

    def _too_late(self, limit_ms: int) -> None:
        late = ParleyError("deadline_exceeded", f"the agent was not in its call within {limit_ms} ms")
        if self.unit is not None:
            self.unit.close("start_timeout")
        self.end(UnitEnd("start_timeout", late))

    # --- what its unit tells

    def active(self) -> None:
        if self.session.status != "starting":
            return
        if self._timer is not None:
            self._timer.cancel()
        self.session.became("active")
        self.log.info("session active", session_id=self.session.id)
        options = self._ports.options
        # Who is in a call that is held elsewhere is known there.
        idle_ms = 0 if self._host is not None else options.agent_idle_timeout_ms
        self._vigil = Vigil(idle_ms, options.max_session_duration_ms, options.warning_ms, self)
        notice = self._ports.notice()
        if notice is not None:
            self.notice(notice)

    def presence(self, what: Presence, others: int | None = None) -> None:
        if self._vigil is None:
            return
        if what == "joined":
            self._vigil.joined()
        elif what == "left":
            self._vigil.left()
        else:
            self._vigil.touch(others)

    def entry(self, entry: Mapping[str, Any]) -> None:
        self.session.metrics.entry(entry)

    def metrics(self, report: dict[str, Any]) -> None:
        self.session.metrics.reported(report)

    # --- what its vigil tells

    def warn(self, notice: Notice) -> None:
        self.log.info("session warned", session_id=self.session.id, reason=notice.reason, left_ms=notice.left_ms)
        self.notice(notice)

    def expired(self, reason: Expiry) -> None:
        self.close(reason)
