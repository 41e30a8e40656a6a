"""A session that is kept in this process: it performs what ``step`` asks for against a model, the agent's own functions
and handler, and a client. It decides nothing itself, and its log is not kept: who wants that, listens or uses a control
plane."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from parley.call import AgentParts, CallEnd, CallListener
from parley.contract.types import ErrorObject, SessionDeclaration
from parley.declaration import resolve_tools
from parley.errors import ParleyError
from parley.frames import FrameClose, FrameSocket
from parley.ids import new_id
from parley.log import Log
from parley.providers.port import RealtimeModel
from parley.session import LiveSession
from parley.session_log import PerformedEffect
from parley.sessions import Handler
from parley.signals import Signal
from parley.threads import Threads

from .client import LocalClient
from .functions import LocalFunctions
from .handler import LocalHandler
from .log import LocalLog
from .model import LocalModel
from .requests import LocalRequests
from .timers import LocalTimers
from .work import LocalWork

_TURNS_MAX = 32
_CANCEL_MS = 2_000


class LocalParts(NamedTuple):
    id: str
    agent: AgentParts
    declaration: SessionDeclaration
    handler: Handler | None
    model: RealtimeModel
    metadata: Mapping[str, Any]
    log: Log


class LocalSession:
    def __init__(self, parts: LocalParts, listener: CallListener | None = None) -> None:
        self._parts = parts
        self._listener = listener
        agent, declaration, log = parts.agent, parts.declaration, parts.log.bind(session_id=parts.id)
        threads = Threads()
        self._entries = LocalLog(parts.id, self)
        self._work = LocalWork(self._entries, log)
        self._timers = LocalTimers(self._entries.append)
        self._requests = LocalRequests(self._entries, self._call)
        self._live = LiveSession(
            _opened(parts), agent=agent.name, request=self._requests.take, turns_max=_TURNS_MAX, log=log
        )
        self._functions = LocalFunctions(
            agent,
            session_id=parts.id,
            workflow_id=self._live.workflow_id,
            threads=threads,
            log=log,
            cancel_ms=_CANCEL_MS,
        )
        self._handler: LocalHandler | None = None
        if parts.handler is not None and declaration.get("responder") == "handler":
            self._handler = LocalHandler(parts.handler, self._live, self._entries, self._work, threads, _CANCEL_MS)
        self._client = LocalClient(declaration.get("client_events", []), self)
        self._model = LocalModel(parts.model, self._entries, self._work, joined=self._client.connect, log=log)
        self.ended: asyncio.Future[CallEnd] = asyncio.get_running_loop().create_future()

    @property
    def session(self) -> LiveSession:
        """As the handler and ``join_call`` see it."""
        return self._live

    def start(self) -> None:
        live = self._live
        self._entries.append(
            {
                "type": "session.created",
                "session_id": live.id,
                "workflow_id": live.workflow_id,
                "execution_id": live.execution_id,
                "agent": self._parts.agent.name,
                "target": live.target,
                "declaration": live.declaration,
                "tools": list(live.tools),
                "metadata": dict(live.metadata),
            }
        )

    def attach(self, client: FrameSocket) -> None:
        """A client joins the call; one that was there leaves it. The model is connected for the first one."""
        self._entries.check_open()
        self._client.attach(client)

    async def leave(self, reason: str) -> CallEnd:
        self._entries.append({"type": "session.closing", "reason": reason, "by": "server"})
        end = await asyncio.shield(self.ended)
        await self._model.gone()
        return end

    # --- for its log

    def tell(self, record: dict[str, Any]) -> None:
        self._listen(record)
        self._client.event(record)
        self._live.deliver(record)
        kind = record["type"]
        if kind == "say.completed":
            self._requests.said(record)
        elif kind == "provider.connected":
            if self._handler is not None:
                self._handler.attach()
        elif kind == "session.closed":
            self._leave(record["reason"], record.get("error"))

    def perform(self, effect: PerformedEffect) -> None:
        if effect["kind"] == "provider.connect":
            self._model.connect()
        elif effect["kind"] == "provider.send":
            self._model.send(effect["command"])
        elif effect["kind"] == "execution.dispatch":
            self._work.keep(self._dispatch(effect))
        elif effect["kind"] == "execution.cancel":
            self._functions.cancel(effect["execution_id"], effect["reason"])
        elif effect["kind"] == "timer.set":
            self._timers.set(effect["timer"], effect["ms"])
        elif effect["kind"] == "timer.clear":
            self._timers.clear(effect["timer"])
        else:
            self._end(effect["reason"], effect["error"])

    def _listen(self, record: dict[str, Any]) -> None:
        if self._listener is None:
            return
        try:
            self._listener(record)
        except Exception as failure:
            # What follows from the entry has to be done all the same: it may be the end of the call.
            self._live.log.error("a listener of the log raised", entry=record["type"], exc_info=failure)

    # --- functions

    async def _call(self, frame: Mapping[str, Any], until: Signal) -> Any:
        return await self._functions.call(frame, self._live.execution_id, until)

    async def _dispatch(self, effect: Mapping[str, Any]) -> None:
        began_ms = self._entries.now_ms()
        run = {key: effect[key] for key in ("execution_id", "target", "input", "timeout_ms")}
        ended = await self._functions.run({**run, "parent_execution_id": self._live.execution_id})
        call = self._entries.state.calls.get(effect["call_id"])
        # It was answered in the meantime: the session has ended.
        if call is None:
            return
        ids = {"call_id": effect["call_id"], "name": call.name, "execution_id": effect["execution_id"]}
        duration_ms = self._entries.now_ms() - began_ms
        self._entries.append({"type": "tool.completed", **ids, "duration_ms": duration_ms, **ended})

    # --- clients

    def client_attached(self, connection_id: str) -> None:
        self._entries.append({"type": "client.attached", "connection_id": connection_id})

    def client_detached(self, connection_id: str, close: FrameClose) -> None:
        self._entries.append({"type": "client.detached", "connection_id": connection_id, **close._asdict()})

    def client_rejected(self, connection_id: str, error: ErrorObject) -> None:
        self._entries.append({"type": "client.rejected", "connection_id": connection_id, "error": error})

    # --- the end

    def _end(self, reason: str, error: ErrorObject | None) -> None:
        state, counts = self._entries.state, self._model.counts()
        self._model.close(reason)
        self._entries.append(
            {
                "type": "session.closed",
                "reason": reason,
                **({} if error is None else {"error": error}),
                "duration_ms": self._entries.now_ms() - state.created_at_ms,
                "turns": state.turns,
                "tool_calls": state.tool_calls,
                "user_audio_ms": counts.user_audio_ms,
                "reply_audio_ms": counts.reply_audio_ms,
                "usage": state.usage,
            }
        )

    def _leave(self, reason: str, error: ErrorObject | None) -> None:
        self._timers.close()
        ended = ParleyError("cancelled", f"the session ended: {reason}", details={"reason": reason})
        self._functions.close(ended)
        self._client.close(reason, error)
        if not self.ended.done():
            self.ended.set_result(CallEnd(reason, None if error is None else ParleyError.of(error)))


def _opened(parts: LocalParts) -> dict[str, Any]:
    """The session as a control plane would open it."""
    agent, declaration = parts.agent, parts.declaration
    tools = resolve_tools(
        agent.name,
        declaration.get("tools", []),
        lambda owner, name: (
            agent.functions[name].declaration if owner == agent.name and name in agent.functions else None
        ),
    )
    return {
        "session_id": parts.id,
        "session": declaration["name"],
        "workflow_id": new_id("workflow"),
        "execution_id": new_id("execution"),
        "declaration": declaration,
        "tools": tools,
        "metadata": parts.metadata,
    }
