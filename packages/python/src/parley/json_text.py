"""Values that go over the wire: dataclasses and pydantic models become objects; what JSON cannot say is an error that
names the place."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from pydantic import BaseModel

from .contract import LIMITS
from .contract.types import ErrorCode
from .errors import ParleyError

_DEPTH_MAX = 64


@runtime_checkable
class HasJson(Protocol):
    """Something that knows its own form on the wire."""

    def to_json(self) -> Any: ...


class NotJson(ValueError):
    """What keeps a value from being JSON, in words."""


def plain(value: Any, path: str, depth: int = 0) -> Any:
    """The value as JSON has it. Raises NotJson."""
    if value is None or (isinstance(value, (str, bool, int)) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise NotJson(f"{path} is {value}, which JSON cannot say")
    if depth > _DEPTH_MAX:
        raise NotJson(f"{path} lies deeper than {_DEPTH_MAX} levels, or in a circle")
    if isinstance(value, Mapping):
        return {_key(key, path): plain(one, f"{path}.{key}", depth + 1) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one, f"{path}[{i}]", depth + 1) for i, one in enumerate(value)]
    if isinstance(value, BaseModel):
        return plain(value.model_dump(mode="json", by_alias=True), path, depth + 1)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {one.name: plain(getattr(value, one.name), f"{path}.{one.name}", depth + 1) for one in fields}
    if isinstance(value, HasJson):
        return plain(value.to_json(), path, depth + 1)
    if isinstance(value, enum.Enum):
        return plain(value.value, path, depth + 1)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise NotJson(f"{path} is a {type(value).__name__}, which JSON cannot say")


def _key(key: object, path: str) -> str:
    if isinstance(key, str):
        return key
    raise NotJson(f"{path} has a key of type {type(key).__name__}, which JSON cannot say")


def dumps(value: Any) -> str:
    """JSON text that can be sent as UTF-8, even where a text holds half a surrogate pair."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text


def loads(text: str | bytes) -> Any:
    """Reads JSON, and nothing that only Python takes for JSON. Raises ValueError."""
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def payload(value: Any, what: str, code: ErrorCode) -> Any:
    """A payload (an input or an output) as JSON has it.

    ``what`` is the subject of messages, ``code`` the code of the error for what is not JSON. Raises ParleyError
    ``code``, or ``resource_exhausted`` past ``payload_bytes_max``.
    """
    try:
        ready = plain(value, what)
    except NotJson as problem:
        raise ParleyError(code, str(problem)) from problem
    size = len(dumps(ready).encode())
    limit = LIMITS["payload_bytes_max"]
    if size > limit:
        raise ParleyError(
            "resource_exhausted",
            f"{what} is {size} bytes as JSON; the limit is {limit}",
            retryable=False,
            details={"limit": limit, "current": size},
        )
    return ready


def canonical(value: Any) -> str:
    """JSON text as the control plane writes it, to the byte: numbers as JavaScript has them, ``500`` for ``500.0``."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, str):
        return _LONE_SURROGATE.sub(_escaped, json.dumps(value, ensure_ascii=False))
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{canonical(_key(key, 'it'))}:{canonical(one)}" for key, one in value.items()) + "}"
    return "[" + ",".join(canonical(one) for one in value) + "]"


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    if "e" not in text:
        return text
    digits, _, exponent = text.partition("e")
    places = -int(exponent)
    if places == 5 or places == 6:
        # Python takes the exponent from 1e-5 on, JavaScript from 1e-7 on.
        return f"{'-' if value < 0 else ''}0.{'0' * (places - 1)}{digits.lstrip('-').replace('.', '')}"
    return f"{digits}e{int(exponent):+d}"
