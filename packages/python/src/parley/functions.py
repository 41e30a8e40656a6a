"""Reasoners and skills as an author declares them: a function with type hints."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from .blocking import BlockingContext
from .context import Context
from .contract.types import ErrorCode, FunctionDeclaration
from .declaration import parse_function
from .errors import ParleyError
from .json_text import payload

#: A parameter of this name takes the whole input; otherwise each parameter is a field of it.
WHOLE = "input"


class FunctionDefinition:
    """A declared function, and how it is run."""

    def __init__(
        self,
        agent: str,
        kind: Literal["reasoner", "skill"],
        name: str,
        body: Callable[..., Any],
        options: dict[str, Any],
    ) -> None:
        self.body = body
        #: It runs in a thread.
        self.blocking = not inspect.iscoroutinefunction(body)
        self.target = f"{agent}.{name}"
        hints = _hints(body, self.target)
        self._context = next((one for one, hint in hints.items() if hint in (Context, BlockingContext)), None)
        self._input = _input_type(body, hints, self._context, self.target)
        self._whole = WHOLE in inspect.signature(body).parameters
        self._output = _output_type(hints.get("return", Any), self.target)
        wire = {
            "name": name,
            "kind": kind,
            "description": options.pop("description") or inspect.getdoc(body),
            "input_schema": _schema(self._input, "validation", self.target),
            "output_schema": self._output and _schema(self._output, "serialization", self.target),
            **options,
        }
        self.declaration: FunctionDeclaration = parse_function({k: v for k, v in wire.items() if v is not None})

    @property
    def name(self) -> str:
        return self.declaration["name"]

    def arguments(self, given: Any, context: Context | BlockingContext) -> dict[str, Any]:
        """The keyword arguments for an input. Raises ParleyError ``invalid_argument`` where it does not fit."""
        parsed = _parsed(self._input, given, f"the input of {self.target}", "invalid_argument")
        if self._whole:
            arguments = {WHOLE: parsed}
        else:
            arguments = {one.alias or name: getattr(parsed, name) for name, one in type(parsed).model_fields.items()}
        if self._context is not None:
            arguments[self._context] = context
        return arguments

    def output(self, returned: Any) -> Any:
        """What the function returned, as JSON has it. Raises ParleyError ``internal`` where it does not fit."""
        what = f"the output of {self.target}"
        if self._output is not None:
            checked = _parsed(self._output, returned, what, "internal")
            returned = self._output.dump_python(checked, mode="json", by_alias=True)
        return payload(returned, what, "internal")


class _Schema(GenerateJsonSchema):
    """Without the titles that pydantic makes of names: they say nothing, and every start carries them."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _hints(body: Callable[..., Any], target: str) -> dict[str, Any]:
    try:
        return get_type_hints(body, include_extras=True)
    except NameError as error:
        raise _invalid(f"the type hints of {target} cannot be read: {error}") from error


def _input_type(body: Callable[..., Any], hints: dict[str, Any], context: str | None, target: str) -> TypeAdapter[Any]:
    parameters = [one for one in inspect.signature(body).parameters.values() if one.name != context]
    for one in parameters:
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD, one.POSITIONAL_ONLY):
            raise _invalid(f"parameter '{one.name}' of {target} cannot be given by name")
    if any(one.name == WHOLE for one in parameters):
        if len(parameters) > 1:
            raise _invalid(f"{target} takes its whole input as '{WHOLE}', so it has no other parameters")
        return _adapter(hints.get(WHOLE, Any), target)
    # The names are given as aliases: a parameter may be called `schema` or `_x`, an attribute of a model may not.
    fields: dict[str, Any] = {
        f"p{i}": (hints.get(one.name, Any), _field(one, target)) for i, one in enumerate(parameters)
    }
    try:
        return TypeAdapter(create_model("Input", **fields))
    except (PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
        raise _no_schema(target, error) from error


def _field(parameter: inspect.Parameter, target: str) -> Any:
    if isinstance(parameter.default, FieldInfo):
        words = f"'{parameter.name}' of {target}: write Annotated[TYPE, Field(...)], and the default as Python has it"
        raise _invalid(words)
    default = ... if parameter.default is inspect.Parameter.empty else parameter.default
    return Field(default, alias=parameter.name)


def _output_type(hint: Any, target: str) -> TypeAdapter[Any] | None:
    return None if hint in (Any, None, type(None), object) else _adapter(hint, target)


def _adapter(hint: Any, target: str) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise _no_schema(target, error) from error


def _schema(adapter: TypeAdapter[Any], mode: Literal["validation", "serialization"], target: str) -> dict[str, Any]:
    try:
        return adapter.json_schema(mode=mode, by_alias=True, schema_generator=_Schema)
    except PydanticUserError as error:
        raise _no_schema(target, error) from error


def _parsed(adapter: TypeAdapter[Any], value: Any, what: str, code: ErrorCode) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        words = f"{path}: {first['msg']}" if path else first["msg"]
        raise ParleyError(code, f"{what} is not valid: {words}", details={"path": path}) from None


def _no_schema(target: str, error: Exception) -> ParleyError:
    words = str(error).strip().split("\n", 1)[0]
    return _invalid(f"the types of {target} have no JSON form: {words}")


def _invalid(message: str) -> ParleyError:
    return ParleyError("invalid_argument", message)


def function_options(
    description: str | None,
    timeout_ms: int | None,
    on_interrupt: Literal["finish", "cancel"] | None,
    max_concurrent: int | None,
    tags: Sequence[str] | None,
) -> dict[str, Any]:
    return {
        "description": description,
        "timeout_ms": timeout_ms,
        "on_interrupt": on_interrupt,
        "max_concurrent": max_concurrent,
        "tags": None if tags is None else list(tags),
    }
