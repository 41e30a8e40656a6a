"""One session, in the hands of ``create_agent`` and ``join_call``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from parley.log import Log


class LaunchContext:
    """What one session was started for. Its task is cancelled when it is to end."""

    def __init__(
        self,
        *,
        id: str,
        call_id: str,
        call_type: str,
        input: Any,
        metadata: Mapping[str, Any],
        principal: Any,
        log: Log,
        active: Callable[[], None],
        touched: Callable[[int | None], None],
    ) -> None:
        self.id = id
        self.call_id = call_id
        self.call_type = call_type
        self.input = input
        self.metadata = metadata
        #: Who started it: what ``can_start_session`` returned.
        self.principal = principal
        self.log = log
        self._active = active
        self._touched = touched

    def joined(self) -> None:
        """Says that the agent is in its call. Until then it is starting; ``agent.join`` says it by itself."""
        self._active()

    def touch(self, others: int | None = None) -> None:
        """Says that something happened, so the time alone begins anew; ``others`` is who is there besides the agent.

        What happens in a call that ``agent.join`` joined is known without it.
        """
        self._touched(others)


class AgentRequest(NamedTuple):
    """What an agent is made for."""

    #: What ``configure`` made of the start; agents of equal configurations can stand in for each other.
    configuration: Any
    #: The session that it is for; None where it is made in advance, or to see what it declares.
    session: LaunchContext | None
