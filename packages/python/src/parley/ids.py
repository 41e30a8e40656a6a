"""Ids are a prefix that says what the thing is, and 128 random bits in base32 without look-alikes."""

from __future__ import annotations

import re
import secrets

from .contract import CATALOG

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PREFIXES: dict[str, str] = CATALOG["id_prefixes"]
_SUFFIX = re.compile(r"[0-9a-hjkmnp-tv-z]{26}\Z", re.ASCII)


def new_id(kind: str) -> str:
    """``new_id("session")`` gives ``sess_`` and 26 characters."""
    # 26 characters hold 130 bits: the last one carries three bits and two zeros.
    bits = secrets.randbits(128) << 2
    text = "".join(_ALPHABET[(bits >> shift) & 31] for shift in range(125, -1, -5))
    return f"{_PREFIXES[kind]}_{text}"


def is_id(kind: str, value: object) -> bool:
    """True when ``value`` has the shape of an id of that kind."""
    if not isinstance(value, str):
        return False
    prefix, _, suffix = value.partition("_")
    return prefix == _PREFIXES[kind] and _SUFFIX.match(suffix) is not None
