"""Starts an agent for each call, within limits, and watches it to its end.

P1  The limits are exact: a place is taken in the turn in which it is looked for.
P2  A session that ended can be read for a while, with why it did.
P3  Draining starts nothing, tells every session how long it has, and closes what is left at the deadline.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal, cast

from .agent import Agent
from .errors import ParleyError
from .ids import new_id
from .log import Log

Status = Literal["queued", "starting", "active", "closing", "ended", "failed"]

CALL_ID = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]{1,128}")
CALL_TYPE = re.compile(r"[a-z][a-z0-9_-]{0,63}")
RETRY_AFTER_MS = 2_000


@dataclass(frozen=True)
class Notice:
    """Why a session is about to end, and how many milliseconds it has for a goodbye."""

    reason: Literal["idle_timeout", "max_duration", "draining"]
    left_ms: int


@dataclass(eq=False)
class LaunchedSession:
    """One agent in one call. It can be read while it waits, while it runs, and for a while after its end."""

    call_id: str
    call_type: str
    input: Any
    metadata: Mapping[str, Any]
    #: Who started it: what ``can_start_session`` returned.
    principal: Any
    id: str = field(default_factory=lambda: new_id("session"))
    status: Status = "queued"
    reason: str | None = None
    error: ParleyError | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    ended_at: datetime | None = None
    _launcher: AgentLauncher = field(repr=False, default=cast("AgentLauncher", None))
    _active: asyncio.Event = field(repr=False, default_factory=asyncio.Event)
    _over: asyncio.Event = field(repr=False, default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = field(repr=False, default=None)
    _agent: Agent | None = field(repr=False, default=None)
    _timers: dict[str, asyncio.TimerHandle] = field(repr=False, default_factory=dict)
    _others: int = field(repr=False, default=0)

    @property
    def over(self) -> bool:
        return self.status in ("ended", "failed")

    async def active(self) -> None:
        """Returns when the agent is in its call; raises the ParleyError of a session that ended before."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._active, self._over)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self.error is not None and not self._active.is_set():
            raise self.error
        if not self._active.is_set():
            raise ParleyError("failed_precondition", f"session {self.id} ended: {self.reason}")

    async def finished(self) -> None:
        """Returns when it is over, however it ended."""
        await self._over.wait()

    async def close(self, reason: str = "closed") -> None:
        """Ends it. Again, or after the end, changes nothing."""
        self._launcher._close(self, reason)
        await self.finished()

    def joined(self) -> None:
        """Says that the agent is in its call. Until then it is starting."""
        self._launcher._joined(self)

    def touch(self, others: int | None = None) -> None:
        """Says that something happened, so the time alone begins anew; ``others`` is who is there besides the agent."""
        if others is not None:
            self._others = others
        self._launcher._watch_idle(self)

    def to_dict(self) -> dict[str, Any]:
        """As it goes over the wire."""
        place = self._launcher._place_of(self)
        owner = self.principal if isinstance(self.principal, str) else getattr(self.principal, "id", None)
        if isinstance(self.principal, Mapping):
            owner = self.principal.get("id")
        optional = {
            "ended_at": self.ended_at and self.ended_at.isoformat(),
            "place": place,
            "reason": self.reason,
            "error": self.error and self.error.to_object(),
            "owner": owner if isinstance(owner, str) else None,
        }
        return {
            "session_id": self.id,
            "call_id": self.call_id,
            "call_type": self.call_type,
            "status": self.status,
            "started_at": self.started_at.isoformat(),
            "metadata": dict(self.metadata),
            **{key: value for key, value in optional.items() if value is not None},
        }


CreateAgent = Callable[[Any], "Agent | Awaitable[Agent]"]
JoinCall = Callable[[Agent, str, str, LaunchedSession], Awaitable[None]]
OnNotice = Callable[[Agent, Notice, LaunchedSession], "Awaitable[None] | None"]


