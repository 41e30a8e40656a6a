"""Runs one session in this event loop. The same code runs it inside of a thread or a process.

P1  Whatever ``create_agent`` and ``join_call`` raise ends this session and no other.
P2  The call is left when ``join_call`` is over, whoever forgot to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from parley.call import AgentCall, AgentParts, CallHost, HostedCall
from parley.errors import ParleyError
from parley.fence import fenced
from parley.frames import FrameSocket
from parley.local.host import LocalHost, LocalOptions

from .context import AgentRequest, LaunchContext
from .notice import Notice
from .options import LauncherOptions, told
from .unit import Presence, UnitEnd, UnitOrder, UnitPorts

if TYPE_CHECKING:
    from parley.agent import Agent

#: The session that the code which runs now belongs to: for whoever has to name a culprit.
RUNNING: ContextVar[str | None] = ContextVar("parley_running", default=None)

_PRESENCE: dict[str, Presence] = {
    "client.attached": "joined",
    "client.detached": "left",
    "speech.started": "touched",
    "turn.completed": "touched",
    "input.injected": "touched",
    "say.requested": "touched",
    "response.completed": "touched",
}


class SharedUnit:
    def __init__(
        self,
        order: UnitOrder,
        options: LauncherOptions,
        ports: UnitPorts,
        agent_for: Callable[[AgentRequest], Awaitable[Agent]],
        host: CallHost | None = None,
    ) -> None:
        """``host`` holds the call; without it, it is held here."""
        self._order = order
        self._options = options
        self._ports = ports
        self._agent_for = agent_for
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._log = ports.log.bind(session_id=order.session_id)
        self._context = LaunchContext(
            id=order.session_id,
            call_id=order.call_id,
            call_type=order.call_type,
            input=order.input,
            metadata=order.metadata,
            principal=order.principal,
            log=self._log,
            active=ports.active,
            touched=lambda others: ports.presence("touched", others),
        )
        self._agent: Agent | None = None
        self._hosted: HostedCall | None = None
        self._closing: str | None = None
        #: ``create_agent`` or ``join_call`` runs.
        self._working = True
        self._timers: list[asyncio.TimerHandle] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ended: asyncio.Future[UnitEnd] = self._loop.create_future()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._task = self._keep(self._run())
        self._task.add_done_callback(self._ran)

    def notice(self, notice: Notice) -> None:
        agent, on_notice = self._agent, self._options.on_notice
        if agent is None or on_notice is None:
            return

        async def tell() -> None:
            RUNNING.set(self._order.session_id)
            try:
                await fenced(told(on_notice, agent, notice, self._context))
            except Exception as failure:  # noqa: BLE001 - a notice is not worth the session that it is about
                error = ParleyError.of(failure)
                self._log.warning("on_notice failed", reason=notice.reason, code=error.code, message=error.message)

        self._keep(tell())

    def close(self, reason: str) -> None:
        if self._closing is not None or self.ended.done():
            return
        self._closing = reason
        close_s = self._options.close_ms / 1000
        if self._hosted is None:
            self._cancel()
        else:
            # Its call ends first, and what waits for that goes on by itself; what does not is cancelled.
            self._keep(self._hosted.leave(reason))
            self._timers.append(self._loop.call_later(close_s / 2, self._cancel))
        self._timers.append(self._loop.call_later(close_s, self._give_up, reason))

    def attach(self, client: FrameSocket) -> None:
        if self._hosted is None:
            raise ParleyError("failed_precondition", "the agent is not in its call yet", retryable=True)
        self._hosted.attach(client)

    async def _run(self) -> None:
        RUNNING.set(self._order.session_id)
        error: ParleyError | None = None
        order = self._order
        try:
            made = await fenced(self._agent_for(AgentRequest(order.configuration, self._context)))
            self._agent = made.seated(_Seat(self))
            join = told(self._options.join_call, self._agent, order.call_type, order.call_id, self._context)
            await fenced(join)
        except asyncio.CancelledError:
            # One that was told to end does; one that cancels itself has ended too.
            error = None
        except Exception as thrown:  # noqa: BLE001 - it ends this session and no other (P1)
            error = ParleyError.of(thrown)
            if self._closing is None:
                self._log.debug("it raised", exc_info=thrown)
        self._working = False
        over = None if self._hosted is None else await self._left(self._hosted)
        # What is raised by somebody who was told to stop is not a failure.
        if self._closing is not None:
            self._over(UnitEnd(self._closing, None))
            return
        error = error or (over and over.error)
        self._over(UnitEnd("failed" if error else over.reason if over else "task_completed", error))

    def _ran(self, task: asyncio.Task[None]) -> None:
        """However its task ended, it has: one that was told to end before its first step, and one that could not leave
        its call, have not said so themselves."""
        self._working = False
        failure = None if task.cancelled() else task.exception()
        if failure is None or self._closing is not None:
            self._over(UnitEnd(self._closing or "task_completed", None))
        else:
            self._over(UnitEnd("failed", ParleyError.of(failure)))

    async def _left(self, hosted: HostedCall) -> UnitEnd:
        # Not by this task's cancellation: it may have been told to end.
        end = await asyncio.shield(self._keep(hosted.leave(self._closing or "task_completed")))
        return UnitEnd(end.reason, end.error)

    def _cancel(self) -> None:
        if self._working:
            self._task.cancel()

    def _give_up(self, reason: str) -> None:
        self._log.warning("join_call did not end when it was told to; it is given up", reason=reason)
        self._over(UnitEnd(reason, None))

    def _over(self, end: UnitEnd) -> None:
        for timer in self._timers:
            timer.cancel()
        if not self.ended.done():
            self.ended.set_result(end)
        if not self.gone.done():
            self.gone.set_result(None)

    def _keep(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- where its call is held, with an ear on it

    async def join(self, agent: AgentParts, call: AgentCall) -> HostedCall:
        order = self._order
        host = self._host or LocalHost(
            LocalOptions(
                session_id=order.session_id,
                metadata=order.metadata,
                provider=order.provider,
                lease_model=self._options.lease_model,
                listener=self._entry,
                log=self._ports.log,
            )
        )
        hosted = await host.join(agent, call)
        self._hosted = hosted
        if self._closing is not None:
            await hosted.leave(self._closing)
        self._ports.active()
        return hosted

    def _entry(self, entry: Mapping[str, Any]) -> None:
        self._ports.entry(entry)
        presence = _PRESENCE.get(entry["type"])
        if presence is not None:
            self._ports.presence(presence)


class _Seat:
    """The host of this session's agent."""

    def __init__(self, unit: SharedUnit) -> None:
        self._unit = unit

    async def join(self, agent: AgentParts, call: AgentCall) -> HostedCall:
        return await self._unit.join(agent, call)
