"""The nouns of OpenAI Realtime, as far as the adapter looks into them. What is not named here passes unread."""

from __future__ import annotations

import math
from typing import Any

Wire = dict[str, Any]


def object_in(value: Wire, key: str) -> Wire:
    inner = value.get(key)
    return inner if isinstance(inner, dict) else {}


def text_in(value: Wire, key: str) -> str | None:
    inner = value.get(key)
    return inner if isinstance(inner, str) else None


def number_in(value: Wire, key: str) -> float | None:
    inner = value.get(key)
    if isinstance(inner, bool) or not isinstance(inner, (int, float)) or not math.isfinite(inner):
        return None
    return inner


def list_in(value: Wire, key: str) -> list[Wire]:
    inner = value.get(key)
    return [one for one in inner if isinstance(one, dict)] if isinstance(inner, list) else []


def known(**fields: Any) -> Wire:
    """Those that are not None."""
    return {key: value for key, value in fields.items() if value is not None}
