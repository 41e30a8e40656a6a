"""Dials a provider, and brings the connection to the point where the session is the one that was declared."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI

from parley.contract import LIMITS
from parley.contract.types import ErrorCode
from parley.errors import ParleyError
from parley.frames import FrameClose, FrameSocket, PumpedSocket, frame_type, parsed_object
from parley.providers.port import ModelConfig, ModelSessionOptions

from .connection import OpenAIConnection
from .errors import BOUNDARY, Redact, close_error, provider_error, redactor
from .session_config import session_of
from .wire import Wire, object_in

_SCHEMES = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}
_LOOPBACK = re.compile(r"localhost|.*\.localhost|127(\.\d{1,3}){3}|::1")
_UPDATE_ID = "event_parley_session"
#: After an error that names no frame its close code says more, and comes soon.
_CLOSE_PATIENCE_S = 0.25
_CODE_OF_STATUS: dict[int, ErrorCode] = {
    400: "invalid_argument",
    401: "unauthenticated",
    403: "permission_denied",
    # No such path or model: nothing that a session could wait for.
    404: "invalid_argument",
    429: "resource_exhausted",
}


class OpenAIModel:
    """A provider that speaks OpenAI Realtime. Raises ParleyError ``invalid_argument`` for a base URL that is none."""

    def __init__(self, provider: str, config: ModelConfig) -> None:
        self.provider = provider
        self._config = config
        # Looked at now: who starts a program should hear of a mistyped address, and not whoever calls first.
        self._url = _socket_url(config.base_url)

    async def connect(self, options: ModelSessionOptions) -> OpenAIConnection:
        redact = redactor(self._config.key, options.instructions)
        timeout_ms = self._config.connect_timeout_ms
        try:
            return await asyncio.wait_for(self._connect(options, redact), timeout_ms / 1000)
        except asyncio.TimeoutError as error:
            words = f"the provider did not accept the session within {timeout_ms} ms"
            raise _at_boundary("deadline_exceeded", words) from error

    async def _connect(self, options: ModelSessionOptions, redact: Redact) -> OpenAIConnection:
        socket = await self._dial(options, redact)
        session = session_of(options, self._config.transcription_model)
        try:
            confirmed = await _confirmed(socket, session, redact)
            return OpenAIConnection(socket, confirmed, options.responder, redact)
        except BaseException:
            socket.terminate()
            await socket.gone()
            raise

    async def _dial(self, options: ModelSessionOptions, redact: Redact) -> WebSocketFrames:
        headers: dict[str, str] = {}
        if self._config.key is not None:
            headers["Authorization"] = f"Bearer {self._config.key}"
        if options.safety_id is not None and self.provider == "openai":
            headers["OpenAI-Safety-Identifier"] = options.safety_id
        host = urlsplit(self._url).hostname or ""
        try:
            opened = await connect(
                f"{self._url}?model={quote(options.model, safe='')}",
                additional_headers=headers,
                open_timeout=None,
                compression=None,
                max_size=LIMITS["frame_bytes_max"],
                # What is on this machine is never behind a proxy.
                proxy=None if _LOOPBACK.fullmatch(host) else True,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            body = (error.response.body or b"").decode(errors="replace")[:300]
            code = _CODE_OF_STATUS.get(status, "unavailable" if status >= 500 else "failed_precondition")
            words = f"the provider at {host} refused the connection with HTTP {status}: {redact(body)}"
            raise _at_boundary(code, words) from None
        except (OSError, InvalidHandshake, InvalidMessage, InvalidURI, ConnectionClosed) as error:
            # Only the kind of it: messages of libraries may hold the address with what stands in it.
            why = getattr(error, "strerror", None) or type(error).__name__
            raise _at_boundary("unavailable", f"no connection to the provider at {host}: {why}") from None
        return WebSocketFrames(opened)


class WebSocketFrames(PumpedSocket):
    """A connection that this side opened."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        super().__init__()
        self._pump = asyncio.ensure_future(self.pump())

    async def gone(self) -> None:
        """Returns when nothing of it is left."""
        await asyncio.wait({self._pump})

    async def _read(self) -> str | None:
        try:
            frame = await self._socket.recv()
        except ConnectionClosed:
            return None
        return frame if isinstance(frame, str) else frame.decode(errors="replace")

    async def _put(self, frame: str) -> None:
        try:
            await self._socket.send(frame)
        except ConnectionClosed as error:
            raise ConnectionError("closed") from error

    async def _bye(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason)

    def _closed_with(self) -> tuple[int, str]:
        return self._socket.close_code or 1006, self._socket.close_reason or ""

    def _abort(self) -> None:
        transport: Any = self._socket.transport
        if not transport.is_closing():
            transport.abort()


async def _confirmed(socket: FrameSocket, session: Wire, redact: Redact) -> Wire:
    """The session as the provider confirmed it. Leaves the socket paused."""
    answer: asyncio.Future[Wire] = asyncio.get_running_loop().create_future()
    refusal: ParleyError | None = None

    def fail(error: ParleyError) -> None:
        if not answer.done():
            answer.set_exception(error)

    def closed(close: FrameClose) -> None:
        told = close_error(close, None if refusal is None else refusal.to_object(), redact)
        if close.code == 3000:
            told = {**told, "code": "unauthenticated", "retryable": False}
        fail(ParleyError.of(told))

    def frame(text: str) -> None:
        nonlocal refusal
        kind = frame_type(text)
        if answer.done() or kind not in ("session.created", "session.updated", "error"):
            return
        event = parsed_object(text)
        if event is None:
            return
        if kind == "session.created":
            socket.send(json.dumps({"type": "session.update", "event_id": _UPDATE_ID, "session": session}))
        elif kind == "session.updated":
            # What follows is for the connection that is made of this one.
            socket.pause()
            answer.set_result(object_in(event, "session"))
        else:
            wire = object_in(event, "error")
            refusal = ParleyError.of(provider_error(wire, redact))
            if wire.get("event_id") == _UPDATE_ID:
                fail(refusal)
            else:
                # Its close code says more: a missing key is told apart from a wrong request by 3000 alone.
                asyncio.get_running_loop().call_later(_CLOSE_PATIENCE_S, fail, refusal)

    socket.on_close(closed)
    socket.on_frame(frame)
    return await answer


def _socket_url(base_url: str) -> str:
    """``wss://…/realtime`` of a base URL."""
    try:
        url = urlsplit(base_url)
        host = url.hostname or ""
    except ValueError:
        url, host = urlsplit(""), ""
    scheme = _SCHEMES.get(url.scheme)
    if scheme is None or not host:
        raise ParleyError("invalid_argument", "base_url must start with http://, https://, ws:// or wss://")
    # A key that travels in the clear is everybody's.
    if scheme == "ws" and not _LOOPBACK.fullmatch(host):
        words = f"base_url must be https or wss, unless its host is loopback; got {url.scheme}://{host}"
        raise ParleyError("invalid_argument", words)
    return urlunsplit((scheme, url.netloc, f"{url.path.rstrip('/')}/realtime", "", ""))


def _at_boundary(code: ErrorCode, message: str) -> ParleyError:
    return ParleyError(code, message, details={"boundary": BOUNDARY})
