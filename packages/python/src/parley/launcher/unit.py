"""How one session is run: in this event loop, in a thread, or in a process. The launcher knows no more of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from parley.errors import ParleyError
from parley.frames import FrameSocket
from parley.log import Log

from .notice import Notice

Presence = Literal["joined", "left", "touched"]


@dataclass(frozen=True)
class UnitOrder:
    """What has to be run. Where it crosses a process it is JSON."""

    session_id: str
    call_id: str
    call_type: str
    input: Any
    metadata: Mapping[str, Any]
    principal: Any
    configuration: Any
    #: Instead of the provider that the session declares.
    provider: str | None


class UnitEnd(NamedTuple):
    """How a unit ended."""

    reason: str
    error: ParleyError | None


class UnitPorts(Protocol):
    """What a unit tells while it runs."""

    @property
    def log(self) -> Log: ...

    def active(self) -> None:
        """The agent is in its call."""

    def presence(self, what: Presence, others: int | None = None) -> None:
        """Somebody came, went, or did something."""

    def entry(self, entry: Mapping[str, Any]) -> None:
        """An entry of the call's log. Not told by units that run elsewhere."""

    def metrics(self, report: dict[str, Any]) -> None:
        """What a unit that runs elsewhere counted."""


class Unit(Protocol):
    @property
    def ended(self) -> asyncio.Future[UnitEnd]:
        """Settles once, and never raises."""

    @property
    def gone(self) -> asyncio.Future[None]:
        """Settles when nothing of it runs any more: until then it holds its place."""

    def notice(self, notice: Notice) -> None: ...

    def close(self, reason: str) -> None:
        """Tells it to end. It is given ``close_ms`` for that, and is then ended or given up."""

    def attach(self, client: FrameSocket) -> None:
        """Gives a client a place in the call. Raises ParleyError when there is none to be had."""
