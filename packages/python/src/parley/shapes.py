"""The JSON shape of type hints: what checks a value, and the schema that says so.

Making one takes a millisecond and some kilobytes, and functions often share them, so equal ones are made once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from .contract.types import ErrorCode
from .errors import ParleyError

Mode = Literal["validation", "serialization"]
_SHAPES_MAX = 1024


class Shape(NamedTuple):
    adapter: TypeAdapter[Any]
    schema: dict[str, Any]


class _Given:
    """A value as a key, which tells apart what Python calls equal: 1 and True, A | B and B | A."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self._key = (type(value), value, repr(value))
        self._hash = hash(self._key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Given) and self._key == other._key


def shape_of(hint: Any, mode: Mode, target: str) -> Shape:
    """The shape of one type. Raises ParleyError ``invalid_argument`` where it has no JSON form."""
    return _made(_of_hint, target, lambda: (_Given(hint), mode), (hint, mode))


def shape_of_parameters(parameters: Sequence[inspect.Parameter], hints: dict[str, Any], target: str) -> Shape:
    """The shape of an object whose fields are these parameters. Raises ParleyError ``invalid_argument``."""
    for one in parameters:
        if isinstance(one.default, FieldInfo):
            words = f"'{one.name}' of {target}: write Annotated[TYPE, Field(...)], and the default as Python has it"
            raise ParleyError("invalid_argument", words)
    fields = [(one.name, hints.get(one.name, Any), one.default) for one in parameters]

    def key() -> tuple[Hashable, ...]:
        # A default that can change must not be shared: only plain ones are.
        plain = all(isinstance(default, (str, int, float, type(None), type)) for _, _, default in fields)
        if not plain:
            raise TypeError
        return tuple((name, _Given(hint), _Given(default)) for name, hint, default in fields)

    return _made(_of_fields, target, lambda: (key(),), (fields,))


def parsed(adapter: TypeAdapter[Any], value: Any, what: str, code: ErrorCode) -> Any:
    """The value as the type has it. Raises ParleyError ``code`` with ``details["path"]``."""
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        words = f"{path}: {first['msg']}" if path else first["msg"]
        raise ParleyError(code, f"{what} is not valid: {words}", details={"path": path}) from None


class _Schema(GenerateJsonSchema):
    """Without the titles that pydantic makes of names: they say nothing, and every start carries them."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _made(make: Callable[..., Shape], target: str, key: Callable[[], tuple[Any, ...]], given: tuple[Any, ...]) -> Shape:
    try:
        try:
            shared = key()
        except TypeError:
            # Something in it has no hash, so nobody can say that it equals another.
            return make(*given)
        return _cached(make, shared)
    except (PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
        words = str(error).strip().split("\n", 1)[0]
        raise ParleyError("invalid_argument", f"the types of {target} have no JSON form: {words}") from error


@lru_cache(maxsize=_SHAPES_MAX)
def _cached(make: Callable[..., Shape], key: tuple[Any, ...]) -> Shape:
    return make(*_plain(key))


def _plain(key: Any) -> Any:
    if isinstance(key, _Given):
        return key.value
    return tuple(_plain(one) for one in key) if isinstance(key, tuple) else key


def _of_hint(hint: Any, mode: Mode) -> Shape:
    return _shape(TypeAdapter(hint), mode)


def _of_fields(fields: Sequence[tuple[str, Any, Any]]) -> Shape:
    # The names are given as aliases: a parameter may be called `schema` or `_x`, an attribute of a model may not.
    empty = inspect.Parameter.empty
    given: dict[str, Any] = {
        f"p{i}": (hint, Field(... if default is empty else default, alias=name))
        for i, (name, hint, default) in enumerate(fields)
    }
    return _shape(TypeAdapter(create_model("Input", **given)), "validation")


def _shape(adapter: TypeAdapter[Any], mode: Mode) -> Shape:
    return Shape(adapter, adapter.json_schema(mode=mode, by_alias=True, schema_generator=_Schema))
