"""Requests to the server, each answered by one ``reply``.

P1  Every request ends: by its reply, by the end of whoever asked, or at the stop.
P2  A reply that a cut link took with it is asked for again over the next one, under the same request_id, which a server
    runs once. Before that the server is given time to send what it has (see ``repeat``).
P3  Another server does not know what the last one ran: there nothing is asked again, and the error says that the
    outcome is unknown.
"""

from __future__ import annotations

import asyncio
from typing import Any

from .check import checked
from .connection import Connection
from .errors import ParleyError
from .ids import new_id
from .json_text import dumps
from .outbox import Outbox, Posted
from .signals import Signal


class _Pending:
    def __init__(self, frame: dict[str, Any], answer: asyncio.Future[Any]) -> None:
        self.frame = frame
        self.answer = answer
        self.posted: Posted | None = None
        #: None while it waits in the outbox.
        self.sent_over: Connection | None = None

    def sent(self, connection: Connection) -> None:
        self.sent_over = connection


class Requests:
    def __init__(self, outbox: Outbox, open_max: int) -> None:
        self._outbox = outbox
        self._max = open_max
        self._pending: dict[str, _Pending] = {}

    def uses(self, connection: Connection) -> bool:
        """True when a reply is still expected over this connection."""
        return any(pending.sent_over is connection for pending in self._pending.values())

    async def send(self, request: dict[str, Any], over: Connection | None, until: Signal) -> Any:
        """Sends a request and waits for its reply.

        Raises ParleyError ``invalid_argument`` before it is sent; the error of the reply; ``resource_exhausted`` past
        the limit of open requests; the reason of ``until``; ``unavailable`` when the outcome is unknown (P3). A task
        that is cancelled while it waits gives the request up.
        """
        until.raise_if_set()
        if len(self._pending) >= self._max:
            raise ParleyError(
                "resource_exhausted",
                f"{self._max} requests to the control plane are open already",
                details={"limit": self._max, "current": len(self._pending)},
            )
        # A frame that the server refuses gets no reply, so it must not leave.
        frame = checked("AgentFrame", {**request, "request_id": new_id("request")})
        pending = _Pending(frame, asyncio.get_running_loop().create_future())
        pending.posted = self._outbox.post(frame, over, pending.sent)
        self._pending[frame["request_id"]] = pending
        deaf = until.listen(lambda reason: self._fail(pending, reason))
        try:
            return await pending.answer
        finally:
            deaf()
            self._give_up(pending)

    def reply(self, frame: dict[str, Any]) -> None:
        pending = self._pending.pop(frame["request_id"], None)
        if pending is None or pending.answer.done():
            return
        if "error" in frame:
            pending.answer.set_exception(ParleyError.of(frame["error"]))
        else:
            pending.answer.set_result(frame.get("result"))

    def repeat(self) -> None:
        """Asks again for replies whose connection has ended.

        To be called when the server has answered a heartbeat on the new connection: replies that it kept came before.
        """
        for pending in list(self._pending.values()):
            if pending.sent_over is None or pending.sent_over.up or pending.posted is None:
                continue
            pending.sent_over = None
            try:
                pending.posted = self._outbox.post(pending.frame, pending.posted.over, pending.sent)
            except ParleyError as full:
                self._fail(pending, full)

    def forget(self) -> None:
        """Another server answers now (P3)."""
        for request_id, pending in list(self._pending.items()):
            if pending.sent_over is None or pending.sent_over.up:
                continue
            words = "the control plane was replaced before it answered; whether the request ran is unknown"
            details = {"request_id": request_id, "outcome": "unknown"}
            # Taken out first: nobody there knows it, so nobody is told to cancel it.
            del self._pending[request_id]
            self._fail(pending, ParleyError("unavailable", words, retryable=False, details=details))

    def fail_all(self, error: ParleyError) -> None:
        """Nothing will be answered any more."""
        pending, self._pending = self._pending, {}
        for one in pending.values():
            self._fail(one, error)

    def _fail(self, pending: _Pending, error: ParleyError) -> None:
        if not pending.answer.done():
            pending.answer.set_exception(error)

    def _give_up(self, pending: _Pending) -> None:
        """Nobody waits any more; a function that was called is told."""
        request_id = pending.frame["request_id"]
        if self._pending.pop(request_id, None) is None or pending.posted is None:
            return
        if self._outbox.withdraw(pending.posted) or pending.frame["type"] != "function.call":
            return
        # Only told where there is a link: a server that loses an agent for good cancels what it called.
        connection = self._outbox.route(pending.posted.over)
        if connection is not None:
            connection.send(dumps({"type": "function.cancel", "request_id": request_id}))
