"""The sound of a turn: files of it, and what an answer holds."""

from __future__ import annotations

import base64

from .contract.types import TurnResponse
from .errors import ParleyError


def turn_sound(answer: TurnResponse) -> bytes | None:
    """The sound of an answer to a turn: a WAV file, or samples where those were asked for."""
    audio = answer.get("audio")
    return None if audio is None else base64.b64decode(audio["data"])


def sound_format(audio: bytes) -> str:
    """``wav`` or ``opus``, by how the file begins. Raises ParleyError ``invalid_argument``."""
    if audio[:4] == b"RIFF":
        return "wav"
    if audio[:4] == b"OggS":
        return "opus"
    raise ParleyError("invalid_argument", "audio must be a WAV file or Opus in an Ogg file")
