"""Is the input of a tool what its author said it would be? The author's schema may use all of JSON Schema, so this is
jsonschema's work and not that of ``parley.check``. The words are those of the control plane, which uses ajv: the first
problem in the order in which ajv looks, said as ajv says it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from parley.errors import ParleyError
from parley.json_text import canonical

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

# In ajv's order: what holds for any value, then numbers, strings, arrays, objects, then what needs the others' results.
_ANY = ("$ref", "$dynamicRef", "const", "enum", "not", "anyOf", "oneOf", "allOf", "if", "then", "else")
_OF_TYPE: dict[str, tuple[str, ...]] = {
    "number": ("maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf"),
    "string": ("maxLength", "minLength", "pattern"),
    "array": ("maxItems", "minItems", "uniqueItems", "prefixItems", "items", "contains"),
    "object": (
        *("maxProperties", "minProperties", "required"),
        *("propertyNames", "additionalProperties", "properties", "patternProperties"),
        *("dependentRequired", "dependentSchemas"),
    ),
}
_LATE = ["unevaluatedProperties", "unevaluatedItems"]
_RANKS = {word: i for i, word in enumerate([*_ANY, *(word for words in _OF_TYPE.values() for word in words), *_LATE])}
_BY_NAME = frozenset(("properties", "patternProperties", "dependentSchemas"))


def input_problem(schema: Mapping[str, Any] | None, input: Any) -> str | None:
    """The first problem of ``input``, in words, or None. Raises ParleyError ``invalid_argument`` for a bad schema."""
    if schema is None:
        return None
    # Not before it is needed: most programs fold no log, and these modules are large.
    from referencing.exceptions import Unresolvable

    plain = {key: value for key, value in schema.items() if key not in ("$id", "$schema")}
    validator = _validator(json.dumps(plain))
    try:
        first = _leaf(validator, plain, validator.iter_errors(input))
    except Unresolvable as error:
        raise ParleyError("invalid_argument", f"input_schema is not a valid JSON Schema: {error}") from error
    if first is None:
        return None
    where = ".".join(str(part) for part in first.absolute_path) or "input"
    return f"{where} {_words(first)}"


@lru_cache(maxsize=256)
def _validator(schema_text: str) -> Validator:
    """A session keeps its tools, so each of their schemas is made ready once."""
    from jsonschema import Draft202012Validator, SchemaError
    from referencing import Registry

    schema = json.loads(schema_text)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ParleyError("invalid_argument", f"input_schema is not a valid JSON Schema: {error.message}") from error
    # A registry of our own: the default one fetches what a schema refers to from the network.
    return Draft202012Validator(schema, registry=Registry())


def _leaf(validator: Validator, schema: Any, errors: Iterable[ValidationError]) -> ValidationError | None:
    """The error that ajv tells first: of a union that fits nowhere, what is wrong with its first branch."""
    first = min(errors, key=lambda error: _rank(schema, error), default=None)
    if first is None:
        return None
    if first.context:
        return _leaf(validator, first.validator_value, first.context)
    if first.validator == "oneOf":
        # More than one branch fits; what is wrong with one before the second that fits is told first all the same.
        fits = 0
        branches: Any = first.validator_value
        value: Any = first.instance
        for branch in branches:
            inner = list(validator.evolve(schema=branch).iter_errors(value))
            fits += not inner
            if inner:
                for error in inner:
                    error.parent = first
                return _leaf(validator, branch, inner)
            if fits == 2:
                break
    return first


def _rank(schema: Any, error: ValidationError) -> list[int]:
    """Where ajv comes to this error: the keywords on the way to it by their rank, names and indexes by their place."""
    ranks: list[int] = []
    here, named = schema, False
    indexes = (part for part in error.relative_path if isinstance(part, int))
    for part in error.relative_schema_path:
        if isinstance(part, int):
            ranks.append(part)
        elif named:
            ranks.append(list(here).index(part) if isinstance(here, Mapping) and part in here else 0)
        else:
            ranks.append(_rank_of(here, part))
        # Each item goes through the whole of its schema before the next one does.
        if not named and part in ("items", "prefixItems"):
            index = next(indexes, 0)
            ranks += [index] if part == "items" else []
        named = not named and part in _BY_NAME
        here = _within(here, part)
    return ranks


def _within(here: Any, part: str | int) -> Any:
    if isinstance(here, Mapping):
        return here.get(part)
    return here[part] if isinstance(here, Sequence) and isinstance(part, int) and part < len(here) else None


def _rank_of(schema: Any, keyword: str) -> int:
    if keyword != "type":
        return _RANKS.get(keyword, len(_RANKS))
    # ajv looks at the type first, unless it is one that has keywords of its own here: then with those.
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    own = [word for word in _OF_TYPE.get(kind, ()) if word in schema] if isinstance(kind, str) else []
    return _RANKS[own[0]] if own else -1


def _words(error: ValidationError) -> str:
    keyword = str(error.validator)
    limit: Any = error.validator_value
    value: Any = error.instance
    schema: Any = error.schema
    if keyword == "type":
        return f"must be {limit if isinstance(limit, str) else ','.join(limit)}"
    if keyword == "required":
        missing = next((name for name in limit if name not in value), "")
        return f"must have required property '{missing}'"
    if keyword == "dependentRequired":
        for name, needed in limit.items():
            if name in value and any(one not in value for one in needed):
                noun = "property" if len(needed) == 1 else "properties"
                return f"must have {noun} {', '.join(needed)} when property {name} is present"
    if keyword == "contains":
        return "must contain at least 1 valid item(s)"
    if keyword == "items" and limit is False:
        return f"must NOT have more than {len(schema.get('prefixItems', ()))} items"
    if keyword == "uniqueItems":
        one, other = _duplicates(value, schema)
        return f"must NOT have duplicate items (items ## {one} and {other} are identical)"
    if keyword == "pattern":
        return f'must match pattern "{limit}"'
    if keyword in _COMPARISONS:
        return f"must be {_COMPARISONS[keyword]} {canonical(limit)}"
    if keyword in _COUNTS:
        return f"must NOT have {_COUNTS[keyword]}".replace("#", canonical(limit))
    return _SAID.get(keyword, f"is not valid: {json.dumps(keyword)}")


def _duplicates(items: Sequence[Any], schema: Any) -> tuple[int, int]:
    """The pair that ajv finds: it looks from the end, and says the pair of scalars the other way round."""
    texts = [json.dumps(item, sort_keys=True) for item in items]
    pairs = [(low, high) for high in range(len(texts)) for low in range(high) if texts[low] == texts[high]]
    kinds = schema.get("items", {}).get("type") if isinstance(schema.get("items"), Mapping) else None
    kinds = [kinds] if isinstance(kinds, str) else kinds or []
    if kinds and not {"object", "array"} & set(kinds):
        # One pass from the end that remembers where it saw what: the first repetition has the highest lower place.
        low = max((low for low, _ in pairs), default=0)
        return min((high for one, high in pairs if one == low), default=0), low
    high = max((high for _, high in pairs), default=0)
    return max((low for low, one in pairs if one == high), default=0), high


_COMPARISONS = {
    "maximum": "<=",
    "minimum": ">=",
    "exclusiveMaximum": "<",
    "exclusiveMinimum": ">",
    "multipleOf": "multiple of",
}
_COUNTS = {
    "maxLength": "more than # characters",
    "minLength": "fewer than # characters",
    "maxItems": "more than # items",
    "minItems": "fewer than # items",
    "maxProperties": "more than # properties",
    "minProperties": "fewer than # properties",
}
_SAID = {
    "additionalProperties": "must NOT have additional properties",
    "unevaluatedProperties": "must NOT have unevaluated properties",
    "const": "must be equal to constant",
    "enum": "must be equal to one of the allowed values",
    "not": "must NOT be valid",
    "anyOf": "must match a schema in anyOf",
    "oneOf": "must match exactly one schema in oneOf",
    "None": "boolean schema is false",
}
