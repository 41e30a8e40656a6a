"""Checks a value against the contract, with the same words in every language.

It reads the small subset of JSON Schema that ``schemas/v1`` is written in and stops at the first problem: the type,
then required fields in the order of the schema, then present fields in that order, then unknown fields by code point.
Numbers are never echoed: languages print them differently.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from .contract import SCHEMAS
from .errors import ParleyError


class Problem(NamedTuple):
    """Where something is wrong, and a sentence that starts with the place."""

    path: str
    message: str


Check = Callable[[Any, str], "Problem | None"]
Schema = dict[str, Any]

_EXCERPT_CHARS = 64
_KNOWN_KEYWORDS = frozenset(
    re.findall(
        r"\S+",
        """
        $schema $defs $ref $id id title description type properties required additionalProperties propertyNames items
        minItems maxItems enum const pattern minLength maxLength minimum maximum oneOf anyOf default
        """,
    )
)


def describe(value: object) -> str:
    """``'text'`` in single quotes, cut; for anything else the name of its JSON type."""
    if not isinstance(value, str):
        return json_type_of(value)
    return f"'{value[:_EXCERPT_CHARS]}…'" if len(value) > _EXCERPT_CHARS else f"'{value}'"


def json_type_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, (list, tuple)) else "object"


@cache
def check_of(name: str) -> Check:
    """The check of a named schema of the contract."""
    return compile_check(SCHEMAS[name])


def problem_of(name: str, value: object) -> Problem | None:
    """The first problem of ``value`` as a ``name`` of the contract, or None."""
    return check_of(name)(value, "")


def checked(name: str, value: Any) -> Any:
    """Returns ``value`` as a checked part of the contract.

    Raises ParleyError ``invalid_argument`` with ``details["path"]``.
    """
    found = problem_of(name, value)
    if found is not None:
        raise ParleyError("invalid_argument", found.message, details={"path": found.path})
    return value


def compile_check(schema: Schema) -> Check:
    """Compiles a schema of the contract's subset; raises on a keyword that is outside of it, by name."""
    for key in schema:
        if key not in _KNOWN_KEYWORDS:
            raise ValueError(f"the contract may not use the JSON Schema keyword '{key}'")
    if "$ref" in schema:
        name = str(schema["$ref"]).replace("#/$defs/", "")
        # Looked up when it is used: schemas may refer to themselves.
        return lambda value, path: check_of(name)(value, path)
    if "oneOf" in schema:
        return _union(schema["oneOf"])
    if "anyOf" in schema:
        return _nullable(schema["anyOf"])
    kind = schema.get("type")
    if isinstance(kind, list) and len(kind) == 2 and "null" in kind:
        (rest,) = (one for one in kind if one != "null")
        return _nullable([{**schema, "type": rest}, {"type": "null"}])
    if "const" in schema:
        return _one_of([schema["const"]])
    if "enum" in schema:
        return _one_of(schema["enum"])
    return _of_type(kind, schema)


def _of_type(kind: object, schema: Schema) -> Check:
    if kind == "object":
        return _object(schema)
    if kind == "array":
        return _array(schema)
    if kind == "string":
        return _string(schema)
    if kind in ("integer", "number"):
        return _number(schema)
    if kind == "boolean":
        return lambda value, path: None if isinstance(value, bool) else _wrong_type(path, "a boolean", value)
    if kind == "null":
        return lambda value, path: None if value is None else _wrong_type(path, "null", value)
    if kind is None:
        return lambda value, path: None
    raise ValueError(f"the contract may not use the JSON Schema type '{kind}'")


def _union(branches: Sequence[Schema]) -> Check:
    by_type: dict[str, Check] = {}
    for branch in branches:
        resolved = SCHEMAS[branch["$ref"].replace("#/$defs/", "")] if "$ref" in branch else branch
        tag = resolved.get("properties", {}).get("type", {}).get("const")
        if not isinstance(tag, str):
            raise ValueError("a union of the contract must be told apart by 'type'")
        by_type[tag] = compile_check(branch)
    names = ", ".join(sorted(by_type))

    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, dict):
            return _wrong_type(path, "an object", value)
        at = _below(path, "type")
        if "type" not in value:
            return _problem(at, "is required")
        tag = value["type"]
        branch = by_type.get(tag) if isinstance(tag, str) else None
        return branch(value, path) if branch else _problem(at, f"must be one of {names}; got {describe(tag)}")

    return check


