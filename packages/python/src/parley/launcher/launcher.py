"""Starts an agent for each call, within limits, and watches it to its end.

P1  The limits are exact: a place is taken in the turn in which it is looked for.
P2  A session that ended can be read for a while, with why it did.
P3  Draining starts nothing, tells every session how long it has, and closes what is left at the deadline.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Literal

from parley.call import CallHost, check_call
from parley.errors import ParleyError
from parley.frames import FrameSocket
from parley.ids import new_id
from parley.local.simulator import SimulatorLease, lease_simulator
from parley.log import Log
from parley.session_log.tool_input import input_problem
from parley.shapes import parsed, shape_of

from .admission import RETRY_AFTER_MS, Admission, Waiting
from .context import AgentRequest
from .isolated import Hearing, IsolatedUnit, Place
from .isolated_environment import declare_launcher, is_isolated
from .notice import Notice
from .options import LauncherOptions, told
from .process_place import ProcessPlace
from .session import LaunchedSession, Start
from .shared import SharedUnit
from .thread_place import ThreadPlace
from .unit import Presence, Unit, UnitEnd, UnitOrder
from .vigil import Expiry, Vigil
from .warm import WarmPool
from .warm_places import WarmPlaces
from .watchdog import Blocked, watch_loop

if TYPE_CHECKING:
    from parley.agent import Agent

Phase = Literal["new", "running", "draining", "stopped"]


class AgentLauncher:
    """Starts one agent per call, and warms, caps, times out, drains and watches them.

    ``create_agent`` makes the agent of one session, and ``join_call`` holds the call; its return ends the session. The
    other options are those of ``LauncherOptions``. Raises ParleyError ``invalid_argument`` naming the option.

    >>> async def join_call(agent, call_type, call_id):                                      # doctest: +SKIP
    ...     async with agent.join(agent.create_call(call_type, call_id)):
    ...         await agent.simple_response("Greet the caller.")
    ...         await agent.finish()
    >>> launcher = AgentLauncher(create_agent=lambda: app, join_call=join_call,              # doctest: +SKIP
    ...                          max_concurrent_sessions=10, max_sessions_per_call=1)
    """

    def __init__(
        self, *, create_agent: Callable[..., Any], join_call: Callable[..., Awaitable[None]], **options: Any
    ) -> None:
        known = {field.name for field in fields(LauncherOptions)}
        for name in options:
            if name not in known:
                raise TypeError(f"AgentLauncher() got an unexpected keyword argument '{name}'")
        self._number = declare_launcher(self)
        self.options = LauncherOptions(create_agent, join_call, **options)
        self._log = self.options.log or Log()
        self._check_input = _check_of(self.options.input)
        self._admission = Admission(
            sessions_max=self.options.max_concurrent_sessions,
            per_call_max=self.options.max_sessions_per_call,
            queue_max=self.options.queue_max,
        )
        # What runs elsewhere is made there, and kept there.
        kept, shared = self.options.warm_agents, self.options.isolation == "shared"
        self._pool: WarmPool[Agent] = WarmPool(
            kept if shared else 0,
            self.options.warm_configurations_max,
            lambda of: self.make(AgentRequest(of, None)),
            self._log,
        )
        self._places = WarmPlaces(0 if shared or is_isolated() else kept, self.options, self._place, self._log)
        self.phase: Phase = "new"
        self.warmed_up = False
        self.totals = {"started": 0, "failed": 0, "ended": 0, "refused": 0}
        self._held: dict[str, _Held] = {}
        self._retained: dict[str, LaunchedSession] = {}
        self._retention: dict[str, asyncio.TimerHandle] = {}
        self._keys: dict[str, LaunchedSession] = {}
        #: The key that a session was started with.
        self._key_of: dict[str, str] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        #: Ended sessions of which something still runs.
        self._leaving: set[asyncio.Future[None]] = set()
        self._probe: Agent | None = None
        self._simulator: asyncio.Task[SimulatorLease] | None = None

    def changed(self, **options: Any) -> AgentLauncher:
        """Another launcher of the same options, some of them changed."""
        given = replace(self.options, **options)
        return AgentLauncher(**{field.name: getattr(given, field.name) for field in fields(given)})

    @property
    def active_sessions(self) -> int:
        """Sessions that hold a place."""
        return self._admission.taken

    @property
    def queued_sessions(self) -> int:
        return self._admission.queued

    @property
    def warm_agents(self) -> int:
        """Agents that are kept ready, here or in threads and processes of their own."""
        return len(self._pool) + len(self._places)

    @property
    def unready(self) -> str | None:
        """Why it takes no start now, or None: ``starting``, ``draining``, ``stopped`` or ``node_at_capacity``."""
        if self.phase in ("draining", "stopped"):
            return self.phase
        if not self.warmed_up:
            return "starting"
        return "node_at_capacity" if self._admission.taken >= self.options.max_concurrent_sessions else None

    async def start(self) -> None:
        """Makes one agent and warms as many as are to be kept ready. Raises what making one raised; it can be tried
        again."""
        self._check_open()
        self.phase = "running"
        await self.probe()
        kept = self._pool if self.options.isolation == "shared" else self._places
        await asyncio.gather(*(kept.warm(one) for one in self._configurations()))
        self.warmed_up = True

    async def probe(self) -> Agent:
        """An agent that is in no call: what it declares is what this launcher offers."""
        if self._probe is None:
            configuration = next(iter(self._configurations()), None)
            self._probe = await self.make(AgentRequest(configuration, None))
        return self._probe

    def _configurations(self) -> Sequence[Any]:
        """Those that are warmed at the start."""
        if self.options.warm_configurations is not None:
            return self.options.warm_configurations
        configure = self.options.configure
        return [None if configure is None else configure(None, "default")]

    async def launch(
        self,
        call_id: str | None = None,
        call_type: str = "default",
        *,
        input: Any = None,
        metadata: Mapping[str, Any] | None = None,
        principal: Any = None,
        queue: bool = False,
        idempotency_key: str | None = None,
    ) -> LaunchedSession:
        """Starts an agent for a call; it has a place, or waits for one, when this returns. Starts run side by side.

        A second start with the ``idempotency_key`` of another is that one, for as long as it can be read. Raises
        ParleyError ``invalid_argument``; ``resource_exhausted`` with ``reason``, ``limit`` and ``current``;
        ``unavailable`` while draining.
        """
        known = self._keys.get(idempotency_key) if idempotency_key is not None else None
        if known is not None:
            return known
        session = self._launch(call_id, call_type, input, metadata, principal, queue)
        if idempotency_key is not None:
            self._keys[idempotency_key] = session
            self._key_of[session.id] = idempotency_key
        return session

    async def launch_at(
        self,
        host: CallHost,
        session_id: str,
        call_id: str,
        call_type: str,
        *,
        input: Any = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> LaunchedSession:
        """The same for a session that somebody else keeps, with its id."""
        return self._launch(call_id, call_type, input, metadata, None, False, host, session_id)

    def get(self, session_id: str) -> LaunchedSession | None:
        """A session that runs, waits, or ended not long ago."""
        held = self._held.get(session_id)
        return self._retained.get(session_id) if held is None else held.session

    def sessions(self, call_id: str | None = None, status: str | None = None) -> list[LaunchedSession]:
        """All of them, in the order of their starts."""
        every = [*self._retained.values(), *(held.session for held in self._held.values())]
        fit = [one for one in every if call_id in (None, one.call_id) and status in (None, one.status)]
        return sorted(fit, key=lambda one: one.started_at)

    def attach(self, session_id: str, client: FrameSocket) -> None:
        """Gives a client a place in a session's call: a socket that speaks OpenAI Realtime. Raises ParleyError."""
        held = self._held.get(session_id)
        if held is not None and held.unit is not None:
            held.unit.attach(client)
            return
        session = self.get(session_id)
        if session is None:
            raise ParleyError("not_found", f"no session {session_id}")
        words = f"session {session_id} is {session.status}"
        raise ParleyError("failed_precondition", words, retryable=session.status == "queued")

    def close(self, session: LaunchedSession, reason: str = "closed") -> None:
        """Begins to end a session, without waiting for it. Again changes nothing."""
        held = self._held.get(session.id)
        if held is not None:
            held.close(reason)

    async def drain(self, drain_ms: int | None = None) -> None:
        """Starts nothing new, tells every session how long it has, and closes what is left at the deadline."""
        if self.phase == "stopped":
            return
        left = self.options.drain_ms if drain_ms is None else drain_ms
        if self.phase != "draining":
            self.phase = "draining"
            self._log.info("draining", sessions=len(self._held), drain_ms=left)
            for held in list(self._held.values()):
                if held.unit is None:
                    held.end(UnitEnd("draining", _drained(self.phase)))
                else:
                    held.unit.notice(Notice("draining", left))
        deadline = asyncio.get_running_loop().call_later(left / 1000, self._close_all, "draining")
        await self._empty.wait()
        deadline.cancel()
        await self._stopped()

    async def stop(self, reason: str = "stopped") -> None:
        """Closes every session now, and returns when they have ended."""
        if self.phase == "stopped":
            return
        self.phase = "draining"
        self._close_all(reason)
        await self._empty.wait()
        await self._stopped()

    def watch(self) -> Callable[[], None]:
        """Watches the running loop, in which shared sessions run: what blocks it is told in the log, with the session,
        the function and the line. Returns what ends that."""

        def blocked(found: Blocked) -> None:
            self._log.error("the event loop is blocked", **found._asdict())

        if self.options.blocked_ms == 0 or self.options.isolation != "shared":
            return lambda: None
        return watch_loop(self.options.blocked_ms, blocked)

    async def make(self, request: AgentRequest) -> Agent:
        """An agent, made and warmed. Raises what an author's code raised, ParleyError where it made something else."""
        from parley.agent import Agent

        agent = await told(self.options.create_agent, request)
        if not isinstance(agent, Agent):
            words = f"create_agent must return an Agent, got {type(agent).__name__}"
            raise ParleyError("invalid_argument", words)
        if self.options.warm_up is not None:
            await told(self.options.warm_up, agent)
        return agent

    # --- starting

    def _launch(
        self,
        call_id: str | None,
        call_type: str,
        input: Any,
        metadata: Mapping[str, Any] | None,
        principal: Any,
        queue: bool,
        host: CallHost | None = None,
        session_id: str | None = None,
    ) -> LaunchedSession:
        self._check_open()
        call_id = new_id("call") if call_id is None else call_id
        check_call(call_type, call_id)
        start = Start(call_id, call_type, self._check_input(input), metadata or {}, principal)
        held = _Held(self, start, host, session_id)
        try:
            if queue:
                admitted = self._admission.take_or_wait(held.waiting)
            else:
                self._admission.take(call_id)
                admitted = True
        except ParleyError:
            self.totals["refused"] += 1
            raise
        if self.phase == "new":
            self.phase = "running"
        self._held[held.session.id] = held
        self._empty.clear()
        if admitted:
            held.begin()
        else:
            late_ms = self.options.queue_timeout_ms
            late = ParleyError("deadline_exceeded", f"no place became free within {late_ms} ms")
            held.after(late_ms, lambda: held.end(UnitEnd("queue_timeout", late)))
        return held.session

    def unit_for(self, held: _Held, order: UnitOrder) -> Unit:
        # What a control plane keeps comes over this process's link.
        if self.options.isolation == "shared" or held.host is not None:
            return SharedUnit(order, self.options, held, self._agent_for, held.host)

        def place(unit: IsolatedUnit) -> Place:
            return self._places.take(order.configuration, unit) or self._place(unit)

        return IsolatedUnit(order, self.options, held, place)

    def _place(self, hearing: Hearing) -> Place:
        if self.options.isolation == "thread":
            return ThreadPlace(hearing, self.options, self.make)
        number = self._number if self.options.module is None else 0
        return ProcessPlace(hearing, self.options, number, self._simulator_url)

    async def _agent_for(self, request: AgentRequest) -> Agent:
        return self._pool.take(request.configuration) or await self.make(request)

    async def _simulator_url(self) -> str | None:
        """The simulator of sessions in processes, where their agents need one and the environment names none."""
        sessions = (await self.probe()).parts.sessions.values()
        declared = {one.declaration["provider"] for one in sessions}
        wanted = declared if self.options.provider is None else {self.options.provider}
        if "simulator" not in wanted or os.environ.get("PARLEY_SIMULATOR_URL"):
            return None
        if self._simulator is None:
            self._simulator = asyncio.get_running_loop().create_task(lease_simulator())
        return (await asyncio.shield(self._simulator)).url

    # --- ending

    def forget(self, held: _Held) -> None:
        """A session is over: it can be read for a while, and its place is free once nothing of it runs."""
        session = held.session
        self.totals["failed" if session.error is not None else "ended"] += 1
        self._log.info("session ended", session_id=session.id, reason=session.reason)
        del self._held[session.id]
        self._retained[session.id] = session
        self._retention[session.id] = asyncio.get_running_loop().call_later(
            self.options.retain_ms / 1000, self._drop, session.id
        )
        if len(self._retained) > self.options.retain_max:
            self._drop(next(iter(self._retained)))
        if not self._admission.leave(held.waiting):
            # Last: the next one that waits begins here.
            if held.unit is None or held.unit.gone.done():
                self._admission.release(session.call_id)
            else:
                self._leaving.add(held.unit.gone)
                held.unit.gone.add_done_callback(lambda gone: self._gone(gone, session.call_id))
        if not self._held:
            self._empty.set()

    def _gone(self, gone: asyncio.Future[None], call_id: str) -> None:
        self._leaving.discard(gone)
        self._admission.release(call_id)

    def place_of(self, session: LaunchedSession) -> int | None:
        held = self._held.get(session.id)
        return None if held is None else self._admission.place_of(held.waiting)

    def _drop(self, session_id: str) -> None:
        self._retained.pop(session_id, None)
        timer = self._retention.pop(session_id, None)
        if timer is not None:
            timer.cancel()
        key = self._key_of.pop(session_id, None)
        if key is not None:
            del self._keys[key]

    def _close_all(self, reason: str) -> None:
        for held in list(self._held.values()):
            held.close(reason)

    async def _stopped(self) -> None:
        if self._leaving:
            # A process is gone in a moment; a thread that does not return is not waited for.
            await asyncio.wait(set(self._leaving), timeout=self.options.close_ms / 1000)
        self.phase = "stopped"
        self._pool.close()
        await self._places.close()
        for timer in self._retention.values():
            timer.cancel()
        self._retention.clear()
        simulator, self._simulator = self._simulator, None
        if simulator is not None:
            (lease,) = await asyncio.gather(simulator, return_exceptions=True)
            # One that did not start was told to the sessions that wanted it.
            if isinstance(lease, SimulatorLease):
                lease.release()

    def _check_open(self) -> None:
        if self.phase in ("draining", "stopped"):
            raise _drained(self.phase)


