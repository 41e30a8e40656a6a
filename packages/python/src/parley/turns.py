"""What the user said, turn by turn, and who waits for it."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal

from .errors import ParleyError
from .signals import Signal


class Turn:
    """One turn of the user.

    As a context manager it ends its block when the user speaks over the answer, or the session ends: what is awaited
    there is cancelled, and the program goes on after the block.

    >>> async for turn in session:                                                          # doctest: +SKIP
    ...     async with turn:
    ...         found = await session.call("support.look_up", text=turn.text)
    ...         await session.say(found["answer"])
    """

    def __init__(self, event: Mapping[str, Any]) -> None:
        self.id: str = event["turn_id"]
        #: What was said; empty when no transcript could be had.
        self.text: str = event["text"]
        self.source: Literal["audio", "text"] = event["source"]
        #: Length of the user's audio in milliseconds, where the provider tells it.
        self.audio_ms: float | None = event.get("audio_ms")
        self._interruption = Signal()
        self._blocks: list[_Block] = []

    @property
    def interrupted(self) -> bool:
        """True once the user spoke over the answer to this turn, or the session ended."""
        return self._interruption.reason is not None

    def interrupt(self, reason: ParleyError | None = None) -> None:
        """Ends its blocks. The session calls this when the user interrupts; a handler may, to drop its own work."""
        self._interruption.set(reason or ParleyError("cancelled", "the user interrupted"))

    def to_json(self) -> dict[str, Any]:
        """As it goes into the input of a function."""
        known = {"turn_id": self.id, "text": self.text, "source": self.source}
        return known if self.audio_ms is None else {**known, "audio_ms": self.audio_ms}

    async def __aenter__(self) -> Turn:
        self._blocks.append(_Block(self._interruption))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return self._blocks.pop().leave(kind)


class _Block:
    """The body of one ``async with turn``: cancelled by the interruption, and only by that quietly."""

    def __init__(self, interruption: Signal) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("`async with turn` needs a task")
        self._task = task
        self._cancelled = False
        self._soon: asyncio.Handle | None = None
        self._before = _cancelling(task)
        self._deaf = interruption.listen(lambda _: self._cancel_soon())

    def _cancel_soon(self) -> None:
        # Not at once: the task may be the one that runs, and would take the cancellation along out of the block.
        self._soon = asyncio.get_running_loop().call_soon(self._cancel)

    def _cancel(self) -> None:
        self._cancelled = True
        self._task.cancel()

    def leave(self, kind: type[BaseException] | None) -> bool:
        self._deaf()
        if self._soon is not None:
            self._soon.cancel()
        if not self._cancelled:
            return False
        # Somebody else may have cancelled the task besides: then it stays cancelled.
        others = _uncancel(self._task) > self._before
        return kind is not None and issubclass(kind, asyncio.CancelledError) and not others


if sys.version_info >= (3, 11):

    def _cancelling(task: asyncio.Task[Any]) -> int:
        return task.cancelling()

    def _uncancel(task: asyncio.Task[Any]) -> int:
        return task.uncancel()

else:
    # Python 3.10 does not count cancellations.
    def _cancelling(task: asyncio.Task[Any]) -> int:
        return 0

    def _uncancel(task: asyncio.Task[Any]) -> int:
        return 0


class TurnQueue:
    """Turns on their way to the handler, at most ``turns_max``. When the handler does not keep up, the oldest goes: in
    a conversation the last thing said counts."""

    def __init__(self, turns_max: int) -> None:
        self._max = turns_max
        self._turns: deque[Turn] = deque()
        self._waiters: deque[asyncio.Future[Turn]] = deque()
        self._answering: Turn | None = None
        self._ended: ParleyError | None = None

    def push(self, turn: Turn) -> Turn | None:
        """Adds a turn. Returns the one that had to go."""
        if self._ended is not None:
            return None
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._answering = turn
                waiter.set_result(turn)
                return None
        self._turns.append(turn)
        if len(self._turns) <= self._max:
            return None
        dropped = self._turns.popleft()
        words = f"more than {self._max} turns waited for the handler"
        dropped.interrupt(ParleyError("resource_exhausted", words))
        return dropped

    async def next(self) -> Turn:
        """The next turn; the turn before it counts as answered. Raises the error that ended the session."""
        if self._ended is not None:
            raise self._ended
        if self._turns:
            self._answering = self._turns.popleft()
            return self._answering
        self._answering = None
        waiter: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                # It came in the moment in which the caller gave up: the next one gets it.
                self._turns.appendleft(waiter.result())
            elif waiter in self._waiters:
                # Whoever asks again and again, a second at a time, must not leave one behind each time.
                self._waiters.remove(waiter)
            raise

    def interrupt(self) -> None:
        """The user spoke over the answer: the turn that is being answered is cancelled."""
        if self._answering is not None:
            self._answering.interrupt()

    def end(self, error: ParleyError) -> None:
        if self._ended is not None:
            return
        self._ended = error
        for turn in (self._answering, *self._turns):
            if turn is not None:
                turn.interrupt(error)
        self._turns.clear()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(error)
        self._waiters.clear()
