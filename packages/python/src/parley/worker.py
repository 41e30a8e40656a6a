"""One process of an agent: it holds the link, and runs what comes over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from .backoff import Backoff
from .check import problem_of
from .connection import Connection, Terms, dial
from .context import Context
from .errors import ParleyError
from .executions import Execution, Executions
from .functions import FunctionDefinition
from .ids import new_id
from .json_text import dumps, payload
from .link import Link
from .log import Log
from .outbox import Outbox
from .requests import Requests
from .results import Results
from .sessions import SessionDefinition, Sessions
from .settings import AgentOptions
from .signals import Signal
from .threads import Threads
from .version import SDK

_NOTE_CHARS_MAX = 4096


class AgentStatus(NamedTuple):
    phase: Literal["connecting", "serving", "draining", "stopped"]
    #: The link's id at the control plane.
    link_id: str | None
    #: Executions without a result.
    executions: int
    #: Results that the control plane has not confirmed.
    unconfirmed: int
    #: Handlers that run.
    sessions: int


class AgentWorker:
    def __init__(
        self,
        name: str,
        sessions: Mapping[str, SessionDefinition],
        functions: Mapping[str, FunctionDefinition],
        options: AgentOptions,
        *,
        session_load: Callable[[], int] | None = None,
    ) -> None:
        """``session_load`` is how many sessions it holds, where there are more than those of the control plane."""
        self._name = name
        self._definitions = sessions
        self._functions = functions
        self._options = options
        self._session_load = session_load or (lambda: len(self._sessions))
        self._log = Log(agent=name)
        self._instance_id = new_id("agent")
        self._link_id: str | None = None
        #: Made by the control plane: another one has another.
        self._agent_id: str | None = None
        self._phase: Literal["serving", "draining", "stopping", "stopped"] = "serving"
        self._deadline: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self.registered: asyncio.Future[None] = self._loop.create_future()
        url, key = options.link_url(), options.link_key()
        self._link = Link(
            self,
            lambda: dial(url, key, options.connect_ms),
            backoff=Backoff(options.backoff_min_ms, options.backoff_max_ms, options.backoff_reset_ms),
            welcome_ms=options.connect_ms,
        )
        threads = Threads()
        self._outbox = Outbox(self._link, frames_max=options.outbox_frames_max, bytes_max=options.outbox_bytes_max)
        self._requests = Requests(self._outbox, options.requests_max)
        self._results = Results(self._outbox.route, options.result_bytes_max)
        self._executions = Executions(
            functions,
            self._results,
            self,
            threads=threads,
            log=self._log,
            running_max=options.executions_max,
            waiting_max=options.executions_waiting_max,
            cancel_ms=options.cancel_ms,
        )
        self._sessions = Sessions(
            name,
            sessions,
            self,
            threads=threads,
            log=self._log,
            open_max=options.sessions_max,
            turns_max=options.turns_max,
            cancel_ms=options.cancel_ms,
        )

    @property
    def status(self) -> AgentStatus:
        phase: Literal["connecting", "serving", "draining", "stopped"]
        if self._phase == "serving":
            phase = "connecting" if self._link.current is None else "serving"
        else:
            phase = "draining" if self._phase == "stopping" else self._phase
        sizes = len(self._executions), len(self._results), len(self._sessions)
        return AgentStatus(phase, self._link_id, *sizes)

    async def run(self) -> None:
        """Returns when the agent has stopped; raises the ParleyError of a refusal for good."""
        end = ParleyError("unavailable", "the agent has stopped", retryable=False)
        try:
            await self._link.run()
        except ParleyError as error:
            end = error
            self._log.error("the control plane refused this agent", code=error.code, message=error.message)
            raise
        finally:
            if self._deadline is not None:
                self._deadline.cancel()
            self._phase = "stopped"
            self._link_id = None
            if not self.registered.done():
                self.registered.set_exception(end)
                # Whoever awaits it sees the error; nobody has to.
                self.registered.exception()
            self._requests.fail_all(end)
            self._sessions.end_all(end)
            self._executions.cancel_all(end)

    def drain(self) -> None:
        """Takes no new work, finishes the old, and stops; after ``drain_ms`` it stops anyway."""
        if self._phase != "serving":
            return
        self._phase = "draining"
        self._log.info("draining", executions=len(self._executions), sessions=len(self._sessions))
        if self._link.current is not None:
            self.say({"type": "agent.drain"}, None)
        self._deadline = self._loop.call_later(self._options.drain_ms / 1000, self.stop)
        self.changed()

    def stop(self) -> None:
        """Cancels what runs, says how it ended, and stops. A second call does not wait."""
        if self._phase == "stopping":
            self._link.stop()
        if self._phase in ("stopping", "stopped"):
            return
        self._phase = "stopping"
        reason = ParleyError("unavailable", "the agent is stopping", retryable=True)
        self._executions.cancel_all(reason)
        self._sessions.end_all(reason)
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(self._options.stop_ms / 1000, self._link.stop)
        self.changed()

    # --- the link

    def hello(self) -> str:
        capacity = {"executions": self._options.executions_max, "sessions": self._options.sessions_max}
        return dumps(
            {
                "type": "agent.register",
                "agent": self._name,
                "instance_id": self._instance_id,
                "sdk": SDK,
                "sessions": [one.declaration for one in self._definitions.values()],
                "functions": [one.declaration for one in self._functions.values()],
                "capacity": capacity,
                "in_flight": self._executions.in_flight(),
                "sessions_open": self._sessions.list(),
            }
        )

    def welcome(self, raw: Any) -> Terms | None:
        frame = self._read(raw)
        if frame is None:
            return None
        if frame["type"] == "agent.error":
            raise ParleyError.of(frame["error"])
        if frame["type"] != "agent.registered":
            return None
        return Terms(frame["heartbeat_ms"], frame["lease_ms"], frame["frame_bytes_max"])

    def heartbeat(self) -> str:
        load = {"executions": len(self._executions), "sessions": self._session_load()}
        self._results.repeat_all(self._options.repeat_ms)
        return dumps({"type": "agent.heartbeat", "load": load})

    def up(self, connection: Connection, frame: Any) -> None:
        self._link_id = frame["link_id"]
        self._log.info("registered", link_id=self._link_id)
        if self._phase != "serving":
            self.say({"type": "agent.drain"}, connection)
        self._executions.resumed(set(frame["wanted"]))
        if self._agent_id not in (None, frame["agent_id"]):
            self._requests.forget()
        self._agent_id = frame["agent_id"]
        # Its answer comes after everything that the server kept for us.
        connection.send(self.heartbeat())
        self._outbox.flush()
        if not self.registered.done():
            self.registered.set_result(None)
        self.changed()

    def frame(self, raw: Any, connection: Connection) -> None:
        frame = self._read(raw)
        if frame is None:
            return
        kind = frame["type"]
        if kind == "execution.dispatch":
            self._executions.dispatch(frame, connection)
        elif kind == "execution.cancel":
            self._executions.cancel(frame["execution_id"], frame["reason"])
        elif kind == "execution.settled":
            self._executions.settled(frame["execution_id"])
        elif kind == "session.open":
            self._sessions.open(frame, connection)
        elif kind == "session.event":
            self._sessions.event(frame, connection)
        elif kind == "agent.alive" and connection is self._link.current:
            self._sessions.repeat()
            self._requests.repeat()
        elif kind == "reply":
            self._requests.reply(frame)
            self.changed()
        elif kind == "server.drain":
            self._log.info("the control plane drains; opening another link", deadline_ms=frame["deadline_ms"])
            if connection is self._link.current:
                self._link.replace()
        elif kind == "agent.error":
            self._refused(ParleyError.of(frame["error"]))

    def writable(self) -> None:
        self._results.repeat_all(self._options.repeat_ms)
        self._outbox.flush()

    def down(self, connection: Connection, code: int, reason: str) -> None:
        self._log.log(20 if code == 1000 else 30, "the link ended", code=code, reason=reason)
        if self._link.current is None:
            self._link_id = None
        else:
            # A connection that was replaced is gone: see what it took with it.
            self._link.current.send(self.heartbeat())
        self.changed()

    def broken(self, error: Exception) -> None:
        self._log.error("a frame could not be handled", exc_info=error)

    def retrying(self, error: ParleyError, delay_ms: float) -> None:
        self._log.warning("no link", code=error.code, message=error.message, retry_in_ms=round(delay_ms))

    # --- what executions and sessions ask for

    def accepted(self, execution: Execution) -> None:
        self.say({"type": "execution.accepted", "execution_id": execution.id}, execution.over)

    async def request(self, frame: dict[str, Any], over: Connection | None, until: Signal) -> Any:
        return await self._requests.send(frame, over, until)

    def say(self, frame: dict[str, Any], over: Connection | None) -> Connection | None:
        connection = self._outbox.route(over)
        return connection if connection is not None and connection.send(dumps(frame)) else None

    def context_of(self, execution: Execution) -> Context:
        log = self._log.bind(execution_id=execution.id, function=execution.dispatch["function"])

        async def request(frame: dict[str, Any]) -> Any:
            child = {**frame, "parent_execution_id": execution.id}
            call = self._requests.send(child, execution.over, execution.end)
            return await self._executions.waiting_for(execution, call)

        def note(text: str, data: Any) -> None:
            more = {} if data is None else {"data": payload(data, "the data of a note", "invalid_argument")}
            frame = {"type": "execution.note", "execution_id": execution.id, "text": text[:_NOTE_CHARS_MAX], **more}
            try:
                self._outbox.post(frame, execution.over)
            except ParleyError as full:
                # A note is not worth the execution that it is about.
                log.warning("a note was lost", message=full.message)

        return Context(execution.dispatch, agent=self._name, request=request, note=note, end=execution.end, log=log)

    def changed(self) -> None:
        """Looks at the state and does the next thing: lets go of replaced links, and ends a drain that is done."""
        for connection in list(self._link.retiring):
            parts = (self._executions, self._results, self._sessions, self._requests)
            if not any(part.uses(connection) for part in parts):
                self._link.retire(connection)
        leaving = self._phase in ("draining", "stopping")
        if leaving and len(self._executions) + len(self._results) + len(self._sessions) == 0:
            self._link.stop()

    def _refused(self, error: ParleyError) -> None:
        self._log.warning("the control plane refused a frame", code=error.code, message=error.message)
        session_id = (error.details or {}).get("session_id")
        if error.code == "not_found" and isinstance(session_id, str):
            self._sessions.lost(session_id, error)

    def _read(self, raw: Any) -> dict[str, Any] | None:
        """A checked frame; None for one of a type that came after this code was written, or that is not well."""
        problem = problem_of("ServerFrame", raw)
        if problem is None:
            frame: dict[str, Any] = raw
            return frame
        self._log.warning("a frame was skipped", problem=problem.message)
        return None
