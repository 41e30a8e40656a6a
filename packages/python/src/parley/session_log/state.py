"""What is true of a session at one point of its log. Bounded: nothing in it grows with the length of a call."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from parley.contract.types import (
    AddItemCommand,
    AddTextCommand,
    ErrorObject,
    ResolvedTool,
    SessionDeclaration,
    SessionLimits,
    ToolOutputCommand,
    UpdateCommand,
    Usage,
)

Phase: TypeAlias = Literal["new", "starting", "live", "closing", "closed"]


@dataclass(frozen=True)
class ActiveResponse:
    """An answer that the model is generating."""

    response_id: str
    say_id: str | None
    started_at_ms: float
    #: How much of it was heard when the user spoke over it; None when nobody did.
    interrupted_ms: float | None
    #: The tools it began with, when others took their place since.
    tools: list[ResolvedTool] | None = None


@dataclass(frozen=True)
class PlayingResponse:
    """An answer that was generated and is still being heard. Models generate faster than real time."""

    response_id: str
    item_id: str | None
    say_id: str | None
    started_at_ms: float
    audio_ms: float
    text: str


@dataclass(frozen=True)
class Say:
    """Words that wait to be spoken."""

    say_id: str
    text: str


@dataclass(frozen=True)
class CreatingSay:
    """Words that the provider was asked to speak, and has not begun."""

    say: Say
    kind: Literal["say"] = "say"


@dataclass(frozen=True)
class CreatingRespond:
    """An answer that the provider was asked for, and has not begun."""

    kind: Literal["respond"] = "respond"


@dataclass(frozen=True)
class RunningCall:
    """A tool call that has no end yet."""

    name: str
    execution_id: str
    #: ``orphan``: the model that asked is gone with its call, and nobody waits for the answer.
    source: Literal["model", "client", "orphan"]
    response_id: str | None
    on_interrupt: Literal["finish", "cancel"]
    started_at_ms: float


@dataclass(frozen=True)
class Ending:
    """Why a session ends."""

    reason: str
    error: ErrorObject | None = None


@dataclass
class SessionState:
    """What is true of a session after the entries that were folded into it; ``SessionState()`` is before the first.

    Times are Unix milliseconds. Take one as a value: ``step`` and ``append`` return the next one and change none.
    """

    #: The number of the last entry.
    seq: int = 0
    phase: Phase = "new"
    session_id: str = ""
    created_at_ms: float = 0
    declaration: SessionDeclaration | None = None
    #: All tools that were resolved at the start.
    tools: list[ResolvedTool] = field(default_factory=list)
    #: The names of those that the model may use now.
    enabled_tools: list[str] = field(default_factory=list)
    #: The provider was asked for and is not there yet.
    connecting: bool = False
    #: Inputs, and outputs of tools, that wait for it.
    waiting_commands: list[AddTextCommand | AddItemCommand | ToolOutputCommand] = field(default_factory=list)
    #: Changes that came while it was being connected.
    waiting_update: UpdateCommand | None = None
    clients: int = 0
    had_client: bool = False
    user_speaking: bool = False
    #: The answer that was asked for and has not begun.
    creating: CreatingRespond | CreatingSay | None = None
    #: The answer that is being generated.
    response: ActiveResponse | None = None
    #: The answer that is being heard.
    playing: PlayingResponse | None = None
    #: Tool outputs or injected text wait for an answer of the model.
    respond_wanted: bool = False
    says: list[Say] = field(default_factory=list)
    #: Tool calls without an end, by their call id.
    calls: dict[str, RunningCall] = field(default_factory=dict)
    #: The latest call ids that were answered; a provider that repeats one is not answered twice.
    answered: list[str] = field(default_factory=list)
    handler: Literal["none", "attached", "detached", "completed"] = "none"
    turns: int = 0
    tool_calls: int = 0
    usage: Usage = field(default_factory=lambda: Usage())
    #: How often the client changed what belongs to the server.
    tamperings: int = 0
    closing: Ending | None = None

    @property
    def limits(self) -> SessionLimits:
        """The limits that the declaration sets; those that it does not set are the contract's."""
        return {} if self.declaration is None else self.declaration.get("limits", {})

    def to_json(self) -> dict[str, Any]:
        """The state as JSON has it: the same object in every language."""
        state = dataclasses.asdict(self)
        # Only an answer that keeps the tools of before has them.
        if state["response"] is not None and state["response"]["tools"] is None:
            del state["response"]["tools"]
        return state
