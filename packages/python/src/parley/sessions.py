"""The handlers that run here, one for each open session.

P1  A handler that raises, or never returns, touches no other session.
P2  ``session.handled`` is said once a handler ended, and again when the link that took it was cut, until the session is
    closed. A session that is closed already is not told.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, cast

from .blocking import BlockingSession
from .connection import Connection
from .contract.types import SessionDeclaration
from .errors import ParleyError
from .fence import fenced
from .log import Log
from .session import LiveSession
from .signals import Signal
from .threads import Threads

#: Ended handlers whose session was not closed yet. More than this, and the oldest is forgotten.
_HANDLED_MAX = 1024

#: An ``async def`` of a ``RealtimeSession``, or a plain ``def`` of a ``BlockingSession``: told apart when it runs.
Handler = Callable[[Any], Awaitable[None] | None]


class SessionDefinition:
    def __init__(self, declaration: SessionDeclaration) -> None:
        self.declaration = declaration
        self.handler: Handler | None = None


class SessionPorts(Protocol):
    async def request(self, frame: dict[str, Any], over: Connection | None, until: Signal) -> Any: ...

    def say(self, frame: dict[str, Any], over: Connection | None) -> Connection | None:
        """Sends a frame when there is a link. Returns the connection that took it."""

    def changed(self) -> None: ...


class _Open:
    def __init__(self, over: Connection) -> None:
        self.session: LiveSession
        #: The connection that its entries came over last.
        self.over = over
        #: What to say about how the handler ended; None while it runs.
        self.handled: dict[str, Any] | None = None
        #: The connection that took it.
        self.said_over: Connection | None = None
        #: ``session.closed`` was seen: nothing follows.
        self.closed = False


class Sessions:
    def __init__(
        self,
        agent: str,
        definitions: Mapping[str, SessionDefinition],
        ports: SessionPorts,
        *,
        threads: Threads,
        log: Log,
        open_max: int,
        turns_max: int,
        cancel_ms: int,
    ) -> None:
        self._agent = agent
        self._definitions = definitions
        self._ports = ports
        self._threads = threads
        self._log = log
        self._open_max = open_max
        self._turns_max = turns_max
        self._cancel_ms = cancel_ms
        self._open: dict[str, _Open] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Handlers that run."""
        return sum(one.handled is None for one in self._open.values())

    def uses(self, connection: Connection) -> bool:
        return any(one.over is connection and one.handled is None for one in self._open.values())

    def list(self) -> list[dict[str, Any]]:
        """For the registration: sessions that are not closed, with the last entry seen."""
        return [{"session_id": id_, "after_seq": one.session.after_seq} for id_, one in self._open.items()]

    def open(self, frame: dict[str, Any], over: Connection) -> None:
        session_id = frame["session_id"]
        known = self._open.get(session_id)
        if known is not None:
            known.over = over
            return
        definition = self._definitions.get(frame["session"])
        handler = None if definition is None else definition.handler
        if handler is None:
            words = f"this agent has no handler for the session '{frame['session']}'"
            self._refuse(session_id, ParleyError("not_found", words), over)
            return
        if len(self) >= self._open_max:
            words = f"this agent runs {self._open_max} sessions already"
            self._refuse(session_id, ParleyError("resource_exhausted", words), over)
            return
        open_ = _Open(over)
        open_.session = LiveSession(
            frame,
            agent=self._agent,
            request=lambda request, until: self._ports.request(request, open_.over, until),
            turns_max=self._turns_max,
            log=self._log.bind(session_id=session_id),
        )
        self._open[session_id] = open_
        task = asyncio.ensure_future(self._run(open_, handler))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def event(self, frame: dict[str, Any], over: Connection) -> None:
        open_ = self._open.get(frame["session_id"])
        if open_ is None:
            return
        open_.over = over
        open_.session.deliver(frame["event"])
        if frame["event"].get("type") == "session.closed":
            self._closed(open_)

    def lost(self, session_id: str, error: ParleyError) -> None:
        """The server does not know this session any more."""
        open_ = self._open.get(session_id)
        if open_ is not None:
            open_.session.end(error)
            self._closed(open_)

    def repeat(self) -> None:
        """Says again what a cut link took with it.

        To be called when the server has answered a heartbeat on the new connection: it has told by then which sessions
        are gone.
        """
        for open_ in list(self._open.values()):
            self._say_handled(open_)

    def end_all(self, error: ParleyError) -> None:
        for open_ in list(self._open.values()):
            open_.session.end(error)

    async def _run(self, open_: _Open, handler: Handler) -> None:
        session = open_.session
        failure = await handle(session, handler, self._threads, self._cancel_ms)
        end = session.ended
        # A handler that lets the end of its session pass through has not failed. An agent that stops has.
        if failure is not None and failure is end and failure.code == "cancelled":
            failure = None
        if failure is None and end is not None and end.code != "cancelled":
            failure = end
        error_field = {} if failure is None else {"error": failure.to_object()}
        open_.handled = {"type": "session.handled", "session_id": session.id, **error_field}
        session.log.info("the handler ended", code=None if failure is None else failure.code)
        session.end(ParleyError("failed_precondition", "the handler of this session has ended"))
        if open_.closed:
            self._open.pop(session.id, None)
        else:
            self._say_handled(open_)
        ended = [one for one in self._open.values() if one.handled is not None]
        if len(ended) > _HANDLED_MAX:
            del self._open[ended[0].session.id]
        self._ports.changed()

    def _refuse(self, session_id: str, error: ParleyError, over: Connection) -> None:
        self._ports.say({"type": "session.handled", "session_id": session_id, "error": error.to_object()}, over)

    def _say_handled(self, open_: _Open) -> None:
        told = open_.said_over is not None and open_.said_over.up
        if open_.handled is not None and not told:
            open_.said_over = self._ports.say(open_.handled, open_.over)

    def _closed(self, open_: _Open) -> None:
        open_.closed = True
        if open_.handled is not None:
            self._open.pop(open_.session.id, None)
        self._ports.changed()


async def handle(session: LiveSession, handler: Handler, threads: Threads, cancel_ms: int) -> ParleyError | None:
    """Runs a handler to its end. What it raised, or None; the error that ended the session where that was why."""
    try:
        await _run(session, handler, threads, cancel_ms)
    except (Exception, asyncio.CancelledError) as error:
        end = session.ended
        session.log.debug("the handler raised", exc_info=error)
        # The task is cancelled only when the session ended and the handler did not.
        return end if isinstance(error, asyncio.CancelledError) and end is not None else ParleyError.of(error)
    return None


async def _run(session: LiveSession, handler: Handler, threads: Threads, cancel_ms: int) -> None:
    loop = asyncio.get_running_loop()
    if not inspect.iscoroutinefunction(handler):
        face = BlockingSession(session, loop)
        returned = await fenced(threads.run(lambda: handler(face)))
        # Something callable that is no function may hide that it is asynchronous.
        if inspect.isawaitable(returned):
            await returned
        return
    # Its own task, so that what it does with its cancellations stays its own.
    work: asyncio.Future[None] = asyncio.ensure_future(fenced(cast("Awaitable[None]", handler(session))))
    timer: list[asyncio.TimerHandle] = []
    # After the end everything that it awaits from its session raises; a handler that waits for something else, or
    # goes on all the same, is cancelled after a while.
    deaf = session.on_end(lambda _: timer.append(loop.call_later(cancel_ms / 1000, work.cancel)))
    try:
        await work
    finally:
        deaf()
        for one in timer:
            one.cancel()
