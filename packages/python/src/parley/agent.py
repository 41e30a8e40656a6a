"""What an application author begins with."""

from __future__ import annotations

import asyncio
import copy
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, overload

from typing_extensions import TypedDict, Unpack

from .call import AgentCall, AgentCalls, AgentParts, CallHost, Joining
from .contract import LIMITS
from .contract.types import SessionLimits, TurnDetection
from .declaration import is_name, parse_declaration
from .errors import ParleyError
from .functions import FunctionDefinition, function_options
from .log import log_to_stderr
from .session import TARGET, UNSET, Unset
from .sessions import Handler, SessionDefinition
from .settings import AgentOptions
from .worker import AgentStatus, AgentWorker

H = TypeVar("H", bound=Callable[..., Any])


class FunctionOptions(TypedDict, total=False):
    """Options of ``@app.reasoner`` and ``@app.skill``."""

    #: What the live model reads to decide whether to call it. Default: the docstring.
    description: str
    #: Milliseconds until it is cancelled and ends as timed_out. Default 90,000.
    timeout_ms: int
    #: What happens to it when the user speaks over the answer that called it. Default ``finish``.
    on_interrupt: Literal["finish", "cancel"]
    #: Runs at the same time in one process; more wait.
    max_concurrent: int
    tags: Sequence[str]