class _Held:
    """A session with what its launcher needs for it."""

    def __init__(self, launcher: AgentLauncher, start: Start, host: CallHost | None, session_id: str | None) -> None:
        self._launcher = launcher
        self._options = launcher.options
        self.session = LaunchedSession(start, launcher, session_id)
        #: Where the call is held instead of here.
        self.host = host
        self.waiting = Waiting(start.call_id, self.begin)
        self.unit: Unit | None = None
        self.log = (self._options.log or Log()).bind(call_id=start.call_id)
        self._vigil: Vigil | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """It has a place."""
        session = self.session
        self._launcher.totals["started"] += 1
        session.became("starting")
        limit_ms = self._options.start_timeout_ms
        self.after(limit_ms, lambda: self._too_late(limit_ms))
        try:
            configure = self._options.configure
            configuration = None if configure is None else configure(session.input, session.call_type)
            order = UnitOrder(
                session.id,
                session.call_id,
                session.call_type,
                session.input,
                session.metadata,
                session.principal,
                configuration,
                self._options.provider,
            )
            self.unit = self._launcher.unit_for(self, order)
        except Exception as failure:  # noqa: BLE001 - what an author's code raises ends this session and no other
            self.end(UnitEnd("failed", ParleyError.of(failure)))
            return
        self.log.info("session starting", session_id=session.id)
        self.unit.ended.add_done_callback(lambda ended: self.end(ended.result()))

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
        self._launcher.forget(self)

    def after(self, ms: int, run: Callable[[], None]) -> None:
        """The time until it must have a place, and then be in its call."""
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
        # Who is in a call that is held elsewhere is known there.
        idle_ms = 0 if self.host is not None else self._options.agent_idle_timeout_ms
        self._vigil = Vigil(idle_ms, self._options.max_session_duration_ms, self._options.warning_ms, self)
        if self._launcher.phase == "draining" and self.unit is not None:
            self.unit.notice(Notice("draining", self._options.drain_ms))

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

    def warn(self, notice: Notice) -> None:
        self.log.info("session warned", session_id=self.session.id, reason=notice.reason, left_ms=notice.left_ms)
        if self.unit is not None:
            self.unit.notice(notice)

    def expired(self, reason: Expiry) -> None:
        self.close(reason)


def _check_of(wanted: Any) -> Callable[[Any], Any]:
    """A check of inputs by the launcher's ``input``. It raises ParleyError ``invalid_argument`` naming the field."""
    if wanted is None:
        return lambda value: value
    if isinstance(wanted, Mapping):

        def check(value: Any) -> Any:
            problem = input_problem(wanted, value)
            if problem is not None:
                words = f"the input of a start is not valid: {problem}"
                raise ParleyError("invalid_argument", words, details={"path": "input"})
            return value

        return check
    adapter = shape_of(wanted, "validation", "a start").adapter
    return lambda value: parsed(adapter, value, "the input of a start", "invalid_argument")


def _drained(phase: str) -> ParleyError:
    words = f"this launcher is {phase} and starts nothing"
    return ParleyError("unavailable", words, retry_after_ms=RETRY_AFTER_MS)
