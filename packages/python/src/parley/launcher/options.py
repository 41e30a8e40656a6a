"""What a launcher can be told, with its defaults. Everything that grows has its bound here."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from parley.errors import ParleyError
from parley.local.host import LeaseModel
from parley.log import Log

#: Where a session runs: in this event loop, in a thread with a loop of its own, in a process.
Isolation = Literal["shared", "thread", "process"]

_ISOLATIONS = ("shared", "thread", "process")
_LEAST = {
    "warm_configurations_max": 1,
    "max_concurrent_sessions": 1,
    "max_sessions_per_call": 1,
    "max_session_duration_ms": 1,
    "queue_timeout_ms": 1,
    "start_timeout_ms": 1,
}


@dataclass(frozen=True)
class LauncherOptions:
    """Options of ``AgentLauncher``; times in milliseconds."""

    #: Makes the agent of one session: takes an ``AgentRequest``, or nothing. Agents may be one and the same.
    create_agent: Callable[..., Any]
    #: Holds the call: takes the agent, the call's type, its id and, where it wants it, the ``LaunchContext``. Its
    #: return ends the session.
    join_call: Callable[..., Awaitable[None]]
    #: The type of a start's ``input``: a dataclass, a pydantic model, a typed dict, or a JSON Schema as a dict.
    input: Any = None
    #: The configuration that a start (its input, its call's type) needs its agent to be of: JSON. Default: all share
    #: one.
    configure: Callable[[Any, str], Any] | None = None
    #: Warms what an agent will need, before it counts as ready.
    warm_up: Callable[[Any], Awaitable[None] | None] | None = None
    #: Agents that are kept ready for each configuration; if isolated, each in the thread or process of its session.
    warm_agents: int = 0
    #: Configurations that are warmed at the start. Default: the one of starts without an input.
    warm_configurations: Sequence[Any] | None = None
    #: Configurations that are kept warm; past it the one that was used longest ago goes.
    warm_configurations_max: int = 16
    #: How long an agent may be alone in its call. 0: for ever.
    agent_idle_timeout_ms: int = 60_000
    #: Sessions at the same time in this launcher.
    max_concurrent_sessions: int = 256
    #: Sessions at the same time in one call. None: no limit of its own.
    max_sessions_per_call: int | None = None
    #: How long a session may last. None: no limit of its own.
    max_session_duration_ms: int | None = None
    #: How long before an idle timeout or the longest duration a session is told.
    warning_ms: int = 10_000
    #: Is told before a session is closed (agent, ``Notice``, and the ``LaunchContext`` where it wants it).
    on_notice: Callable[..., Awaitable[None] | None] | None = None
    #: Starts that wait for a place, where they ask for ``queue``.
    queue_max: int = 100
    #: How long a start waits for a place.
    queue_timeout_ms: int = 60_000
    #: How long a start may take until the agent is in its call.
    start_timeout_ms: int = 30_000
    #: How long a session may take to end once it is told to.
    close_ms: int = 2_000
    #: How long a drain lets sessions go on.
    drain_ms: int = 30_000
    #: How long a session can be read after its end, and how many of them.
    retain_ms: int = 600_000
    retain_max: int = 1_000
    #: With ``thread`` or ``process`` a blocked loop ends the one session that it is in, with ``process`` any crash.
    isolation: Isolation = "shared"
    #: For processes: the file or the module that makes this launcher; the first one that it makes there is taken.
    #: Default: the program's main module, and its launcher that was made as the same one in order.
    module: str | Path | None = None
    #: A loop that did nothing for so long is blocked: told in the log, with what blocks it, and ended if isolated. 0:
    #: not watched.
    blocked_ms: int = 5_000
    #: Instead of the provider that sessions declare, for calls that are held here.
    provider: str | None = None
    #: Where models come from, for calls that are held here. Default: the environment.
    lease_model: LeaseModel | None = None
    #: Default: the logger ``parley``.
    log: Log | None = None

    def __post_init__(self) -> None:
        for name in ("create_agent", "join_call"):
            if not callable(getattr(self, name)):
                raise _refused(name, "a function", getattr(self, name))
        for field in fields(self):
            value = getattr(self, field.name)
            if "int" not in str(field.type) or value is None:
                continue
            least = _LEAST.get(field.name, 0)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise _refused(field.name, f"a whole number of at least {least}", value)
        if self.isolation not in _ISOLATIONS:
            raise _refused("isolation", "'shared', 'thread' or 'process'", self.isolation)


async def told(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls what an author gave with as many of these as it takes, and waits for it where it is asynchronous."""
    returned = function(*arguments[: _taken(function, len(arguments))])
    return await returned if inspect.isawaitable(returned) else returned


def _taken(function: Callable[..., Any], most: int) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        # Some built-in callables do not say.
        return most
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return most
    return min(most, sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters))


def _refused(name: str, rule: str, value: object) -> ParleyError:
    got = value if isinstance(value, (int, float, str)) else type(value).__name__
    return ParleyError("invalid_argument", f"{name} must be {rule}, got {got}", details={"path": name})
