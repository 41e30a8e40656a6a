"""The faces that a plain ``def`` is given in its thread: the same names, and every call waits for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from .context import Context
from .contract.types import TurnDetection
from .errors import ParleyError
from .log import Log
from .session import UNSET, RealtimeSession, Spoken, Unset
from .turns import Turn

T = TypeVar("T")


class _Bridge:
    """From a thread to the loop of the agent."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except RuntimeError as error:
            if not self._loop.is_closed():
                raise
            work.close()
            raise ParleyError("unavailable", "the agent has stopped", retryable=False) from error


class BlockingContext:
    """A ``Context`` for a plain ``def``. ``cancelled`` says when to stop; ``call`` raises then."""

    def __init__(self, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._bridge = _Bridge(loop)
        self.execution_id = context.execution_id
        self.workflow_id = context.workflow_id
        self.session_id = context.session_id
        self.parent_execution_id = context.parent_execution_id
        self.log: Log = context.log

    @property
    def cancelled(self) -> ParleyError | None:
        return self._context.cancelled

    def call(self, target: str | Callable[..., Any], input: Any = None, /, **fields: Any) -> Any:
        return self._bridge.wait(self._context.call(target, input, **fields))

    def note(self, text: str, data: Any = None) -> None:
        async def noted() -> None:
            self._context.note(text, data)

        self._bridge.wait(noted())


class BlockingSession:
    """A ``RealtimeSession`` for a plain ``def``: ``for turn in session``, ``session.say(…)``, without ``await``."""

    def __init__(self, session: RealtimeSession, loop: asyncio.AbstractEventLoop) -> None:
        self._session = session
        self._bridge = _Bridge(loop)
        self.id = session.id
        self.target = session.target
        self.workflow_id = session.workflow_id
        self.execution_id = session.execution_id
        self.declaration = session.declaration
        self.tools = session.tools
        self.metadata: Mapping[str, Any] = session.metadata
        self.log: Log = session.log

    @property
    def ended(self) -> ParleyError | None:
        return self._session.ended

    def input(self) -> Turn:
        return self._bridge.wait(self._session.input())

    def say(self, text: str) -> Spoken:
        return self._bridge.wait(self._session.say(text))

    def call(self, target: str | Callable[..., Any], input: Any = None, /, **fields: Any) -> Any:
        return self._bridge.wait(self._session.call(target, input, **fields))

    def update(
        self,
        *,
        instructions: str | None = None,
        voice: str | None = None,
        turn_detection: TurnDetection | Unset | None = UNSET,
        tools: Sequence[str] | None = None,
    ) -> None:
        change = self._session.update(
            instructions=instructions, voice=voice, turn_detection=turn_detection, tools=tools
        )
        self._bridge.wait(change)

    def inject(self, text: str, *, respond: bool | None = None) -> None:
        self._bridge.wait(self._session.inject(text, respond=respond))

    def close(self, reason: str | None = None) -> None:
        self._bridge.wait(self._session.close(reason))

    def __iter__(self) -> Iterator[Turn]:
        while self.ended is None:
            try:
                turn = self.input()
            except ParleyError:
                if self.ended is None:
                    raise
                return
            yield turn
