"""The handler of a session that is kept in this process: it runs once, from the first connection of the model on."""

from __future__ import annotations

from parley.ids import new_id
from parley.session import LiveSession
from parley.sessions import Handler, handle
from parley.threads import Threads

from .log import LocalLog
from .work import LocalWork


class LocalHandler:
    def __init__(
        self,
        handler: Handler,
        session: LiveSession,
        entries: LocalLog,
        work: LocalWork,
        threads: Threads,
        cancel_ms: int,
    ) -> None:
        self._handler = handler
        self._session = session
        self._entries = entries
        self._work = work
        self._threads = threads
        self._cancel_ms = cancel_ms

    def attach(self) -> None:
        """Begins it, where it has not begun."""
        if self._entries.state.handler == "none":
            self._entries.append({"type": "handler.attached", "link_id": new_id("link")})
            self._work.keep(self._run())

    async def _run(self) -> None:
        failure = await handle(self._session, self._handler, self._threads, self._cancel_ms)
        if failure is None:
            self._entries.append({"type": "handler.completed"})
        # A handler that lets the end of its session pass through has not failed.
        elif failure is not self._session.ended:
            self._entries.append({"type": "handler.failed", "error": failure.to_object()})
