"""How long to wait before the next try: full jitter under a ceiling that doubles."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from .contract import TIMES
from .errors import ParleyError


class Backoff:
    """Full-jitter exponential backoff, in milliseconds."""

    def __init__(
        self,
        min_ms: float = TIMES["backoff_min_ms"],
        max_ms: float = TIMES["backoff_max_ms"],
        reset_ms: float = TIMES["backoff_reset_ms"],
        fraction: Callable[[], float] = random.random,
    ) -> None:
        if not 0 < min_ms <= max_ms:
            raise ParleyError("invalid_argument", f"backoff needs 0 < min_ms <= max_ms, got {min_ms} and {max_ms}")
        self._min_ms = min_ms
        self._max_ms = max_ms
        self._reset_ms = reset_ms
        self._fraction = fraction
        self._ceiling_ms = min_ms

    def next(self, floor_ms: float = 0) -> float:
        """Milliseconds to wait before the next try; at least ``floor_ms``, which a peer may have asked for."""
        delay = self._fraction() * self._ceiling_ms
        self._ceiling_ms = min(self._max_ms, self._ceiling_ms * 2)
        return max(delay, floor_ms)

    def lived(self, uptime_ms: float) -> None:
        """A connection ended after ``uptime_ms``."""
        # Only a connection that lived earns a reset: a peer that accepts and drops would be redialled for ever.
        if uptime_ms >= self._reset_ms:
            self._ceiling_ms = self._min_ms


def retry_after_ms(header: str) -> float | None:
    """What an HTTP header Retry-After says, in milliseconds: seconds, or a date."""
    if header.isdecimal():
        return int(header) * 1000
    try:
        at = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    # A date in `-0000` has no zone, and means UTC.
    zoned = at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)
    return max(0.0, (zoned - datetime.now(timezone.utc)).total_seconds() * 1000)
