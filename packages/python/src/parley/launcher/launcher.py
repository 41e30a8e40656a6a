"""Starts an agent for each call, within limits, and watches it to its end.

P1  The limits are exact: a place is taken in the turn in which it is looked for.
P2  A session that ended can be read for a while, with why it did.
P3  Draining starts nothing, tells every session how long it has, and closes what is left at the deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Literal

from parley.call import CallHost
from parley.errors import ParleyError
from parley.frames import FrameSocket
from parley.log import Log

from .admission import RETRY_AFTER_MS
from .agents import Agents
from .context import AgentRequest
from .isolated_environment import declare_launcher
from .launches import Launches
from .notice import Notice
from .options import LauncherOptions
from .session import LaunchedSession
from .start import Start, checked_start, input_check_of
from .units import Units
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
        number = declare_launcher(self)
        self.options = LauncherOptions(create_agent, join_call, **options)
        self.phase: Phase = "new"
        self.warmed_up = False
        self._log = self.options.log or Log()
        self._check_input = input_check_of(self.options.input)
        self._agents = Agents(self.options, self._log)
        self._units = Units(self.options, self._agents, number, self._log)
        self._launches = Launches(self.options, self._units, self._log, self._notice)
        #: When what is left will be closed, in the loop's time, once it drains.
        self._deadline_s = 0.0
        #: Sessions so far, by what became of their starts.
        self.totals = self._launches.totals

    def changed(self, **options: Any) -> AgentLauncher:
        """Another launcher of the same options, some of them changed."""
        given = replace(self.options, **options)
        return AgentLauncher(**{field.name: getattr(given, field.name) for field in fields(given)})

    @property
    def active_sessions(self) -> int:
        """Sessions that hold a place."""
        return self._launches.taken

    @property
    def queued_sessions(self) -> int:
        return self._launches.queued

    @property
    def warm_agents(self) -> int:
        """Agents that are kept ready, here or in threads and processes of their own."""
        return len(self._agents) + len(self._units)

    @property
    def unready(self) -> str | None:
        """Why it takes no start now, or None: ``starting``, ``draining``, ``stopped`` or ``node_at_capacity``."""
        if self.phase in ("draining", "stopped"):
            return self.phase
        if not self.warmed_up:
            return "starting"
        return "node_at_capacity" if self._launches.taken >= self.options.max_concurrent_sessions else None

    async def start(self) -> None:
        """Makes one agent and warms as many as are to be kept ready. Raises what making one raised; it can be tried
        again."""
        self._check_open()
        self.phase = "running"
        await self._agents.probe()
        await (self._agents if self.options.isolation == "shared" else self._units).warm()
        self.warmed_up = True

    async def probe(self) -> Agent:
        """An agent that is in no call: what it declares is what this launcher offers."""
        return await self._agents.probe()

    async def make(self, request: AgentRequest) -> Agent:
        """An agent, made and warmed. Raises what an author's code raised, ParleyError where it made something else."""
        return await self._agents.make(request)

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
        known = None if idempotency_key is None else self._launches.roster.started_with(idempotency_key)
        if known is not None:
            return known
        start = self._checked(call_id, call_type, input, metadata, principal)
        return self._launches.open(start, queue=queue, key=idempotency_key)

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
        """The same for a session that somebody else keeps, with its id. Raises ``already_exists`` while it is here."""
        start = self._checked(call_id, call_type, input, metadata, None)
        return self._launches.open(start, host, session_id)

    def get(self, session_id: str) -> LaunchedSession | None:
        """A session that runs, waits, or ended not long ago."""
        return self._launches.roster.session(session_id)

    def sessions(self, call_id: str | None = None, status: str | None = None) -> list[LaunchedSession]:
        """All of them, in the order of their starts."""
        every = self._launches.roster.sessions()
        return [one for one in every if call_id in (None, one.call_id) and status in (None, one.status)]

    def attach(self, session_id: str, client: FrameSocket) -> None:
        """Gives a client a place in a session's call: a socket that speaks OpenAI Realtime. Raises ParleyError."""
        launch = self._launches.roster.launch(session_id)
        if launch is not None:
            launch.attach(client)
            return
        session = self._launches.roster.session(session_id)
        if session is None:
            raise ParleyError("not_found", f"no session {session_id}")
        words = f"session {session_id} is {session.status}"
        raise ParleyError("failed_precondition", words, retryable=False)

    def close(self, session: LaunchedSession, reason: str = "closed") -> None:
        """Begins to end a session, without waiting for it. Again changes nothing."""
        self._launches.close(session, reason)

    async def drain(self, drain_ms: int | None = None) -> None:
        """Starts nothing new, tells every session how long it has, and closes what is left at the deadline."""
        if self.phase == "stopped":
            return
        loop = asyncio.get_running_loop()
        left = self.options.drain_ms if drain_ms is None else drain_ms
        if self.phase != "draining":
            self.phase = "draining"
            self._deadline_s = loop.time() + left / 1000
            self._log.info("draining", sessions=len(self._launches.roster), drain_ms=left)
            self._launches.drain(Notice("draining", left), self._refusal)
        deadline = loop.call_later(left / 1000, self._launches.close_all, "draining")
        await self._launches.roster.empty()
        deadline.cancel()
        await self._stopped()

    async def stop(self, reason: str = "stopped") -> None:
        """Closes every session now, and returns when they have ended."""
        if self.phase == "stopped":
            return
        self.phase = "draining"
        self._launches.close_all(reason)
        await self._launches.roster.empty()
        await self._stopped()

    def watch(self) -> Callable[[], None]:
        """Watches the running loop, in which shared sessions run: what blocks it is told in the log, with the session,
        the function and the line. Returns what ends that."""

        def blocked(found: Blocked) -> None:
            self._log.error("the event loop is blocked", **found._asdict())

        if self.options.blocked_ms == 0 or self.options.isolation != "shared":
            return lambda: None
        return watch_loop(self.options.blocked_ms, blocked)

    def _checked(
        self, call_id: str | None, call_type: str, input: Any, metadata: Mapping[str, Any] | None, principal: Any
    ) -> Start:
        self._check_open()
        start = checked_start(self._check_input, call_id, call_type, input, metadata, principal)
        if self.phase == "new":
            self.phase = "running"
        return start

    def _notice(self) -> Notice | None:
        """What a session is told that was on its way into its call when the drain began."""
        if self.phase != "draining":
            return None
        left_s = self._deadline_s - asyncio.get_running_loop().time()
        return Notice("draining", max(0, round(left_s * 1000)))

    async def _stopped(self) -> None:
        await self._units.gone()
        self.phase = "stopped"
        self._agents.close()
        await self._units.close()
        self._launches.roster.close()

    def _check_open(self) -> None:
        if self.phase in ("draining", "stopped"):
            raise self._refusal()

    def _refusal(self) -> ParleyError:
        words = f"this launcher is {self.phase} and starts nothing"
        return ParleyError("unavailable", words, retry_after_ms=RETRY_AFTER_MS)
