"""A session that is kept in this process: it performs what ``step`` asks for against a model, the agent's own functions
and handler, and a client. It decides nothing itself, and its log is not kept: who wants that, listens or uses a control
plane."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple

from parley.call import AgentParts, CallEnd, CallListener
from parley.contract import CAPABILITIES
from parley.contract.types import ErrorObject, SessionDeclaration
from parley.declaration import resolve_tools
from parley.errors import ParleyError
from parley.frames import FrameClose, FrameSocket
from parley.ids import new_id
from parley.log import Log
from parley.providers.port import MediaCounts, ModelConnection, ModelSessionOptions, RealtimeModel
from parley.session import LiveSession
from parley.session_log import PerformedEffect, SessionState, append
from parley.sessions import Handler, handle
from parley.signals import Signal
from parley.threads import Threads

from .client import LocalClient
from .functions import LocalFunctions

_TURNS_MAX = 32
_CANCEL_MS = 2_000
_GOODBYE_S = 2.0
#: asyncio takes longer waits, the log does not need them.
_TIMER_MS_MAX = 0x7FFFFFFF


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
        self._log = parts.log.bind(session_id=parts.id)
        self._loop = asyncio.get_running_loop()
        self._epoch_s = time.time() - self._loop.time()
        self._listener = listener
        self._state = SessionState()
        self._connection: ModelConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._says: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        #: Events that came while another one was being told.
        self._waiting: deque[dict[str, Any]] = deque()
        self._telling = False
        self.ended: asyncio.Future[CallEnd] = self._loop.create_future()
        agent, declaration = parts.agent, parts.declaration
        tools = resolve_tools(
            agent.name,
            declaration.get("tools", []),
            lambda owner, name: (
                agent.functions[name].declaration if owner == agent.name and name in agent.functions else None
            ),
        )
        opened = {
            "session_id": parts.id,
            "session": declaration["name"],
            "workflow_id": new_id("workflow"),
            "execution_id": new_id("execution"),
            "declaration": declaration,
            "tools": tools,
            "metadata": parts.metadata,
        }
        self._threads = Threads()
        self._live = LiveSession(opened, agent=agent.name, request=self._request, turns_max=_TURNS_MAX, log=self._log)
        self._functions = LocalFunctions(
            agent,
            session_id=parts.id,
            workflow_id=self._live.workflow_id,
            threads=self._threads,
            log=self._log,
            cancel_ms=_CANCEL_MS,
        )
        self._client = LocalClient(declaration.get("client_events", []), self)

    @property
    def session(self) -> LiveSession:
        """As the handler and ``join_call`` see it."""
        return self._live

    def start(self) -> None:
        live = self._live
        self._append(
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
        self._check_open()
        self._client.attach(client)

    async def leave(self, reason: str) -> CallEnd:
        self._append({"type": "session.closing", "reason": reason, "by": "server"})
        end = await asyncio.shield(self.ended)
        leaving: set[asyncio.Future[Any]] = set()
        if self._connecting is not None and not self._connecting.done():
            leaving.add(self._connecting)
        if self._connection is not None:
            leaving.add(self._connection.closed)
        if leaving:
            # The provider bills until it has heard; one that does not answer is not waited for.
            await asyncio.wait(leaving, timeout=_GOODBYE_S)
        return end

    # --- the log

    def _append(self, event: dict[str, Any]) -> None:
        self._waiting.append(event)
        # What is told may ask for more, which then comes after it.
        if self._telling:
            return
        self._telling = True
        try:
            while self._waiting:
                self._apply(self._waiting.popleft())
        finally:
            self._telling = False

    def _apply(self, event: dict[str, Any]) -> None:
        phase = self._state.phase
        if phase == "closed" or (event["type"] == "session.closing" and phase == "closing"):
            return
        appended = append(self._state, event, self._now_ms())
        self._state = appended.state
        for record in appended.records:
            self._tell(record)
        for effect in appended.effects:
            self._perform(effect)

    def _now_ms(self) -> int:
        return round((self._epoch_s + self._loop.time()) * 1000)

    def _tell(self, record: dict[str, Any]) -> None:
        kind = record["type"]
        if self._listener is not None:
            self._listener(record)
        self._client.event(record)
        self._live.deliver(record)
        if kind == "say.completed":
            waiting = self._says.pop(record["say_id"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(record)
        elif kind == "provider.connected":
            self._handle()
        elif kind == "session.closed":
            self._leave(record["reason"], record.get("error"))

    def _perform(self, effect: PerformedEffect) -> None:
        if effect["kind"] == "provider.connect":
            self._connecting = self._keep(self._connect())
        elif effect["kind"] == "provider.send":
            if self._connection is not None:
                self._connection.send(effect["command"])
        elif effect["kind"] == "execution.dispatch":
            self._keep(self._dispatch(effect))
        elif effect["kind"] == "execution.cancel":
            self._functions.cancel(effect["execution_id"], effect["reason"])
        elif effect["kind"] == "timer.set":
            self._clear(effect["timer"])
            wait_s = min(effect["ms"], _TIMER_MS_MAX) / 1000
            fired = {"type": "timer.fired", "timer": effect["timer"]}
            self._timers[effect["timer"]] = self._loop.call_later(wait_s, self._append, fired)
        elif effect["kind"] == "timer.clear":
            self._clear(effect["timer"])
        else:
            self._end(effect["reason"], effect["error"])

    def _clear(self, timer: str) -> None:
        set_before = self._timers.pop(timer, None)
        if set_before is not None:
            set_before.cancel()

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            # A mistake of ours: the call cannot go on as if nothing had happened.
            self._log.error("a session failed inside", exc_info=failure)
            error = ParleyError.of(failure, "internal")
            self._append({"type": "provider.disconnected", "code": 1006, "reason": "", "error": error.to_object()})

    # --- the model

    async def _connect(self) -> None:
        state = self._state
        declaration = state.declaration
        if declaration is None:
            return
        row = CAPABILITIES[declaration["provider"]]
        detection = declaration.get("turn_detection")
        try:
            connection = await self._parts.model.connect(
                ModelSessionOptions(
                    model=declaration.get("model") or row.get("default_model") or "",
                    voice=declaration.get("voice") or row.get("default_voice") or "",
                    responder=declaration.get("responder", "model"),
                    modalities=declaration.get("modalities", ["audio", "text"]),
                    tools=[one for one in state.tools if one["name"] in state.enabled_tools],
                    turn_detection=detection,
                    instructions=declaration.get("instructions"),
                    language=declaration.get("language"),
                    safety_id=self._parts.id,
                )
            )
        except ParleyError as error:
            self._log.warning("no connection to the provider", code=error.code)
            lost = {"code": 1006, "reason": error.message, "recoverable": error.retryable}
            self._append({"type": "provider.disconnected", **lost, "error": error.to_object()})
            return
        self._connection = connection
        connection.on_event(self._from_model)
        connection.closed.add_done_callback(lambda closed: self._disconnected(closed.result()._asdict()))
        self._client.connect(connection.media)
        named = connection.provider_session_id
        self._append({"type": "provider.connected", **({} if named is None else {"provider_session_id": named})})

    def _from_model(self, event: dict[str, Any]) -> None:
        if event["type"] == "tool.called":
            event = {**event, "execution_id": new_id("execution")}
        self._append(event)

    def _disconnected(self, closed: dict[str, Any]) -> None:
        known = {key: value for key, value in closed.items() if value is not None}
        self._append({"type": "provider.disconnected", **known})

    # --- functions and the handler

    async def _dispatch(self, effect: Mapping[str, Any]) -> None:
        began_s = self._loop.time()
        run = {key: effect[key] for key in ("execution_id", "target", "input", "timeout_ms")}
        ended = await self._functions.run({**run, "parent_execution_id": self._live.execution_id})
        call = self._state.calls.get(effect["call_id"])
        # It was answered in the meantime: the session has ended.
        if call is None:
            return
        ids = {"call_id": effect["call_id"], "name": call.name, "execution_id": effect["execution_id"]}
        duration_ms = round((self._loop.time() - began_s) * 1000)
        self._append({"type": "tool.completed", **ids, "duration_ms": duration_ms, **ended})

    def _handle(self) -> None:
        handler, declaration = self._parts.handler, self._parts.declaration
        if handler is None or declaration.get("responder") != "handler" or self._state.handler != "none":
            return
        self._append({"type": "handler.attached", "link_id": new_id("link")})
        self._keep(self._run_handler(handler))

    async def _run_handler(self, handler: Handler) -> None:
        failure = await handle(self._live, handler, self._threads, _CANCEL_MS)
        if failure is None:
            self._append({"type": "handler.completed"})
        # A handler that lets the end of its session pass through has not failed.
        elif failure is not self._live.ended:
            self._append({"type": "handler.failed", "error": failure.to_object()})

    async def _request(self, frame: dict[str, Any], until: Signal) -> Any:
        self._check_open()
        kind = frame["type"]
        rest = {key: value for key, value in frame.items() if key not in ("type", "session_id")}
        if kind == "session.say":
            return await self._say(frame["text"], until)
        if kind == "function.call":
            return await self._functions.call(frame, self._live.execution_id, until)
        if kind == "session.inject":
            respond = frame.get("respond", False)
            self._append({"type": "input.injected", "text": frame["text"], "respond": respond, "by": "handler"})
        elif kind == "session.update":
            declared = {tool["name"] for tool in self._state.tools}
            unknown = [name for name in frame.get("tools", []) if name not in declared]
            if unknown:
                words = f"tool '{unknown[0]}' was not declared for this session; an update can only narrow its tools"
                raise ParleyError("permission_denied", words)
            self._append({"type": "session.updated", "by": "handler", **rest})
        else:
            reason = frame.get("reason", "handler_closed")
            self._append({"type": "session.closing", "reason": reason, "by": "handler"})
        return None

    async def _say(self, text: str, until: Signal) -> dict[str, Any]:
        say_id = new_id("say")
        spoken: asyncio.Future[Mapping[str, Any]] = self._loop.create_future()
        self._says[say_id] = spoken

        def abandon(reason: ParleyError) -> None:
            if not spoken.done():
                spoken.set_exception(reason)

        self._append({"type": "say.requested", "say_id": say_id, "text": text, "by": "handler"})
        deaf = until.listen(abandon)
        try:
            end = await spoken
        finally:
            deaf()
            self._says.pop(say_id, None)
        if "error" in end:
            raise ParleyError.of(end["error"])
        return {"interrupted": end["interrupted"], "spoken_text": end["spoken_text"]}

    def _check_open(self) -> None:
        phase = self._state.phase
        if phase in ("closing", "closed"):
            words = f"session {self._parts.id} is {phase}"
            raise ParleyError("failed_precondition", words, retryable=False)

    # --- clients

    def client_attached(self, connection_id: str) -> None:
        self._append({"type": "client.attached", "connection_id": connection_id})

    def client_detached(self, connection_id: str, close: FrameClose) -> None:
        self._append({"type": "client.detached", "connection_id": connection_id, **close._asdict()})

    def client_rejected(self, connection_id: str, error: ErrorObject) -> None:
        self._append({"type": "client.rejected", "connection_id": connection_id, "error": error})

    # --- the end

    def _end(self, reason: str, error: ErrorObject | None) -> None:
        state = self._state
        counts = MediaCounts() if self._connection is None else self._connection.media.counts()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.close(reason)
        self._append(
            {
                "type": "session.closed",
                "reason": reason,
                **({} if error is None else {"error": error}),
                "duration_ms": self._now_ms() - state.created_at_ms,
                "turns": state.turns,
                "tool_calls": state.tool_calls,
                "user_audio_ms": counts.user_audio_ms,
                "reply_audio_ms": counts.reply_audio_ms,
                "usage": state.usage,
            }
        )

    def _leave(self, reason: str, error: ErrorObject | None) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        ended = ParleyError("cancelled", f"the session ended: {reason}", details={"reason": reason})
        self._functions.close(ended)
        self._client.close(reason, error)
        if not self.ended.done():
            self.ended.set_result(CallEnd(reason, None if error is None else ParleyError.of(error)))
