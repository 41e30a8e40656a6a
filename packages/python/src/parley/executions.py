"""The functions that run here.

P1  An execution id is run once, however often it is dispatched.
P2  Every accepted execution ends with one result, and the result is kept until the server has it.
P3  At most ``running_max`` bodies run; a body that does not stop when it is cancelled holds its place until it returns.
    One that waits for a function that it called holds none: what it waits for may need that place.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol, TypeVar

from .blocking import BlockingContext
from .connection import Connection
from .context import Context
from .errors import ParleyError
from .fence import fenced
from .functions import FunctionDefinition
from .log import Log
from .signals import Signal
from .threads import Threads

T = TypeVar("T")

#: Ids that were settled lately: a late duplicate of them is known for what it is.
_SETTLED_MAX = 4096

_ENDED = ParleyError("cancelled", "the execution has ended")


class Execution:
    """An execution that has no result yet."""

    def __init__(self, dispatch: dict[str, Any], over: Connection | None) -> None:
        self.dispatch = dispatch
        self.id: str = dispatch["execution_id"]
        #: None where it did not come over a link.
        self.over = over
        self.end = Signal()
        #: The timeout, and after a cancellation the time left to end by itself.
        self.timer: asyncio.TimerHandle | None = None
        #: The body, once it runs.
        self.task: asyncio.Task[Any] | None = None
        #: Calls of other functions that it waits for.
        self.calls = 0


class ResultPort(Protocol):
    """Where results go."""

    def __contains__(self, execution_id: str) -> bool: ...

    def ids(self) -> list[str]: ...

    def keep(self, result: dict[str, Any], over: Connection | None) -> None: ...

    def repeat(self, execution_id: str) -> None: ...

    def settled(self, execution_id: str) -> None: ...

    def resumed(self, wanted: set[str]) -> None: ...


class ExecutionPorts(Protocol):
    def context_of(self, execution: Execution) -> Context: ...

    def accepted(self, execution: Execution) -> None: ...

    def changed(self) -> None:
        """Something ended."""


class Executions:
    def __init__(
        self,
        functions: Mapping[str, FunctionDefinition],
        results: ResultPort,
        ports: ExecutionPorts,
        *,
        threads: Threads,
        log: Log,
        running_max: int,
        waiting_max: int,
        cancel_ms: int,
    ) -> None:
        self._functions = functions
        self._results = results
        self._ports = ports
        self._threads = threads
        self._log = log
        self._running_max = running_max
        self._waiting_max = waiting_max
        self._cancel_ms = cancel_ms
        self._open: dict[str, Execution] = {}
        self._waiting: dict[Execution, FunctionDefinition] = {}
        self._bodies: Counter[str] = Counter()
        self._settled: dict[str, None] = {}
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Executions without a result."""
        return len(self._open)

    def uses(self, connection: Connection) -> bool:
        return any(execution.over is connection for execution in self._open.values())

    def in_flight(self) -> list[str]:
        """Everything that the server may ask about after a cut."""
        return [*self._open, *self._results.ids()]

    def dispatch(self, dispatch: dict[str, Any], over: Connection | None) -> None:
        execution = Execution(dispatch, over)
        known = self._open.get(execution.id)
        if known is not None:
            self._ports.accepted(known)
            return
        if execution.id in self._results:
            self._results.repeat(execution.id)
            return
        if execution.id in self._settled:
            self._log.warning("an execution that was settled was dispatched again", execution_id=execution.id)
            return
        definition = self._functions.get(dispatch["function"])
        if definition is None:
            refusal = ParleyError("not_found", f"this agent has no function '{dispatch['function']}'")
            self._keep(execution, "failed", error=refusal)
            return
        if len(self._waiting) >= self._waiting_max:
            words = f"{len(self._waiting)} executions already wait in this agent"
            self._keep(execution, "failed", error=ParleyError("resource_exhausted", words))
            return
        self._open[execution.id] = execution
        self._ports.accepted(execution)
        timeout_ms = dispatch["timeout_ms"]
        late = ParleyError("deadline_exceeded", f"{definition.name} did not end within {timeout_ms} ms")
        execution.timer = self._after(timeout_ms, lambda: self._abort(execution, late))
        self._waiting[execution] = definition
        self._start_next()

    def cancel(self, execution_id: str, reason: str) -> None:
        execution = self._open.get(execution_id)
        if execution is not None:
            self._abort(execution, ParleyError("cancelled", reason))

    def settled(self, execution_id: str) -> None:
        self._results.settled(execution_id)
        self._settled[execution_id] = None
        if len(self._settled) > _SETTLED_MAX:
            del self._settled[next(iter(self._settled))]
        self._ports.changed()

    def resumed(self, wanted: set[str]) -> None:
        """After a cut: what the server does not want is stopped or forgotten. What other live links gave is left."""
        for execution in list(self._open.values()):
            if execution.id in wanted:
                self._ports.accepted(execution)
            elif execution.over is None or not execution.over.up:
                self.cancel(execution.id, "the control plane no longer wants it")
        self._results.resumed(wanted)

    def cancel_all(self, reason: ParleyError) -> None:
        for execution in list(self._open.values()):
            self._abort(execution, reason)

    async def waiting_for(self, execution: Execution, call: Awaitable[T]) -> T:
        """While an execution waits for what it called, others may run in its place (P3)."""
        execution.calls += 1
        if execution.calls == 1:
            self._running -= 1
            self._start_next()
        try:
            return await call
        finally:
            execution.calls -= 1
            if execution.calls == 0:
                self._running += 1

    def _start_next(self) -> None:
        for execution, definition in list(self._waiting.items()):
            if self._running >= self._running_max:
                return
            # One busy function does not hold up the others.
            if self._bodies[definition.name] >= definition.declaration.get("max_concurrent", math.inf):
                continue
            if self._waiting.pop(execution, None) is None:
                continue
            self._running += 1
            self._bodies[definition.name] += 1
            task = asyncio.ensure_future(self._run(execution, definition))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, execution: Execution, definition: FunctionDefinition) -> None:
        try:
            execution.end.raise_if_set()
            # A task of its own: a cancellation must not reach what keeps the books here.
            execution.task = asyncio.ensure_future(fenced(self._body(execution, definition)))
            returned = await execution.task
            self._end(execution, "succeeded", output=definition.output(returned))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it goes to the server
            self._fail(execution, error)
        finally:
            self._bodies[definition.name] -= 1
            # A body that returned without waiting for its calls gave its place away before.
            if execution.calls <= 0:
                self._running -= 1
            execution.calls = -(1 << 30)
            self._start_next()

    async def _body(self, execution: Execution, definition: FunctionDefinition) -> Any:
        context = self._ports.context_of(execution)
        given = execution.dispatch["input"]
        if not definition.blocking:
            return await definition.body(**definition.arguments(given, context))
        blocking = BlockingContext(context, asyncio.get_running_loop())
        arguments = definition.arguments(given, blocking)
        returned = await self._threads.run(lambda: definition.body(**arguments))
        # Something callable that is no function may hide that it is asynchronous.
        return await returned if inspect.isawaitable(returned) else returned

    def _abort(self, execution: Execution, reason: ParleyError) -> None:
        """Tells the body to stop, and gives it up when it does not."""
        if execution.end.reason is not None:
            return
        if execution.timer is not None:
            execution.timer.cancel()
        execution.end.set(reason)
        definition = self._functions[execution.dispatch["function"]]
        if self._waiting.pop(execution, None) is not None:
            self._fail(execution, reason)
            return
        execution.timer = self._after(self._cancel_ms, lambda: self._fail(execution, reason))
        # A thread cannot be cancelled: it sees `context.cancelled`, and its calls raise.
        if execution.task is not None and not definition.blocking:
            execution.task.cancel()

    def _fail(self, execution: Execution, error: BaseException) -> None:
        if execution.id not in self._open:
            return
        reason = execution.end.reason
        # Whatever a body raises after it was told to stop, that is why it ended.
        failure = ParleyError.of(reason or error)
        status: Literal["failed", "timed_out", "cancelled"] = "failed"
        if reason is not None:
            status = "timed_out" if failure.code == "deadline_exceeded" else "cancelled"
        fields = {"execution_id": execution.id, "function": execution.dispatch["function"], "status": status}
        self._log.info("execution ended", **fields, code=failure.code)
        if reason is None:
            self._log.debug("it raised", **fields, exc_info=error)
        self._end(execution, status, error=failure)

    def _end(
        self,
        execution: Execution,
        status: Literal["succeeded", "failed", "timed_out", "cancelled"],
        output: Any = None,
        error: ParleyError | None = None,
    ) -> None:
        # The first end counts (P2).
        if self._open.pop(execution.id, None) is None:
            return
        if execution.timer is not None:
            execution.timer.cancel()
        execution.end.set(_ENDED)
        self._keep(execution, status, output, error)
        self._ports.changed()

    def _keep(self, execution: Execution, status: str, output: Any = None, error: ParleyError | None = None) -> None:
        result: dict[str, Any] = {"execution_id": execution.id, "status": status}
        if error is not None:
            result["error"] = error.to_object()
        else:
            result["output"] = output
        self._results.keep(result, execution.over)

    def _after(self, ms: float, what: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(ms / 1000, what)