class AgentLauncher:
    """Starts one agent per call, and warms, caps, times out, drains and watches them.

    ``create_agent`` takes the configuration that ``configure`` made of a start's input (None without it), and
    ``join_call`` holds the call; its return ends the session. Times are in milliseconds. Raises ParleyError
    ``invalid_argument`` naming the option.
    """

    def __init__(
        self,
        *,
        create_agent: CreateAgent,
        join_call: JoinCall,
        agent_idle_timeout_ms: int = 60_000,
        max_concurrent_sessions: int = 256,
        max_sessions_per_call: int | None = None,
        max_session_duration_ms: int | None = None,
        warning_ms: int = 10_000,
        on_notice: OnNotice | None = None,
        configure: Callable[[Any, str], Any] | None = None,
        warm_up: Callable[[Agent], Awaitable[None] | None] | None = None,
        warm_agents: int = 0,
        warm_configurations_max: int = 16,
        queue_max: int = 100,
        queue_timeout_ms: int = 60_000,
        start_timeout_ms: int = 30_000,
        close_ms: int = 2_000,
        drain_ms: int = 30_000,
        retain_ms: int = 600_000,
        retain_max: int = 1_000,
    ) -> None:
        least = {"max_concurrent_sessions": 1, "max_sessions_per_call": 1, "max_session_duration_ms": 1}
        given = {key: value for key, value in locals().items() if isinstance(value, int) and key != "self"}
        for name, value in given.items():
            if isinstance(value, bool) or value < least.get(name, 0):
                words = f"{name} must be a whole number of at least {least.get(name, 0)}, got {value}"
                raise ParleyError("invalid_argument", words, details={"path": name})
        self._create_agent, self._join_call, self._on_notice = create_agent, join_call, on_notice
        self._configure, self._warm_up = configure, warm_up
        self.agent_idle_timeout_ms = agent_idle_timeout_ms
        self.max_concurrent_sessions = max_concurrent_sessions
        self.max_sessions_per_call = max_sessions_per_call
        self.max_session_duration_ms = max_session_duration_ms
        self.warning_ms, self.close_ms, self.drain_ms = warning_ms, close_ms, drain_ms
        self.queue_max, self.queue_timeout_ms, self.start_timeout_ms = queue_max, queue_timeout_ms, start_timeout_ms
        self.retain_ms, self.retain_max = retain_ms, retain_max
        self.warm_agents, self.warm_configurations_max = warm_agents, warm_configurations_max
        self.phase: Literal["new", "running", "draining", "stopped"] = "new"
        self.warmed_up = False
        self.totals = {"started": 0, "failed": 0, "ended": 0, "refused": 0}
        self._held: dict[str, LaunchedSession] = {}
        self._queue: list[LaunchedSession] = []
        self._retained: dict[str, LaunchedSession] = {}
        self._taken = 0
        self._of_call: dict[str, int] = {}
        self._shelves: dict[str, list[Agent]] = {}
        self._filling: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._log = Log()

    @property
    def active_sessions(self) -> int:
        """Sessions that hold a place."""
        return self._taken

    @property
    def queued_sessions(self) -> int:
        return len(self._queue)

    @property
    def unready(self) -> str | None:
        """Why it takes no start now, or None: ``starting``, ``draining``, ``stopped`` or ``node_at_capacity``."""
        if self.phase in ("draining", "stopped"):
            return self.phase
        if not self.warmed_up:
            return "starting"
        return "node_at_capacity" if self._taken >= self.max_concurrent_sessions else None

    async def start(self) -> None:
        """Makes one agent and warms as many as are to be kept ready. Raises what making one raised."""
        self._check_open()
        self.phase = "running"
        configuration = self._configure(None, "default") if self._configure else None
        agent = await self._make(configuration)
        if self.warm_agents > 0:
            self._shelf(configuration).append(agent)
            await self._fill(configuration)
        self.warmed_up = True

    async def launch(
        self,
        call_id: str | None = None,
        call_type: str = "default",
        *,
        input: Any = None,
        metadata: Mapping[str, Any] | None = None,
        principal: Any = None,
        queue: bool = False,
    ) -> LaunchedSession:
        """Starts an agent for a call; it has a place, or waits for one, when this returns. Starts run side by side.

        Raises ParleyError ``invalid_argument``; ``resource_exhausted`` with ``reason``, ``limit`` and ``current``;
        ``unavailable`` while draining.
        """
        self._check_open()
        call_id = new_id("call") if call_id is None else call_id
        if not isinstance(call_id, str) or not CALL_ID.fullmatch(call_id):
            raise _refused("call_id", "call_id must be 1 to 128 characters without white space", call_id)
        if not isinstance(call_type, str) or not CALL_TYPE.fullmatch(call_type):
            raise _refused("call_type", f"call_type must match ^{CALL_TYPE.pattern}$", call_type)
        session = LaunchedSession(call_id, call_type, input, metadata or {}, principal, _launcher=self)
        full = self._full(call_id)
        if full is not None and (not queue or len(self._queue) >= self.queue_max):
            self.totals["refused"] += 1
            more = {"queue_limit": self.queue_max, "queued": len(self._queue)} if queue else {}
            words = (
                f"call {call_id} is at its limit of {full['limit']} sessions"
                if full["reason"] == "call_limit"
                else f"this launcher is at its limit of {full['limit']} sessions"
            )
            raise ParleyError("resource_exhausted", words, retry_after_ms=RETRY_AFTER_MS, details={**full, **more})
        if self.phase == "new":
            self.phase = "running"
        self._held[session.id] = session
        self._empty.clear()
        if full is None:
            self._begin(session)
        else:
            self._queue.append(session)
            late = ParleyError("deadline_exceeded", f"no place became free within {self.queue_timeout_ms} ms")
            self._after(session, "start", self.queue_timeout_ms, lambda: self._end(session, "queue_timeout", late))
        return session

    def get(self, session_id: str) -> LaunchedSession | None:
        """A session that runs, waits, or ended not long ago."""
        return self._held.get(session_id) or self._retained.get(session_id)

    def sessions(self, call_id: str | None = None, status: str | None = None) -> list[LaunchedSession]:
        """All of them, in the order of their starts."""
        every = [*self._retained.values(), *self._held.values()]
        fit = [one for one in every if call_id in (None, one.call_id) and status in (None, one.status)]
        return sorted(fit, key=lambda one: one.started_at)

    async def drain(self, drain_ms: int | None = None) -> None:
        """Starts nothing new, tells every session how long it has, and closes what is left at the deadline."""
        if self.phase == "stopped":
            return
        left = self.drain_ms if drain_ms is None else drain_ms
        if self.phase != "draining":
            self.phase = "draining"
            self._log.info("draining", sessions=len(self._held), drain_ms=left)
            for session in list_of(self._held):
                if session.status == "queued":
                    self._end(session, "draining", _drained(self.phase))
                else:
                    self._notice(session, Notice("draining", left))
        deadline = asyncio.get_running_loop().call_later(left / 1000, self._close_all, "draining")
        await self._empty.wait()
        deadline.cancel()
        self._stopped()

    async def stop(self, reason: str = "stopped") -> None:
        """Closes every session now, and returns when they have ended."""
        if self.phase == "stopped":
            return
        self.phase = "draining"
        self._close_all(reason)
        await self._empty.wait()
        self._stopped()

    def close(self, session: LaunchedSession, reason: str = "closed") -> None:
        """Begins to end a session, without waiting for it. Again changes nothing."""
        self._close(session, reason)

    # --- starting

    def _full(self, call_id: str) -> dict[str, Any] | None:
        of_call, limit = self._of_call.get(call_id, 0), self.max_sessions_per_call
        if limit is not None and of_call >= limit:
            return {"reason": "call_limit", "limit": limit, "current": of_call}
        if self._taken < self.max_concurrent_sessions:
            return None
        return {"reason": "node_at_capacity", "limit": self.max_concurrent_sessions, "current": self._taken}

    def _begin(self, session: LaunchedSession) -> None:
        self._taken += 1
        self._of_call[session.call_id] = self._of_call.get(session.call_id, 0) + 1
        self.totals["started"] += 1
        session.status = "starting"
        late = ParleyError("deadline_exceeded", f"the agent was not in its call within {self.start_timeout_ms} ms")

        def give_up() -> None:
            if session._task is not None:
                session._task.cancel()
            self._end(session, "start_timeout", late)

        self._after(session, "start", self.start_timeout_ms, give_up)
        session._task = asyncio.get_running_loop().create_task(self._run(session))

    async def _run(self, session: LaunchedSession) -> None:
        try:
            configuration = self._configure(session.input, session.call_type) if self._configure else None
            session._agent = self._take(configuration) or await self._make(configuration)
            await self._join_call(session._agent, session.call_type, session.call_id, session)
            self._end(session, session.reason or "task_completed", None)
        except asyncio.CancelledError:
            # A join_call that is told to stop ends so; whoever told it says why.
            self._end(session, session.reason or "cancelled", None)
        except Exception as thrown:  # noqa: BLE001 - whatever an author's code raises ends this session and no other
            closing = session.status == "closing"
            self._end(session, session.reason or "failed", None if closing else ParleyError.of(thrown))

    async def _make(self, configuration: Any) -> Agent:
        made = self._create_agent(configuration)
        agent = await made if inspect.isawaitable(made) else made
        if self._warm_up is not None:
            warmed = self._warm_up(agent)
            if inspect.isawaitable(warmed):
                await warmed
        return agent

    def _shelf(self, configuration: Any) -> list[Agent]:
        key = json.dumps(configuration, sort_keys=True)
        shelf = self._shelves.pop(key, [])
        # The one that was asked for last is at the end.
        self._shelves[key] = shelf
        if len(self._shelves) > self.warm_configurations_max:
            del self._shelves[next(iter(self._shelves))]
        return shelf

    def _take(self, configuration: Any) -> Agent | None:
        if self.warm_agents == 0:
            return None
        shelf = self._shelf(configuration)
        agent = shelf.pop(0) if shelf else None
        task = asyncio.get_running_loop().create_task(self._fill(configuration))
        self._filling.add(task)
        task.add_done_callback(self._filled)
        return agent

    async def _fill(self, configuration: Any) -> None:
        shelf = self._shelf(configuration)
        while len(shelf) < self.warm_agents and self.phase == "running":
            shelf.append(await self._make(configuration))

    def _filled(self, task: asyncio.Task[None]) -> None:
        self._filling.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            # The next start of this configuration makes its own, and is told if that fails too.
            self._log.warning("an agent could not be warmed", message=str(failure))

    # --- watching

    def _joined(self, session: LaunchedSession) -> None:
        if session.status != "starting":
            return
        self._cancel(session, "start")
        session.status = "active"
        session._active.set()
        if self.max_session_duration_ms is not None:
            self._count_down(session, "max_duration", self.max_session_duration_ms)
        self._watch_idle(session)

    def _watch_idle(self, session: LaunchedSession) -> None:
        self._cancel(session, "idle_timeout")
        if session.status == "active" and self.agent_idle_timeout_ms > 0 and session._others == 0:
            self._count_down(session, "idle_timeout", self.agent_idle_timeout_ms)

    def _count_down(self, session: LaunchedSession, reason: Literal["idle_timeout", "max_duration"], ms: int) -> None:
        warning = min(self.warning_ms, ms)

        def warn() -> None:
            self._after(session, reason, warning, lambda: self._close(session, reason))
            self._notice(session, Notice(reason, warning))

        self._after(session, reason, ms - warning, warn)

    def _notice(self, session: LaunchedSession, notice: Notice) -> None:
        agent, on_notice = session._agent, self._on_notice
        if on_notice is None or agent is None:
            return

        async def tell() -> None:
            told = on_notice(agent, notice, session)
            if inspect.isawaitable(told):
                await told

        task = asyncio.get_running_loop().create_task(tell())
        self._filling.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._filling.discard(task)
            if not task.cancelled() and (failure := task.exception()) is not None:
                self._log.warning("on_notice failed", session_id=session.id, message=str(failure))

        task.add_done_callback(done)

    def _after(self, session: LaunchedSession, name: str, ms: int, run: Callable[[], None]) -> None:
        self._cancel(session, name)
        session._timers[name] = asyncio.get_running_loop().call_later(ms / 1000, run)

    def _cancel(self, session: LaunchedSession, name: str) -> None:
        timer = session._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    # --- ending

    def _close(self, session: LaunchedSession, reason: str) -> None:
        if session.over or session.status == "closing":
            return
        if session._task is None:
            self._end(session, reason, None)
            return
        session.status, session.reason = "closing", reason
        session._task.cancel()
        # One that swallows its cancellation is given up.
        self._after(session, "close", self.close_ms, lambda: self._end(session, reason, None))

    def _end(self, session: LaunchedSession, reason: str, error: ParleyError | None) -> None:
        if session.over:
            return
        for timer in session._timers.values():
            timer.cancel()
        session._timers.clear()
        session.reason, session.error = reason, error
        session.status = "failed" if error else "ended"
        session.ended_at = datetime.now(timezone.utc)
        self.totals["failed" if error else "ended"] += 1
        self._log.info("session ended", session_id=session.id, reason=reason)
        del self._held[session.id]
        self._retained[session.id] = session
        if len(self._retained) > self.retain_max:
            del self._retained[next(iter(self._retained))]
        session._timers["retain"] = asyncio.get_running_loop().call_later(
            self.retain_ms / 1000, self._retained.pop, session.id, None
        )
        session._over.set()
        if session in self._queue:
            self._queue.remove(session)
        else:
            self._release(session.call_id)
        if not self._held:
            self._empty.set()

    def _release(self, call_id: str) -> None:
        self._taken -= 1
        left = self._of_call.get(call_id, 1) - 1
        if left > 0:
            self._of_call[call_id] = left
        else:
            self._of_call.pop(call_id, None)
        for waiting in [*self._queue]:
            if self._full(waiting.call_id) is None:
                self._queue.remove(waiting)
                self._begin(waiting)

    def _place_of(self, session: LaunchedSession) -> int | None:
        return self._queue.index(session) + 1 if session in self._queue else None

    def _close_all(self, reason: str) -> None:
        for session in list_of(self._held):
            self._close(session, reason)

    def _stopped(self) -> None:
        self.phase = "stopped"
        self._shelves.clear()
        for task in self._filling:
            task.cancel()
        for session in self._retained.values():
            for timer in session._timers.values():
                timer.cancel()

    def _check_open(self) -> None:
        if self.phase in ("draining", "stopped"):
            raise _drained(self.phase)


def list_of(held: Mapping[str, LaunchedSession]) -> tuple[LaunchedSession, ...]:
    """What there is now: closing one changes the map."""
    return tuple(held.values())


def _drained(phase: str) -> ParleyError:
    words = f"this launcher is {phase} and starts nothing"
    return ParleyError("unavailable", words, retry_after_ms=RETRY_AFTER_MS)


def _refused(path: str, rule: str, value: object) -> ParleyError:
    got = f"'{value[:64]}'" if isinstance(value, str) else type(value).__name__
    return ParleyError("invalid_argument", f"{rule}, got {got}", details={"path": path})
