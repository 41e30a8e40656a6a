"""Whether this code runs for one session, in a process that a launcher opened for it; and the launchers made there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .launcher import AgentLauncher

#: Marks the surroundings of an isolated session.
ISOLATED = "PARLEY_ISOLATED_SESSION"

_declared: list[AgentLauncher] = []
_count = 0


def is_isolated() -> bool:
    """There the same file is loaded only for what it declares."""
    return os.environ.get(ISOLATED) == "1"


def declare_launcher(launcher: AgentLauncher) -> int:
    """The number of a launcher among those of this process, in the order in which they were made."""
    global _count
    # Kept in isolation only: elsewhere a launcher is whoever holds it.
    if is_isolated():
        _declared.append(launcher)
    _count += 1
    return _count - 1


def declared_launcher(number: int) -> AgentLauncher | None:
    return _declared[number] if number < len(_declared) else None
