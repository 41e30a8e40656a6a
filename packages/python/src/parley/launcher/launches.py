"""The launches of a launcher, in their places: admitted within the limits, counted, and kept while they can be read."""

from __future__ import annotations

from collections.abc import Callable

from parley.call import CallHost
from parley.errors import ParleyError
from parley.log import Log

from .admission import Admission
from .launch import Launch, LaunchPorts
from .notice import Notice
from .options import LauncherOptions
from .roster import Roster
from .session import LaunchedSession
from .start import Start
from .unit import UnitEnd
from .units import Units


class Launches:
    def __init__(self, options: LauncherOptions, units: Units, log: Log, notice: Callable[[], Notice | None]) -> None:
        """``notice`` is what a session is told that comes into its call now, if anything."""
        self._log = log
        self._admission = Admission(
            sessions_max=options.max_concurrent_sessions,
            per_call_max=options.max_sessions_per_call,
            queue_max=options.queue_max,
        )
        self.roster = Roster(retain_ms=options.retain_ms, retain_max=options.retain_max)
        self.totals = {"started": 0, "failed": 0, "ended": 0, "refused": 0}
        self._ports = LaunchPorts(options, log, units, owner=self, began=self._began, ended=self._ended, notice=notice)

    @property
    def taken(self) -> int:
        """Places that are taken."""
        return self._admission.taken

    @property
    def queued(self) -> int:
        return self._admission.queued

    def open(
        self,
        start: Start,
        host: CallHost | None = None,
        session_id: str | None = None,
        *,
        queue: bool = False,
        key: str | None = None,
    ) -> LaunchedSession:
        """Begins a launch, or lets it wait. Raises ParleyError ``resource_exhausted``, ``already_exists``."""
        # Of two with one id, the end of the first would be that of both, and the second could not end at all.
        if session_id is not None and self.roster.launch(session_id) is not None:
            raise ParleyError("already_exists", f"session {session_id} is launched already")
        launch = Launch(start, self._ports, host, session_id)
        try:
            if queue:
                admitted = self._admission.take_or_wait(launch.waiting)
            else:
                self._admission.take(start.call_id)
                admitted = True
        except ParleyError:
            self.totals["refused"] += 1
            raise
        # Before it begins: it may end, and be forgotten, in doing so.
        self.roster.add(launch, key)
        if admitted:
            launch.begin()
        else:
            launch.wait()
        return launch.session

    def close(self, session: LaunchedSession, reason: str = "closed") -> None:
        launch = self.roster.launch(session.id)
        if launch is not None:
            launch.close(reason)

    def close_all(self, reason: str) -> None:
        for launch in self.roster.open():
            launch.close(reason)

    def drain(self, notice: Notice, refusal: Callable[[], ParleyError]) -> None:
        """Tells those that run, and refuses those that wait."""
        for launch in self.roster.open():
            if launch.unit is None:
                launch.end(UnitEnd(notice.reason, refusal()))
            else:
                launch.notice(notice)

    def place_of(self, session: LaunchedSession) -> int | None:
        """Its place in the queue, from 1; None when it does not wait."""
        launch = self.roster.launch(session.id)
        return None if launch is None else self._admission.place_of(launch.waiting)

    def _began(self) -> None:
        self.totals["started"] += 1

    def _ended(self, launch: Launch) -> None:
        session = launch.session
        self.totals["failed" if session.error is not None else "ended"] += 1
        self._log.info("session ended", session_id=session.id, reason=session.reason)
        self.roster.end(launch)
        if self._admission.leave(launch.waiting):
            return
        # Last: the next one that waits begins here. The place is free once nothing of this one runs.
        if launch.unit is None or launch.unit.gone.done():
            self._admission.release(session.call_id)
        else:
            launch.unit.gone.add_done_callback(lambda _: self._admission.release(session.call_id))
