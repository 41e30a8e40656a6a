"""The same launcher as an agent of a control plane: it registers what its agents declare, with its load and its
capacity, and is given the sessions that the control plane places here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from parley.agent import AgentHandle
from parley.call import AgentCall, AgentParts, CallEnd, HostedCall
from parley.errors import ParleyError
from parley.frames import FrameSocket
from parley.session import LiveSession
from parley.sessions import SessionDefinition, handle
from parley.settings import AgentOptions
from parley.threads import Threads
from parley.worker import AgentWorker

if TYPE_CHECKING:
    from .launcher import AgentLauncher

_CANCEL_MS = 2_000
#: Ends that the session at the control plane brings about by itself.
_BY_ITSELF = ("task_completed", "handler_completed")


async def connect_launcher(launcher: AgentLauncher, **options: Any) -> AgentHandle:
    """Connects a launcher to a control plane; options are those of ``AgentOptions``. Its capacity is
    ``max_concurrent_sessions``; sessions that were started over HTTP count as load too.

    A session that the model answers by itself is held by the control plane alone: ``join_call`` runs for those with a
    handler.
    """
    name, sessions, functions = (await launcher.probe()).parts
    threads = Threads()
    wrapped: dict[str, SessionDefinition] = {}
    for key, definition in sessions.items():
        wrapped[key] = SessionDefinition(definition.declaration)
        if definition.handler is not None:
            wrapped[key].handler = _handler(launcher, key, threads)
    settings = AgentOptions(**{**options, "sessions_max": launcher.options.max_concurrent_sessions})
    worker = AgentWorker(name, wrapped, functions, settings, session_load=lambda: launcher.active_sessions)
    return AgentHandle(worker)


def _handler(launcher: AgentLauncher, name: str, threads: Threads) -> Any:
    async def launched(session: LiveSession) -> None:
        """One session of the control plane, as a launch. Its handler is over when the launched session is."""
        metadata = dict(session.metadata)
        given_id, given = metadata.pop("call_id", None), metadata.pop("input", None)
        call_id = given_id if isinstance(given_id, str) else session.id
        start = await launcher.launch_at(
            RemoteHost(session, threads), session.id, call_id, name, input=given, metadata=metadata
        )
        deaf = session.on_end(lambda reason: launcher.close(start, _reason_of(reason)))
        try:
            await start.finished()
        finally:
            deaf()
            # A handler that is given up does not leave its launch behind.
            launcher.close(start, "handler_cancelled")
        if start.error is not None:
            raise start.error
        # One that was ended here, by a limit or a drain, is ended there with the same reason.
        if start.reason not in _BY_ITSELF and session.ended is None:
            await session.close(start.reason)

    return launched


class RemoteHost:
    """Holds the call in the session that the control plane keeps."""

    def __init__(self, session: LiveSession, threads: Threads) -> None:
        self._session = session
        self._threads = threads

    async def join(self, agent: AgentParts, call: AgentCall) -> HostedCall:
        return _RemoteCall(self._session, agent.sessions.get(call.session), self._threads)


class _RemoteCall:
    def __init__(self, session: LiveSession, definition: SessionDefinition | None, threads: Threads) -> None:
        self.session = session
        self.ended: asyncio.Future[CallEnd] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        session.on_end(lambda reason: self._end(CallEnd(_reason_of(reason))))
        if definition is not None and definition.handler is not None:
            self._task = asyncio.get_running_loop().create_task(self._handle(definition.handler, threads))

    async def leave(self, reason: str) -> CallEnd:
        # The session itself is closed once the launch is over: what was said last should be heard.
        self._end(CallEnd(reason))
        return self.ended.result()

    def attach(self, client: FrameSocket) -> None:
        raise ParleyError("unimplemented", "clients of this call connect to the control plane that keeps it")

    async def _handle(self, handler: Any, threads: Threads) -> None:
        failure = await handle(self.session, handler, threads, _CANCEL_MS)
        if failure is None:
            self._end(CallEnd("handler_completed"))
        elif failure is self.session.ended:
            self._end(CallEnd(_reason_of(failure)))
        else:
            self._end(CallEnd("handler_failed", failure))

    def _end(self, end: CallEnd) -> None:
        if not self.ended.done():
            self.ended.set_result(end)


def _reason_of(error: ParleyError) -> str:
    told = (error.details or {}).get("reason")
    return told if isinstance(told, str) else "session_ended"
