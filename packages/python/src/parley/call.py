"""A call of an agent: a session that the agent joined by itself, because somebody launched it there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .errors import ParleyError
from .frames import FrameSocket
from .session import RealtimeSession

if TYPE_CHECKING:
    from .functions import FunctionDefinition
    from .sessions import SessionDefinition

CALL_ID = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]{1,128}")
CALL_TYPE = re.compile(r"[a-z][a-z0-9_-]{0,63}")

#: Is told every entry of a call's log.
CallListener = Callable[[Mapping[str, Any]], None]


class AgentParts(NamedTuple):
    """What an agent declares."""

    name: str
    sessions: Mapping[str, SessionDefinition]
    functions: Mapping[str, FunctionDefinition]


@dataclass(frozen=True)
class AgentCall:
    """A call that an agent can join."""

    type: str
    id: str
    #: The session of the agent that it is held with.
    session: str


class CallEnd(NamedTuple):
    """How a call ended: ``client_left``, ``agent_left``, ``handler_completed``, ``provider_lost``, …"""

    reason: str
    error: ParleyError | None = None


class HostedCall(Protocol):
    """A call under way, wherever its session is kept."""

    @property
    def session(self) -> RealtimeSession: ...

    @property
    def ended(self) -> asyncio.Future[CallEnd]:
        """Settles once, and never raises. Not to be cancelled: wait for it with ``asyncio.shield``."""

    async def leave(self, reason: str) -> CallEnd:
        """Ends it; returns when it has ended."""

    def attach(self, client: FrameSocket) -> None:
        """Gives a client a place in it. Raises ParleyError ``unimplemented`` where the media are elsewhere."""


class CallHost(Protocol):
    """Where the calls of an agent are held: here, or at a control plane."""

    async def join(self, agent: AgentParts, call: AgentCall) -> HostedCall: ...


class JoinedCall:
    """A call that an agent has joined. Leaving the block leaves the call.

    >>> call = support.create_call("default", "call-42")                                    # doctest: +SKIP
    >>> async with support.join(call) as joined:                                            # doctest: +SKIP
    ...     await support.simple_response("Greet the caller.")
    ...     await support.finish()
    """

    def __init__(self, call: AgentCall, hosted: HostedCall) -> None:
        self.call = call
        self.session = hosted.session
        self._hosted = hosted

    @property
    def over(self) -> CallEnd | None:
        """How it ended; None while it lasts."""
        return self._hosted.ended.result() if self._hosted.ended.done() else None

    async def ended(self) -> CallEnd:
        """Returns when it has ended, with how. Raises nothing."""
        return await asyncio.shield(self._hosted.ended)

    def attach(self, client: FrameSocket) -> None:
        """Gives a client a place in the call: a socket that speaks OpenAI Realtime. Raises ParleyError."""
        self._hosted.attach(client)

    async def leave(self, reason: str = "agent_left") -> None:
        """Leaves the call, which ends it. Again, or after the end, changes nothing."""
        await self._hosted.leave(reason)

    async def __aenter__(self) -> JoinedCall:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()


class Joining:
    """What ``agent.join`` returns: ``async with agent.join(call)``, or ``await agent.join(call)``."""

    def __init__(self, join: Callable[[], Any]) -> None:
        self._join = join
        self._joined: JoinedCall | None = None

    def __await__(self) -> Generator[Any, None, JoinedCall]:
        joined: Generator[Any, None, JoinedCall] = self._join().__await__()
        return joined

    async def __aenter__(self) -> JoinedCall:
        self._joined = await self
        return self._joined

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._joined is not None:
            await self._joined.leave()


class AgentCalls:
    """The calls of one agent: one at a time."""

    def __init__(self, parts: AgentParts, host: CallHost | None = None) -> None:
        self._parts = parts
        #: Where they are held. Without it they are held here, with nobody but the model in them.
        self._host = host
        #: The call that it is in, or was in last: ``finish`` after its end says how it ended.
        self._joined: JoinedCall | None = None
        self._joining = False

    def create(self, call_type: str, call_id: str, session: str | None) -> AgentCall:
        check_call(call_type, call_id)
        return AgentCall(call_type, call_id, self._session_for(call_type, session))

    async def join(self, call: AgentCall) -> JoinedCall:
        before = self._joined
        if self._joining or (before is not None and before.over is None):
            other = before.call.id if before is not None else call.id
            words = f"agent {self._parts.name} is in call {other} already"
            raise ParleyError("failed_precondition", words)
        self._joining = True
        try:
            if self._host is None:
                from .local.host import LocalHost

                self._host = LocalHost()
            self._joined = JoinedCall(call, await self._host.join(self._parts, call))
            return self._joined
        finally:
            self._joining = False

    def current(self) -> JoinedCall:
        if self._joined is None:
            words = f"agent {self._parts.name} is in no call: join one first"
            raise ParleyError("failed_precondition", words)
        return self._joined

    def _session_for(self, call_type: str, asked: str | None) -> str:
        sessions = self._parts.sessions
        wanted = asked or call_type
        if asked is None and call_type not in sessions and len(sessions) == 1:
            wanted = next(iter(sessions))
        if wanted in sessions:
            return wanted
        known = ", ".join(sorted(sessions)) or "none"
        words = f"agent {self._parts.name} has no session '{wanted}'. Its sessions: {known}."
        raise ParleyError("invalid_argument", words, details={"path": "call_type"})


def check_call(call_type: object, call_id: object) -> None:
    """Raises ParleyError ``invalid_argument``; ``details["path"]`` names the field as the wire has it."""
    if not isinstance(call_id, str) or not CALL_ID.fullmatch(call_id):
        raise _refused("call_id", "call_id must be 1 to 128 characters without white space", call_id)
    if not isinstance(call_type, str) or not CALL_TYPE.fullmatch(call_type):
        raise _refused("call_type", f"call_type must match ^{CALL_TYPE.pattern}$", call_type)


def _refused(path: str, rule: str, value: object) -> ParleyError:
    got = f"'{value[:64]}'" if isinstance(value, str) else type(value).__name__
    return ParleyError("invalid_argument", f"{rule}, got {got}", details={"path": path})
