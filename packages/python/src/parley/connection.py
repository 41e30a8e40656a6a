"""One connection of the agent link: JSON frames out and in, heartbeats, and a lease on silence."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI
from websockets.protocol import State
from websockets.typing import Subprotocol

from .backoff import retry_after_ms
from .contract import CATALOG, LIMITS
from .contract.types import ErrorCode
from .errors import ParleyError, error_code_of_close
from .json_text import loads

#: Characters that may wait for a server that does not read; past it ``send`` refuses.
_BUFFERED_MAX = 8 * 1024 * 1024

_CODE_OF_STATUS: dict[int, ErrorCode] = {
    400: "invalid_argument",
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    408: "deadline_exceeded",
    409: "aborted",
    413: "resource_exhausted",
    429: "resource_exhausted",
    501: "unimplemented",
    504: "deadline_exceeded",
}


class Terms(NamedTuple):
    """What the server said when it welcomed the connection."""

    heartbeat_ms: int
    #: A connection that was silent for this long is cut.
    lease_ms: int
    frame_bytes_max: int


class Connection:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._terms: Terms | None = None
        self._waiting: deque[str] = deque()
        self._buffered = 0
        self._refused = False
        self._closing: tuple[int, str] | None = None
        self._ended = False
        self._something = asyncio.Event()
        self._writable: Callable[[], None] = lambda: None
        self.opened_at = self._heard_at = asyncio.get_running_loop().time()
        self._tasks = [asyncio.ensure_future(self._write())]

    @property
    def up(self) -> bool:
        """True once the server welcomed it and until it ends."""
        return self._terms is not None and not self._ended

    def welcomed(self, terms: Terms, heartbeat: Callable[[], str], writable: Callable[[], None]) -> None:
        """Starts the heartbeats; ``writable`` is called when it takes again what it refused."""
        self._terms = terms
        self._writable = writable
        self._tasks.append(asyncio.ensure_future(self._beat(terms, heartbeat)))

    def send(self, frame: str) -> bool:
        """Sends one frame. False when it has ended or the server does not read: keep it and try again."""
        if self._ended or self._closing is not None:
            return False
        if self._buffered > _BUFFERED_MAX:
            self._refused = True
            return False
        self._waiting.append(frame)
        self._buffered += len(frame)
        self._something.set()
        return True

    async def receive(self) -> Any:
        """The next frame, parsed. Raises ConnectionClosed, ValueError for what is no JSON."""
        raw = await self._socket.recv()
        self._heard_at = asyncio.get_running_loop().time()
        return loads(raw)

    def close(self, code: int, reason: str) -> None:
        """Says goodbye once what was sent has left."""
        if self._closing is None:
            self._closing = (code, reason)
            self._something.set()

    def terminate(self) -> None:
        """Cuts it."""
        self._ended = True
        # A transport that closed with bytes still to write breaks when it is told to.
        if self._socket.state is not State.CLOSED:
            self._socket.transport.abort()
        # A frame that is being written would wait for a peer that is gone.
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()

    async def wait_closed(self) -> None:
        await self._socket.wait_closed()
        self._ended = True
        for task in self._tasks:
            task.cancel()

    def closed_with(self) -> tuple[int, str]:
        """The close code and reason; 1006 when it was cut."""
        return self._socket.close_code or 1006, self._socket.close_reason or ""

    async def _write(self) -> None:
        while not self._ended:
            await self._something.wait()
            self._something.clear()
            try:
                while self._waiting:
                    frame = self._waiting.popleft()
                    await self._socket.send(frame)
                    self._buffered -= len(frame)
                if self._closing is not None:
                    await self._socket.close(*self._closing)
                    return
            except ConnectionClosed:
                return
            if self._refused:
                self._refused = False
                self._writable()

    async def _beat(self, terms: Terms, heartbeat: Callable[[], str]) -> None:
        loop = asyncio.get_running_loop()
        while self.up:
            await asyncio.sleep(terms.heartbeat_ms / 1000)
            if (loop.time() - self._heard_at) * 1000 > terms.lease_ms:
                self.terminate()
                return
            self.send(heartbeat())


class _Connect(connect):
    """A redirect would carry the declarations, and maybe the key, to an address that nobody configured."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def dial(url: str, key: str | None, timeout_ms: int) -> Connection:
    """Opens a connection to a control plane.

    Every way in which that can end badly is a ParleyError that names the host and never the headers: keys travel there.
    """
    host = url.partition("//")[2].partition("/")[0]
    try:
        socket = await _Connect(
            url,
            additional_headers={} if key is None else {"Authorization": f"Bearer {key}"},
            subprotocols=[Subprotocol(CATALOG["subprotocols"]["agent"])],
            open_timeout=timeout_ms / 1000,
            close_timeout=2,
            # The contract has heartbeats of its own, and audio never passes here.
            ping_interval=None,
            compression=None,
            max_size=LIMITS["frame_bytes_max"],
            max_queue=64,
            proxy=None,
        )
    except InvalidStatus as error:
        raise _refused(host, error) from error
    except (InvalidURI, InvalidHandshake) as error:
        words = f"{host} did not complete the handshake: {error}"
        # A connection that was cut on the way comes as no answer at all, which says nothing about the next one.
        raise ParleyError("unavailable", words, retryable=isinstance(error, InvalidMessage)) from error
    except (TimeoutError, asyncio.TimeoutError) as error:
        words = f"{host} did not complete the handshake within {timeout_ms} ms"
        raise ParleyError("deadline_exceeded", words) from error
    except (OSError, EOFError) as error:
        # A certificate that is wrong now is wrong in a second, and so is a peer that does not speak TLS. A handshake
        # that was cut says nothing about the next.
        cut = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError))
        wrong = isinstance(error, ssl.SSLError) and not cut
        words = f"{host} could not be reached: {error}"
        raise ParleyError("unavailable", words, retryable=not wrong) from error
    return Connection(socket)


def fatal_close(code: int, reason: str) -> ParleyError | None:
    """None when coming back can help, else the error to stop with."""
    meaning = error_code_of_close(code)
    if meaning is None or meaning[1]:
        return None
    words = reason or f"the peer closed the link with {code}"
    return ParleyError(meaning[0], words, retryable=False, details={"close_code": code})


def _refused(host: str, error: InvalidStatus) -> ParleyError:
    response = error.response
    status = response.status_code
    code = _CODE_OF_STATUS.get(status, "unavailable" if status >= 500 else "failed_precondition")
    return ParleyError(
        code,
        f"{host} answered the handshake with HTTP {status}",
        retry_after_ms=retry_after_ms(response.headers.get("Retry-After", "")),
        details={"status": status},
    )
