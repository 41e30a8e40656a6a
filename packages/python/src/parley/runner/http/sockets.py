"""The door for a call's client: a WebSocket that speaks OpenAI Realtime."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from aiohttp import WSMsgType, web

from parley.contract import CATALOG, LIMITS
from parley.errors import ParleyError
from parley.frames import PumpedSocket

if TYPE_CHECKING:
    from parley.launcher import AgentLauncher, LaunchedSession

_TOKEN: str = CATALOG["subprotocols"]["token_prefix"]
_EVENTS: str = CATALOG["subprotocols"]["parley_events"]


class ClientTokens:
    """What lets a client into one session's call, and into nothing else."""

    def __init__(self) -> None:
        self._tokens: WeakKeyDictionary[LaunchedSession, str] = WeakKeyDictionary()

    def of(self, session: LaunchedSession) -> str:
        """The token of a session; made when it is first asked for."""
        return self._tokens.setdefault(session, secrets.token_urlsafe(24))

    def check(self, session: LaunchedSession, request: web.Request) -> None:
        """Raises ParleyError ``unauthenticated``."""
        token = self._tokens.get(session)
        if token is None or not hmac.compare_digest(token.encode(), _given(request).encode()):
            raise ParleyError("unauthenticated", "this call needs the client_token of its session")


def _given(request: web.Request) -> str:
    """From the header, or the subprotocol where a browser cannot set headers. Not from the URL, which is logged."""
    kind, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return bearer
    offered = next((name for name in _offered(request) if name.startswith(_TOKEN)), "")
    return offered.removeprefix(_TOKEN)


def _offered(request: web.Request) -> list[str]:
    return [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]


class ServedSocket(PumpedSocket):
    """A connection of a client."""

    def __init__(self, response: web.WebSocketResponse, request: web.Request) -> None:
        self._response = response
        self._request = request
        super().__init__()

    async def _read(self) -> str | None:
        message = await self._response.receive()
        if message.type is WSMsgType.TEXT:
            return str(message.data)
        if message.type is WSMsgType.BINARY:
            return bytes(message.data).decode(errors="replace")
        return None

    async def _put(self, frame: str) -> None:
        await self._response.send_str(frame)

    async def _bye(self, code: int, reason: str) -> None:
        await self._response.close(code=code, message=reason.encode())

    def _closed_with(self) -> tuple[int, str]:
        return self._response.close_code or 1006, ""

    def _abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()


async def accept_call(request: web.Request, launcher: AgentLauncher, session: LaunchedSession) -> web.StreamResponse:
    """Takes a client into a call, and returns when it has left. Whoever may was checked before."""
    offered = _offered(request)
    plain = [name for name in offered if name and not name.startswith(_TOKEN)]
    response = web.WebSocketResponse(
        protocols=plain[:1] or [name for name in offered if name][:1],
        max_msg_size=LIMITS["frame_bytes_max"],
        compress=False,
    )
    await response.prepare(request)
    socket = ServedSocket(response, request)
    socket.wants_events = _EVENTS in offered
    try:
        launcher.attach(session.id, socket)
    except ParleyError as error:
        socket.close(error.close_code, error.message)
    await socket.pump()
    return response
