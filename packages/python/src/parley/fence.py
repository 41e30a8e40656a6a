"""What an author's code raises ends what it was run for, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def fenced(work: Awaitable[T]) -> T:
    """Waits for an author's code. ``sys.exit`` in a task would end the process, and everybody's work with it: here it
    is a RuntimeError."""
    try:
        return await work
    except SystemExit as end:
        raise RuntimeError(f"it called for the end of the process ({end.code})") from end
