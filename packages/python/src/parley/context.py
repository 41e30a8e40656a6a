"""What a function is given besides its input."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from .errors import ParleyError
from .log import Log
from .session import call_frame
from .signals import Signal


class Context:
    """One run of one function. A parameter that is annotated with it gets it.

    A cancellation, the timeout, or the stop of the agent cancels the task of an ``async def``; a plain ``def`` gets a
    ``BlockingContext``, whose calls raise then.
    """

    def __init__(
        self,
        dispatch: dict[str, Any],
        *,
        agent: str,
        request: Callable[[dict[str, Any]], Awaitable[Any]],
        note: Callable[[str, Any], None],
        end: Signal,
        log: Log,
    ) -> None:
        self.execution_id: str = dispatch["execution_id"]
        self.workflow_id: str = dispatch["workflow_id"]
        #: The session that it runs for, if any.
        self.session_id: str | None = dispatch.get("session_id")
        self.parent_execution_id: str | None = dispatch.get("parent_execution_id")
        self.log = log
        self._agent = agent
        self._request = request
        self._note = note
        self._end = end

    @property
    def cancelled(self) -> ParleyError | None:
        """Why it should stop; None while it should not."""
        return self._end.reason

    async def call(self, target: str | Callable[..., Any], input: Any = None, /, **fields: Any) -> Any:
        """Runs another function as a child of this execution and returns its output. It is cancelled when this one is.

        Raises the ParleyError that the execution ended with.
        """
        return await self._request(call_frame(self._agent, target, input, fields))

    def note(self, text: str, data: Any = None) -> None:
        """Leaves a note on the execution, for whoever looks at the workflow."""
        self._note(text, data)
