"""A session as its handler sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from .check import checked
from .contract.types import ResolvedTool, SessionDeclaration, TurnDetection
from .declaration import parse_target
from .errors import ParleyError
from .json_text import payload
from .log import Log
from .signals import Signal
from .turns import Turn, TurnQueue

Request = Callable[[dict[str, Any], Signal], Awaitable[Any]]


class Spoken(NamedTuple):
    """What became of words that were to be spoken."""

    #: True when the user spoke over it, or it was cut in another way.
    interrupted: bool
    #: What was heard, to the last whole word; an estimate when it was interrupted.
    spoken_text: str


class Unset:
    """The type of a value that was not given, where None means something."""


UNSET = Unset()


class RealtimeSession:
    """One conversation, in the hands of its handler.

    After its end every method raises a ParleyError (``cancelled``, ``details["reason"]`` says why it ended), and an
    ``async for`` over it is done.

    >>> @app.session("desk", provider="simulator", transport="websocket")                   # doctest: +SKIP
    ... async def desk(session: RealtimeSession) -> None:
    ...     async for turn in session:
    ...         found = await session.call("support.look_up", text=turn.text)
    ...         await session.say(found["answer"])
    """

    def __init__(self, frame: Mapping[str, Any], *, agent: str, request: Request, turns_max: int, log: Log) -> None:
        self.id: str = frame["session_id"]
        #: ``agent.session``.
        self.target = f"{agent}.{frame['session']}"
        self.workflow_id: str = frame["workflow_id"]
        #: The root execution of the workflow.
        self.execution_id: str = frame["execution_id"]
        self.declaration = cast(SessionDeclaration, frame["declaration"])
        #: What the model may call.
        self.tools: Sequence[ResolvedTool] = frame["tools"]
        #: What the caller gave at the start.
        self.metadata: Mapping[str, Any] = frame["metadata"]
        self.log = log
        self._agent = agent
        self._ask = request
        self._turns = TurnQueue(turns_max)
        self._end = Signal()
        self._seq = 0

    @property
    def ended(self) -> ParleyError | None:
        """Why it ended; None while it lasts."""
        return self._end.reason

    async def input(self) -> Turn:
        """The next turn of the user. The turn before it counts as answered."""
        return await self._turns.next()

    async def say(self, text: str) -> Spoken:
        """Speaks; returns when it was heard, or cut. At most 16,384 characters."""
        reply = await self._request({"type": "session.say", "text": text})
        return Spoken(reply["interrupted"], reply["spoken_text"])

    async def call(self, target: str | Callable[..., Any], input: Any = None, /, **fields: Any) -> Any:
        """Runs a function as a child of the session and returns its output.

        The target is ``agent.function``, the name of a function of the same agent, or the decorated function itself;
        the input is one object, or its fields by name. Raises the ParleyError that the execution ended with. It is
        cancelled when the session ends or the task that waits for it is cancelled.
        """
        return await self._request(call_frame(self._agent, target, input, fields))

    async def update(
        self,
        *,
        instructions: str | None = None,
        voice: str | None = None,
        turn_detection: TurnDetection | Unset | None = UNSET,
        tools: Sequence[str] | None = None,
    ) -> None:
        """Changes what the model was told. ``turn_detection=None`` is push-to-talk; ``tools`` narrows its tools."""
        names = None if tools is None else list(tools)
        change: dict[str, Any] = {"instructions": instructions, "voice": voice, "tools": names}
        frame = {key: value for key, value in change.items() if value is not None}
        if not isinstance(turn_detection, Unset):
            frame["turn_detection"] = turn_detection and checked("TurnDetection", turn_detection)
        await self._request({"type": "session.update", **frame})

    async def inject(self, text: str, *, respond: bool | None = None) -> None:
        """Puts text into the conversation as the user's; ``respond`` lets the model answer it."""
        more = {} if respond is None else {"respond": respond}
        await self._request({"type": "session.inject", "text": text, **more})

    async def close(self, reason: str | None = None) -> None:
        """Ends the session."""
        await self._request({"type": "session.close", **({} if reason is None else {"reason": reason})})

    async def __aiter__(self) -> AsyncIterator[Turn]:
        while self._end.reason is None:
            try:
                turn = await self._turns.next()
            except ParleyError:
                if self._end.reason is None:
                    raise
                return
            yield turn

    async def _request(self, frame: dict[str, Any]) -> Any:
        return await self._ask({**frame, "session_id": self.id}, self._end)


class LiveSession(RealtimeSession):
    """The session behind the face: it takes the entries of the log."""

    @property
    def after_seq(self) -> int:
        """The number of the last entry that was seen."""
        return self._seq

    def deliver(self, event: Mapping[str, Any]) -> None:
        """Takes an entry of the log. One that was seen before (a resume sends some twice) changes nothing."""
        seq = event.get("seq")
        if isinstance(seq, (int, float)) and not isinstance(seq, bool):
            if seq <= self._seq:
                return
            self._seq = int(seq)
        kind = event.get("type")
        if kind in ("turn.started", "response.interrupted"):
            self._turns.interrupt()
        elif kind == "turn.completed":
            dropped = self._turns.push(Turn(event))
            if dropped is not None:
                self.log.warning("a turn was dropped: the handler does not keep up", turn_id=dropped.id)
        elif kind in ("session.closing", "session.closed"):
            reason = event.get("reason")
            self.end(ParleyError("cancelled", f"the session ended: {reason}", details={"reason": reason}))

    def end(self, error: ParleyError) -> None:
        self._end.set(error)
        self._turns.end(error)

    def on_end(self, listener: Callable[[ParleyError], None]) -> Callable[[], None]:
        return self._end.listen(listener)


#: Where a decorated function carries its target.
TARGET = "__parley_target__"


def call_frame(agent: str, target: str | Callable[..., Any], given: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A checked ``function.call`` without its id. A bare name is a function of the same agent."""
    name = target if isinstance(target, str) else getattr(target, TARGET, None)
    if not isinstance(name, str):
        words = f"a target must be a name or a function of an agent, got {type(target).__name__}"
        raise ParleyError("invalid_argument", words)
    full = name if "." in name else f"{agent}.{name}"
    parse_target(full)
    if given is not None and fields:
        raise ParleyError("invalid_argument", f"the input of {full} must be one object or its fields, not both")
    ready = payload(fields if given is None else given, f"the input of {full}", "invalid_argument")
    return {"type": "function.call", "target": full, "input": ready}