def _nullable(branches: Sequence[Schema]) -> Check:
    rest = [branch for branch in branches if branch.get("type") != "null"]
    if len(rest) != 1 or len(rest) == len(branches):
        raise ValueError("anyOf in the contract may only mean: or null")
    inner = compile_check(rest[0])
    return lambda value, path: None if value is None else inner(value, path)


def _array(schema: Schema) -> Check:
    item = compile_check(schema.get("items", {}))
    least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)

    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, (list, tuple)):
            return _wrong_type(path, "an array", value)
        if len(value) < least:
            return _problem(path, f"must have at least {least} {'entry' if least == 1 else 'entries'}")
        if len(value) > most:
            return _problem(path, f"must have at most {most} {'entry' if most == 1 else 'entries'}")
        for i, one in enumerate(value):
            found = item(one, f"{path}[{i}]")
            if found:
                return found
        return None

    return check


def _object(schema: Schema) -> Check:
    properties = {name: compile_check(one) for name, one in schema.get("properties", {}).items()}
    required: Sequence[str] = schema.get("required", ())
    more = schema.get("additionalProperties")
    closed = more is False
    rest = compile_check(more) if isinstance(more, dict) else None
    known = ", ".join(sorted(properties)) or "none"

    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, dict):
            return _wrong_type(path, "an object", value)
        for name in required:
            if name not in value:
                return _problem(_below(path, name), "is required")
        for name, field in properties.items():
            found = field(value[name], _below(path, name)) if name in value else None
            if found:
                return found
        if not closed and rest is None:
            return None
        for name in sorted(name for name in value if name not in properties):
            if rest is None:
                return _problem(_below(path, name), f"is not a known field. Known fields: {known}")
            found = rest(value[name], _below(path, name))
            if found:
                return found
        return None

    return check


def _string(schema: Schema) -> Check:
    source: str | None = schema.get("pattern")
    # `$` is the very end of the text; Python's also matches before a last line break.
    pattern = None if source is None else re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", source), re.ASCII)
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)

    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, str):
            return _wrong_type(path, "a string", value)
        if len(value) < least:
            return _problem(path, "must not be empty" if least == 1 else f"must have at least {least} characters")
        if len(value) > most:
            return _problem(path, f"must have at most {most} characters")
        if pattern and not pattern.search(value):
            return _problem(path, f"must match {source}; got {describe(value)}")
        return None

    return check


def _number(schema: Schema) -> Check:
    whole = schema["type"] == "integer"
    least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    wanted = "an integer" if whole else "a number"

    def check(value: Any, path: str) -> Problem | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not _finite(value):
            return _wrong_type(path, wanted, value)
        if whole and isinstance(value, float) and not value.is_integer():
            return _problem(path, "must be an integer")
        if value < least:
            return _problem(path, f"must be at least {least}")
        if value > most:
            return _problem(path, f"must be at most {most}")
        return None

    return check


def _one_of(values: Sequence[Any]) -> Check:
    names = ", ".join(sorted(values))
    wanted = f"'{values[0]}'" if len(values) == 1 else f"one of {names}"

    def check(value: Any, path: str) -> Problem | None:
        if isinstance(value, str) and value in values:
            return None
        return _problem(path, f"must be {wanted}; got {describe(value)}")

    return check


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        # An integer beyond every double, which is what the other languages would call infinite.
        return False


def _wrong_type(path: str, wanted: str, value: object) -> Problem:
    return _problem(path, f"must be {wanted}, got {json_type_of(value)}")


def _problem(path: str, words: str) -> Problem:
    return Problem(path, f"{path or 'the value'} {words}")


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