class Agent:
    """A program that offers sessions and functions.

    >>> app = Agent("support")
    >>> @app.skill()
    ... def find_order(order: str) -> dict[str, str]:
    ...     return {"order": order}
    >>> _ = app.session("voice", provider="simulator", transport="websocket", tools=["find_order"])

    Options are those of ``AgentOptions``. Raises ParleyError ``invalid_argument`` when the name does not match
    ``^[a-z][a-z0-9_-]{0,63}$``.
    """

    def __init__(self, name: str, **options: Any) -> None:
        if not is_name(name):
            words = f"an agent's name must match ^[a-z][a-z0-9_-]{{0,63}}$, got '{name}'"
            raise ParleyError("invalid_argument", words)
        self.name = name
        self._options = options
        self._sessions: dict[str, SessionDefinition] = {}
        self._functions: dict[str, FunctionDefinition] = {}
        self._calls = AgentCalls(self.parts)

    @property
    def parts(self) -> AgentParts:
        """What it declares."""
        return AgentParts(self.name, self._sessions, self._functions)

    def create_call(self, type: str, id: str, session: str | None = None) -> AgentCall:
        """A call that this agent can join, held with the session named, that of the call's type, or the only one.

        Raises ParleyError ``invalid_argument``.
        """
        return self._calls.create(type, id, session)

    def join(self, call: AgentCall) -> Joining:
        """Joins a call: ``async with agent.join(call) as joined``, and leaving the block leaves the call.

        Without a launcher the call is held in this process, with the model alone in it. An agent is in one call at a
        time. Raises ParleyError ``failed_precondition``.
        """
        return Joining(lambda: self._calls.join(call))

    async def finish(self) -> None:
        """Returns when the call that it is in has ended. Raises the ParleyError that ended it, if one did."""
        end = await self._calls.current().ended()
        if end.error is not None:
            raise end.error

    async def simple_response(self, text: str) -> None:
        """Lets the model answer a text, in the call that it is in: ``"Greet the caller."``"""
        await self._calls.current().session.inject(text, respond=True)

    def seated(self, host: CallHost) -> Agent:
        """The same agent with a call of its own, held at ``host``: one declared agent can be in many calls so."""
        seat = copy.copy(self)
        seat._calls = AgentCalls(seat.parts, host)
        return seat

    def session(
        self,
        name: str,
        *,
        provider: str,
        transport: str,
        model: str | None = None,
        voice: str | None = None,
        instructions: str | None = None,
        language: str | None = None,
        modalities: Sequence[str] | None = None,
        responder: Literal["model", "handler"] | None = None,
        tools: Sequence[str] | None = None,
        handoffs: Sequence[str] | None = None,
        guardrails: Sequence[str] | None = None,
        turn_detection: TurnDetection | Unset | None = UNSET,
        client_events: Sequence[str] | None = None,
        limits: SessionLimits | None = None,
        media: Literal["native", "bridge"] | None = None,
        record: bool | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Callable[[H], H]:
        """Declares a session. Used as a decorator it registers the handler that answers its turns; alone, the live
        model answers by itself.

        A handler is an ``async def`` that takes a ``RealtimeSession``, or a plain ``def`` that takes a
        ``BlockingSession`` and runs in a thread. The session goes on until it returns; when it raises, it is closed.
        ``turn_detection=None`` is push-to-talk. Raises ParleyError ``invalid_argument`` naming the field,
        ``already_exists``.
        """
        self._room("session", self._sessions, name, LIMITS["sessions_max"])
        given = {key: value for key, value in locals().items() if key != "self" and value is not None}
        declared = {
            key: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
            for key, value in given.items()
            if not isinstance(value, Unset)
        }
        if turn_detection is None:
            declared["turn_detection"] = None
        definition = SessionDefinition(parse_declaration(declared))
        self._sessions[name] = definition

        def handle(handler: H) -> H:
            if responder is None:
                definition.declaration = parse_declaration({**declared, "responder": "handler"})
            handled: Handler = handler
            definition.handler = handled
            return handler

        return handle

    @overload
    def reasoner(self, body: H, /) -> H: ...

    @overload
    def reasoner(self, name: str | None = None, /, **options: Unpack[FunctionOptions]) -> Callable[[H], H]: ...

    def reasoner(self, name: Any = None, /, **options: Any) -> Any:
        """Declares a function that may call others and think.

        Its parameters are the fields of its input, by their type hints; a parameter named ``input`` takes the whole
        input; one annotated ``Context`` (``BlockingContext`` in a plain ``def``) gets the context. A plain ``def`` runs
        in a thread. Raises ParleyError ``invalid_argument``, ``already_exists``.
        """
        return self._function("reasoner", name, options)

    @overload
    def skill(self, body: H, /) -> H: ...

    @overload
    def skill(self, name: str | None = None, /, **options: Unpack[FunctionOptions]) -> Callable[[H], H]: ...

    def skill(self, name: Any = None, /, **options: Any) -> Any:
        """Declares a function that is plain work; the rest is as with ``reasoner``."""
        return self._function("skill", name, options)

    def start(self, **options: Any) -> AgentHandle:
        """Connects, and keeps the connection, in the running event loop. No signal of the process is touched."""
        for name, session in self._sessions.items():
            if session.declaration["responder"] == "handler" and session.handler is None:
                words = f"session '{name}' has the responder 'handler' and no handler"
                raise ParleyError("invalid_argument", words, details={"path": "responder"})
        settings = AgentOptions(**{**self._options, **options})
        return AgentHandle(AgentWorker(self.name, dict(self._sessions), dict(self._functions), settings))

    async def serve(self, **options: Any) -> None:
        """Serves until the process is told to stop (SIGINT, SIGTERM) or the task is cancelled, then drains.

        A second signal stops at once. Raises ParleyError when the control plane refuses the agent for good.
        """
        handle = self.start(**options)
        loop = asyncio.get_running_loop()
        told = 0

        def leave() -> None:
            nonlocal told
            told += 1
            handle.leave(now=told > 1)

        signals = [signal.SIGINT, signal.SIGTERM]
        try:
            for number in signals:
                loop.add_signal_handler(number, leave)
        except (NotImplementedError, RuntimeError, ValueError):
            # Windows, and threads other than the main one: there the task is cancelled instead.
            signals = []
        try:
            await handle.stopped()
        except asyncio.CancelledError:
            await handle.drain()
            raise
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def run(self, **options: Any) -> None:
        """Serves as a program: ``serve`` in an event loop of its own, with JSON lines on stderr."""
        log_to_stderr()
        asyncio.run(self.serve(**options))

    def _function(self, kind: Literal["reasoner", "skill"], name: Any, options: dict[str, Any]) -> Any:
        if callable(name):
            return self._function(kind, None, {})(name)
        unknown = sorted(options.keys() - FunctionOptions.__annotations__.keys())
        if unknown:
            raise TypeError(f"{kind}() got an unexpected keyword argument '{unknown[0]}'")

        def declare(body: H) -> H:
            called: str = name or body.__name__
            self._room("function", self._functions, called, LIMITS["functions_max"])
            wire = function_options(**{key: options.get(key) for key in FunctionOptions.__annotations__})
            definition = FunctionDefinition(self.name, kind, called, body, wire)
            self._functions[called] = definition
            # So that `call` takes the function itself.
            setattr(body, TARGET, definition.target)
            return body

        return declare

    def _room(self, what: str, declared: Mapping[str, object], name: str, most: int) -> None:
        if name in declared:
            raise ParleyError("already_exists", f"agent {self.name} has a {what} '{name}' already")
        if len(declared) >= most:
            words = f"agent {self.name} has {most} {what}s already"
            raise ParleyError("resource_exhausted", words, retryable=False)


class AgentHandle:
    """A running agent."""

    def __init__(self, worker: AgentWorker) -> None:
        self._worker = worker
        self._task = asyncio.ensure_future(worker.run())
        # Whoever awaits `stopped` or `ready` sees the error; nobody has to.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def status(self) -> AgentStatus:
        return self._worker.status

    async def ready(self) -> None:
        """Returns when the control plane registered it; raises the ParleyError when it never will."""
        await asyncio.shield(self._worker.registered)

    async def stopped(self) -> None:
        """Returns when it stopped; raises the ParleyError of a refusal that trying again cannot help."""
        await asyncio.shield(self._task)

    async def drain(self) -> None:
        """Takes no new work, finishes the old, and stops. After ``drain_ms`` it stops anyway."""
        self._worker.drain()
        await self.stopped()

    async def stop(self) -> None:
        """Cancels what runs, says how it ended, and stops. A second call does not wait for that."""
        self._worker.stop()
        await self.stopped()

    def when_stopped(self, tell: Callable[[], None]) -> None:
        """Calls ``tell`` when it has stopped, however."""
        self._task.add_done_callback(lambda _: tell())

    def leave(self, *, now: bool) -> None:
        """Begins to drain, or to stop, without waiting for it."""
        if now:
            self._worker.stop()
        else:
            self._worker.drain()
