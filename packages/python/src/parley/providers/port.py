"""The port between a session and whoever runs its model: a factory, one connection a session, commands in, events out,
and media frames past both on their own short path.

P1  Events come in the provider's order, and none after ``closed``.
P2  ``closed`` settles once, whatever happened, and never raises.
P3  Every ``respond`` and ``say`` is followed by ``response.started``, or by ``provider.failed`` with its command_id
    (``respond``, or the say_id), or by ``closed``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from parley.contract.types import ErrorObject

#: An event of a model, as the log has it.
ModelEvent = dict[str, Any]


@dataclass(frozen=True)
class ModelSessionOptions:
    """Everything that a model is told at the start of a session."""

    model: str
    voice: str
    responder: str
    modalities: Sequence[str]
    #: ``name``, ``description`` and ``input_schema`` of each.
    tools: Sequence[Mapping[str, Any]]
    #: None is push-to-talk.
    turn_detection: Mapping[str, Any] | None
    instructions: str | None = None
    language: str | None = None
    #: Stable id of the end user, for the provider's safety systems.
    safety_id: str | None = None


class ModelClosed(NamedTuple):
    """How a connection ended. ``code`` is a WebSocket close code, 1006 for a cut connection."""

    code: int
    reason: str
    #: Whether connecting again can help.
    recoverable: bool
    error: ErrorObject | None = None


class MediaCounts(NamedTuple):
    """Sound that went to the provider and came from it, and frames in both directions."""

    user_audio_ms: int = 0
    reply_audio_ms: int = 0
    frames_in: int = 0
    frames_out: int = 0


class ModelMedia(Protocol):
    """The short path: whole JSON texts with OpenAI Realtime GA names."""

    def send(self, frame: str) -> None:
        """A client's frame, checked by the caller against ``client_events``."""

    def on_frame(self, listener: Callable[[str, bool], None]) -> None:
        """The one listener of frames for the client, and whether each is sound. Tools and instructions are left out."""

    def counts(self) -> MediaCounts: ...


class ModelConnection(Protocol):
    @property
    def provider_session_id(self) -> str | None: ...

    @property
    def media(self) -> ModelMedia: ...

    @property
    def closed(self) -> asyncio.Future[ModelClosed]: ...

    def send(self, command: Mapping[str, Any]) -> None:
        """Performs a command of the contract. Raises nothing: a refusal is a ``provider.failed`` event."""

    def on_event(self, listener: Callable[[ModelEvent], None]) -> None:
        """The one listener of events. Set it in the turn in which the connection was received."""

    def close(self, reason: str = "closed") -> None: ...


class RealtimeModel(Protocol):
    @property
    def provider(self) -> str: ...

    async def connect(self, options: ModelSessionOptions) -> ModelConnection:
        """Opens a connection; returns when the provider accepted the session.

        Raises ParleyError ``unauthenticated``, ``permission_denied``, ``resource_exhausted``, ``unavailable``,
        ``deadline_exceeded``, ``invalid_argument``, ``failed_precondition``; ``details["boundary"]`` is
        ``parley -> provider``.
        """


@dataclass(frozen=True)
class ModelConfig:
    """Base URL and key of one provider."""

    #: ``https://…/v1``, or ``http://127.0.0.1:…/v1``.
    base_url: str
    #: Never shown: it is left out of the representation.
    key: str | None = None
    connect_timeout_ms: int = 10_000
    #: Model that writes down what the user says.
    transcription_model: str = "gpt-transcribe"

    def __repr__(self) -> str:
        return f"ModelConfig(base_url={self.base_url!r})"
