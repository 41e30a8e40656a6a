"""Why a session is about to end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Notice:
    """Why a session is about to end, and how many milliseconds it has for a goodbye."""

    reason: Literal["idle_timeout", "max_duration", "draining"]
    left_ms: int
