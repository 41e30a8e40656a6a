"""A link that stays: it dials, is welcomed, lives, and comes back. One loop looks at the state and does the next thing;
everything else (a close, a drain, a stop) changes the state and wakes the loop.

P1  At most one connection is current. ``replace`` opens the next one before it lets go of the last.
P2  Only a connection that lived ``backoff_reset_ms`` resets the backoff.
P3  A close with a code of 45xx, a refusal that is not retryable, or a hello that is too large for the peer (1009 in
    place of a welcome) ends the loop with its error. Everything else comes back.
P4  ``up`` and ``down`` are called once each for each connection that was welcomed, in this order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from websockets.exceptions import ConnectionClosed

from .backoff import Backoff
from .connection import Connection, Terms, fatal_close
from .errors import ParleyError

#: The close code of a frame that is too large.
_TOO_LARGE = 1009

Dial = Callable[[], "asyncio.Future[Connection] | Any"]


class LinkPeer(Protocol):
    """Who speaks over the link."""

    def hello(self) -> str:
        """The first frame of each connection."""

    def welcome(self, frame: Any) -> Terms | None:
        """Reads a frame of a connection that is not up: its terms, None for something else; raises a refusal."""

    def heartbeat(self) -> str: ...

    def up(self, connection: Connection, frame: Any) -> None: ...

    def frame(self, frame: Any, connection: Connection) -> None: ...

    def writable(self) -> None: ...

    def down(self, connection: Connection, code: int, reason: str) -> None: ...

    def broken(self, error: Exception) -> None:
        """A frame could not be handled: a mistake of ours."""

    def retrying(self, error: ParleyError, delay_ms: float) -> None: ...


class Link:
    def __init__(self, peer: LinkPeer, dial: Dial, *, backoff: Backoff, welcome_ms: int) -> None:
        self._peer = peer
        self._dial = dial
        self._backoff = backoff
        self._welcome_ms = welcome_ms
        self._woken = asyncio.Event()
        self._opening: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._replacing = False
        self._not_before = 0.0
        self._fatal: ParleyError | None = None
        #: The connection that new frames go to.
        self.current: Connection | None = None
        #: Connections that were replaced and still finish old work.
        self.retiring: set[Connection] = set()

    async def run(self) -> None:
        """Keeps the link up until ``stop``. Raises the ParleyError of a refusal for good (P3)."""
        try:
            while not self._stopping:
                self._woken.clear()
                if self._fatal is not None:
                    raise self._fatal
                if self.current is not None and not self._replacing:
                    await self._woken.wait()
                    continue
                wait = self._not_before - _now()
                if wait > 0:
                    await self._sleep(wait)
                    continue
                await self._try()
        finally:
            # A stop says goodbye; after a refusal there is nobody to say it to, and closing twice does nothing.
            for connection in (self.current, *self.retiring):
                if connection is not None:
                    connection.close(1000, "done")
            if self._tasks:
                await asyncio.wait(self._tasks)

    def replace(self) -> None:
        """Opens another connection, and keeps the current one beside it until ``retire``."""
        if self._replacing or self.current is None:
            return
        self._replacing = True
        self._not_before = _now() + self._backoff.next() / 1000
        self._woken.set()

    def retire(self, connection: Connection) -> None:
        """Closes a connection whose old work is done."""
        if connection in self.retiring:
            connection.close(1000, "replaced")

    def stop(self) -> None:
        """Closes every connection; when they are closed, ``run`` returns."""
        self._stopping = True
        if self._opening is not None:
            self._opening.cancel()
        self._woken.set()

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except asyncio.TimeoutError:
            return

    async def _try(self) -> None:
        self._opening = asyncio.ensure_future(self._open())
        try:
            await asyncio.wait({self._opening})
            if self._opening.cancelled():
                return
            error = self._opening.exception()
            if error is not None:
                refusal = ParleyError.of(error, "unavailable")
                if not refusal.retryable:
                    raise refusal
                self._retry_later(refusal)
        finally:
            self._opening.cancel()
            self._opening = None

    async def _open(self) -> None:
        """Dials, says hello, and waits for the welcome."""
        connection: Connection = await self._dial()
        try:
            hello = self._peer.hello()
            connection.send(hello)
            terms, frame = await asyncio.wait_for(self._welcomed(connection, hello), self._welcome_ms / 1000)
        except asyncio.TimeoutError as error:
            connection.terminate()
            words = f"the peer did not welcome the link within {self._welcome_ms} ms"
            raise ParleyError("unavailable", words) from error
        except BaseException:
            connection.terminate()
            raise
        if self.current is not None:
            self.retiring.add(self.current)
        self.current = connection
        self._replacing = False
        connection.welcomed(terms, self._peer.heartbeat, self._peer.writable)
        self._peer.up(connection, frame)
        self._keep(self._read(connection))

    async def _welcomed(self, connection: Connection, hello: str) -> tuple[Terms, Any]:
        while True:
            try:
                frame = await connection.receive()
            except ConnectionClosed as error:
                code, reason = connection.closed_with()
                if code == _TOO_LARGE:
                    # It would be as large the next time.
                    words = f"the peer does not take a first frame of {len(hello.encode())} bytes: {reason or code}"
                    raise ParleyError("resource_exhausted", words, retryable=False) from error
                fatal = fatal_close(code, reason)
                words = f"the peer closed the link with {_described(code, reason)}"
                raise fatal or ParleyError("unavailable", words) from error
            terms = self._peer.welcome(frame)
            if terms is not None:
                return terms, frame

    async def _read(self, connection: Connection) -> None:
        try:
            while True:
                try:
                    frame = await connection.receive()
                except ValueError:
                    connection.close(1007, "a frame was not JSON")
                    return
                self._peer.frame(frame, connection)
        except ConnectionClosed:
            pass
        except Exception as error:  # noqa: BLE001 - it is logged
            # A mistake of ours must not end the agent: the server tells everything again on the next connection.
            self._peer.broken(error)
            connection.close(1011, "the agent failed to handle a frame")
        finally:
            await connection.wait_closed()
            self._closed(connection)

    def _closed(self, connection: Connection) -> None:
        code, reason = connection.closed_with()
        # How a connection that was replaced ends says nothing about the link.
        lost = connection not in self.retiring
        self.retiring.discard(connection)
        if lost:
            self.current = None
            # A peer may let go of the last connection before it has answered on the next one: that one tells (P1).
            self._fatal = None if self._replacing else fatal_close(code, reason)
            self._replacing = False
            self._backoff.lived((_now() - connection.opened_at) * 1000)
        self._peer.down(connection, code, reason)
        if lost and self._fatal is None and not self._stopping:
            words = f"the link was closed with {_described(code, reason)}"
            self._retry_later(ParleyError("unavailable", words))
        self._woken.set()

    def _retry_later(self, error: ParleyError) -> None:
        delay_ms = self._backoff.next(error.retry_after_ms or 0)
        self._not_before = _now() + delay_ms / 1000
        self._peer.retrying(error, delay_ms)

    def _keep(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _described(code: int, reason: str) -> str:
    return f"{code}: {reason}" if reason else str(code)
