"""Checks and completes what an agent registers. The texts are part of the contract: every language says the same."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from typing import Any, cast

from .check import checked, describe
from .contract import CAPABILITIES, CATALOG, LIMITS
from .contract.types import FunctionDeclaration, ResolvedTool, SessionDeclaration
from .errors import ParleyError

_WHITE_SPACE = "\t\n\v\f\r "
_UPPER = re.compile("[A-Z]")
_TARGET = re.compile(CATALOG["patterns"]["target"].removesuffix("$") + r"\Z", re.ASCII)
_NAME = re.compile(CATALOG["patterns"]["name"].removesuffix("$") + r"\Z", re.ASCII)
_DEFAULTS: dict[str, Any] = CATALOG["declaration_defaults"]
_DETECTION_DEFAULTS: dict[str, dict[str, Any]] = CATALOG["turn_detection_defaults"]
_UNIQUE_LISTS = ("handoffs", "guardrails", "client_events", "tags")


def normalise_name(value: str) -> str:
    """Trims ASCII white space, lower-cases ASCII letters, ``-`` becomes ``_``. Only ASCII: the languages disagree."""
    return _UPPER.sub(lambda letter: letter[0].lower(), value.strip(_WHITE_SPACE)).replace("-", "_")


def is_name(value: str) -> bool:
    """Whether it can name an agent or a session."""
    return _NAME.match(value) is not None


def check_pair(raw_provider: object, raw_transport: object) -> tuple[str, str]:
    """A provider and a transport, normalised. Raises ParleyError ``invalid_argument`` when they are not served."""
    provider = normalise_name(raw_provider) if isinstance(raw_provider, str) else ""
    transport = normalise_name(raw_transport) if isinstance(raw_transport, str) else ""
    if not provider:
        raise _invalid("Session provider is required; Parley does not infer providers.", "provider")
    if not transport:
        raise _invalid("Session transport is required; Parley does not infer transports.", "transport")
    row = CAPABILITIES.get(provider)
    if row is None:
        known = ", ".join(sorted(CAPABILITIES))
        raise _invalid(f"Unknown session provider {describe(raw_provider)}. Known providers: {known}.", "provider")
    if transport not in row["transports"]:
        supported = ", ".join(sorted(row["transports"])) or "none"
        raise _invalid(
            f"Unsupported session transport {describe(transport)} for provider '{provider}'. Supported transports: "
            f"{supported}. Parley does not infer or switch providers; set provider and transport explicitly.",
            "transport",
        )
    return provider, transport


def parse_declaration(raw: object) -> SessionDeclaration:
    """Checks the declaration of a session and fills in its defaults.

    Raises ParleyError ``invalid_argument``; ``details["path"]`` names the field.
    """
    if not isinstance(raw, dict):
        raise _invalid(f"Session declaration must be an object, got {describe(raw)}.", "")
    provider, transport = check_pair(raw.get("provider"), raw.get("transport"))
    given = {**checked("SessionDeclaration", raw), "provider": provider, "transport": transport}
    row = CAPABILITIES[provider]["transports"][transport]
    pair = f"provider '{provider}' over '{transport}'"
    declaration = {**copy.deepcopy(_DEFAULTS), "media": row["via"], **given}
    _unique("modalities", declaration["modalities"])
    for modality in declaration["modalities"]:
        if modality not in row["modalities"]:
            supported = ", ".join(sorted(row["modalities"]))
            words = f"Unsupported modality '{modality}' for {pair}. Supported modalities: {supported}."
            raise _invalid(words, "modalities")
    if declaration["media"] not in row["media"]:
        supported = ", ".join(sorted(row["media"]))
        words = f"Unsupported media '{declaration['media']}' for {pair}. Supported media: {supported}."
        raise _invalid(words, "media")
    _unique_tools(declaration["tools"])
    for field in _UNIQUE_LISTS:
        _unique(field, declaration[field])
    if len(declaration["metadata"]) > LIMITS["metadata_keys_max"]:
        raise _invalid(f"metadata must have at most {LIMITS['metadata_keys_max']} keys.", "metadata")
    _detect_turns(declaration, given, row, pair)
    return cast(SessionDeclaration, declaration)


def parse_function(raw: object) -> FunctionDeclaration:
    """Checks the declaration of a function. Raises ParleyError ``invalid_argument``."""
    return cast(FunctionDeclaration, checked("FunctionDeclaration", raw))


def parse_target(target: str) -> tuple[str, str]:
    """``agent.name`` as its two parts. Raises ParleyError ``invalid_argument``."""
    if not _TARGET.match(target):
        raise _invalid(f"target must be agent.name, got {describe(target)}", "target")
    agent, _, name = target.partition(".")
    return agent, name


def resolve_tools(
    agent: str, tools: Sequence[str], lookup: Callable[[str, str], FunctionDeclaration | None]
) -> list[ResolvedTool]:
    """The tools of a session as the model sees them.

    Raises ParleyError ``failed_precondition`` naming a tool whose function nobody offers.
    """
    resolved: list[ResolvedTool] = []
    for reference in tools:
        target = reference if "." in reference else f"{agent}.{reference}"
        owner, name = parse_target(target)
        found = lookup(owner, name)
        if found is None:
            raise ParleyError(
                "failed_precondition",
                f"tool '{reference}' names {target}, which no connected agent offers",
                retryable=True,
                details={"tool": reference, "target": target},
            )
        tool: dict[str, Any] = {"name": name, "target": target, "kind": found["kind"]}
        for field in ("description", "input_schema", "timeout_ms", "on_interrupt"):
            if field in found:
                tool[field] = found[field]
        resolved.append(cast(ResolvedTool, tool))
    return resolved


def _detect_turns(declaration: dict[str, Any], given: dict[str, Any], row: dict[str, Any], pair: str) -> None:
    if "turn_detection" not in given:
        if "audio" not in declaration["modalities"] or "server_vad" not in row["turn_detection"]:
            del declaration["turn_detection"]
        return
    wanted = given["turn_detection"]
    if wanted is None:
        if not row["push_to_talk"]:
            raise _invalid(f"turn_detection null (push-to-talk) is unsupported for {pair}.", "turn_detection")
        return
    if wanted["type"] not in row["turn_detection"]:
        supported = ", ".join(sorted(row["turn_detection"])) or "none"
        raise _invalid(
            f"Unsupported turn_detection '{wanted['type']}' for {pair}. Supported turn detection: {supported}.",
            "turn_detection.type",
        )
    declaration["turn_detection"] = {**_DETECTION_DEFAULTS[wanted["type"]], **wanted}


def _unique(field: str, values: Sequence[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise _invalid(f"{field} must not name {describe(value)} twice.", field)
        seen.add(value)


def _unique_tools(tools: Sequence[str]) -> None:
    by_name: dict[str, str] = {}
    for tool in tools:
        name = tool[tool.find(".") + 1 :]
        if name in by_name:
            raise _invalid(f"Tool name '{name}' is exposed twice: '{by_name[name]}' and '{tool}'.", "tools")
        by_name[name] = tool


def _invalid(message: str, path: str) -> ParleyError:
    return ParleyError("invalid_argument", message, details={"path": path})
