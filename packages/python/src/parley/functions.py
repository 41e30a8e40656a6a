"""Reasoners and skills as an author declares them: a function with type hints."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_type_hints

from .blocking import BlockingContext
from .context import Context
from .contract.types import FunctionDeclaration
from .declaration import parse_function
from .errors import ParleyError
from .json_text import payload
from .shapes import Shape, parsed, shape_of, shape_of_parameters

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
        takes = _input_shape(body, hints, self._context, self.target)
        returns = _output_shape(hints.get("return", Any), self.target)
        self._input = takes.adapter
        self._output = returns and returns.adapter
        self._whole = WHOLE in inspect.signature(body).parameters
        wire = {
            "name": name,
            "kind": kind,
            "description": options.pop("description") or inspect.getdoc(body),
            "input_schema": takes.schema,
            "output_schema": returns and returns.schema,
            **options,
        }
        self.declaration: FunctionDeclaration = parse_function({k: v for k, v in wire.items() if v is not None})

    @property
    def name(self) -> str:
        return self.declaration["name"]

    def arguments(self, given: Any, context: Context | BlockingContext) -> dict[str, Any]:
        """The keyword arguments for an input. Raises ParleyError ``invalid_argument`` where it does not fit."""
        fields = parsed(self._input, given, f"the input of {self.target}", "invalid_argument")
        if self._whole:
            arguments = {WHOLE: fields}
        else:
            arguments = {one.alias or name: getattr(fields, name) for name, one in type(fields).model_fields.items()}
        if self._context is not None:
            arguments[self._context] = context
        return arguments

    def output(self, returned: Any) -> Any:
        """What the function returned, as JSON has it. Raises ParleyError ``internal`` where it does not fit."""
        what = f"the output of {self.target}"
        if self._output is not None:
            checked = parsed(self._output, returned, what, "internal")
            returned = self._output.dump_python(checked, mode="json", by_alias=True)
        return payload(returned, what, "internal")


def _hints(body: Callable[..., Any], target: str) -> dict[str, Any]:
    try:
        return get_type_hints(body, include_extras=True)
    except NameError as error:
        raise _invalid(f"the type hints of {target} cannot be read: {error}") from error


def _input_shape(body: Callable[..., Any], hints: dict[str, Any], context: str | None, target: str) -> Shape:
    parameters = [one for one in inspect.signature(body).parameters.values() if one.name != context]
    for one in parameters:
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD, one.POSITIONAL_ONLY):
            raise _invalid(f"parameter '{one.name}' of {target} cannot be given by name")
    if any(one.name == WHOLE for one in parameters):
        if len(parameters) > 1:
            raise _invalid(f"{target} takes its whole input as '{WHOLE}', so it has no other parameters")
        return shape_of(hints.get(WHOLE, Any), "validation", target)
    return shape_of_parameters(parameters, hints, target)


def _output_shape(hint: Any, target: str) -> Shape | None:
    return None if hint in (Any, None, type(None), object) else shape_of(hint, "serialization", target)


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
