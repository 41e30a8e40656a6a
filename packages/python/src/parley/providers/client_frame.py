"""What a client of a session may send. Its sound is passed unparsed; everything else is parsed once and judged by
``client_events``. What tells the model who it is (instructions, tools, system notes, outputs of tools) is the
server's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from parley.contract import CATALOG
from parley.contract.types import ErrorCode, ErrorObject
from parley.errors import ERROR_CODES
from parley.frames import is_plain_append, parsed_object

_NAME_OF: dict[str, str] = CATALOG["client_event_of_frame"]
#: What a client may say about an answer that it asks for.
_RESPONSE_FIELDS = frozenset(("conversation", "metadata", "input", "output_modalities", "max_output_tokens", "audio"))
_PART_NEEDS = {"input_audio": "audio", "input_image": "image", "input_text": "text"}


class Verdict(NamedTuple):
    """``audio`` or ``other``, or the problem that the frame is refused for."""

    kind: Literal["audio", "other"] = "other"
    problem: ErrorObject | None = None
    #: The frame parsed, where it was.
    event: dict[str, Any] | None = None


def client_frame_verdict(frame: str, allowed: Sequence[str]) -> Verdict:
    """Judges a client's frame by the names that its session allows.

    >>> client_frame_verdict('{"type":"session.update"}', ["audio"]).problem["code"]
    'permission_denied'
    """
    if is_plain_append(frame):
        return Verdict("audio") if "audio" in allowed else _not_allowed("input_audio_buffer.append", "audio", allowed)
    event = parsed_object(frame)
    if event is None:
        return _refusal("invalid_argument", "a frame must be one JSON object")
    return _judge(event, allowed)._replace(event=event)


def _judge(event: dict[str, Any], allowed: Sequence[str]) -> Verdict:
    kind = event.get("type")
    if not isinstance(kind, str):
        return _refusal("invalid_argument", "a frame must have a type", "type")
    if kind == "session.update":
        words = "session.update is refused: the server says what a session is"
        return _refusal("permission_denied", words, "type")
    name = _NAME_OF.get(kind)
    if name is None:
        return _refusal("invalid_argument", f"a client may not send '{kind[:64]}'", "type")
    if kind == "conversation.item.create":
        return _item(event.get("item"), allowed, "item") or Verdict()
    if name not in allowed:
        return _not_allowed(kind, name, allowed)
    if kind == "response.create":
        return _response(event.get("response"), allowed) or Verdict()
    return Verdict("audio" if name == "audio" else "other")


def _item(item: Any, allowed: Sequence[str], path: str) -> Verdict | None:
    if not isinstance(item, dict):
        return _refusal("invalid_argument", f"{path} must be an object", path)
    if item.get("type") == "function_call_output":
        return _refusal("permission_denied", "tools are answered by the server", f"{path}.type")
    if item.get("type") != "message":
        return _refusal("permission_denied", "a client may only add messages", f"{path}.type")
    if item.get("role") != "user":
        return _refusal("permission_denied", "a client may only add messages of the user", f"{path}.role")
    content = item.get("content")
    if not isinstance(content, list):
        return _refusal("invalid_argument", f"{path}.content must be a list", f"{path}.content")
    for place, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        needs = _PART_NEEDS.get(kind) if isinstance(kind, str) else None
        at = f"{path}.content.{place}.type"
        if needs is None:
            return _refusal("invalid_argument", f"a part must be one of: {', '.join(_PART_NEEDS)}", at)
        if needs not in allowed:
            return _not_allowed("a part of a message", needs, allowed, at)
    return None


def _response(response: Any, allowed: Sequence[str]) -> Verdict | None:
    if response is None:
        return None
    if not isinstance(response, dict):
        return _refusal("invalid_argument", "response must be an object", "response")
    for field in response:
        if field not in _RESPONSE_FIELDS:
            known = ", ".join(sorted(_RESPONSE_FIELDS))
            words = f"a client may only set these of a response: {known}"
            return _refusal("permission_denied", words, f"response.{field[:64]}")
    metadata, given = response.get("metadata"), response.get("input")
    if isinstance(metadata, dict) and any(key.startswith("parley_") for key in metadata):
        words = "metadata that begins with parley_ belongs to the server"
        return _refusal("permission_denied", words, "response.metadata")
    if given is None:
        return None
    if not isinstance(given, list):
        return _refusal("invalid_argument", "response.input must be a list", "response.input")
    for place, item in enumerate(given):
        if isinstance(item, dict) and item.get("type") == "item_reference":
            continue
        problem = _item(item, allowed, f"response.input.{place}")
        if problem is not None:
            return problem
    return None


def _not_allowed(what: str, name: str, allowed: Sequence[str], path: str = "type") -> Verdict:
    listed = ", ".join(sorted(allowed)) or "none"
    return _refusal("permission_denied", f"{what} needs '{name}' in client_events. Allowed: {listed}.", path)


def _refusal(code: ErrorCode, message: str, path: str | None = None) -> Verdict:
    problem: ErrorObject = {"code": code, "message": message, "retryable": ERROR_CODES[code]["retryable"]}
    if path is not None:
        problem["details"] = {"path": path}
    return Verdict(problem=problem)
