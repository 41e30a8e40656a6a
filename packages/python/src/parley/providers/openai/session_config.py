"""What the provider is told about a session, in ``session.update``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parley.providers.port import ModelSessionOptions

from .wire import Wire, known

_PCM24 = {"type": "audio/pcm", "rate": 24_000}


def session_of(options: ModelSessionOptions, transcription_model: str) -> Wire:
    """The first ``session.update``: everything that the session is."""
    speaks = "audio" in options.modalities
    transcription = known(model=transcription_model, language=options.language) if speaks else None
    detection = _detection(options.turn_detection, options.responder) if speaks else None
    return {
        "type": "realtime",
        "output_modalities": ["audio"] if speaks else ["text"],
        "instructions": options.instructions or "",
        "tools": [_tool(one) for one in options.tools],
        "tool_choice": "auto",
        "audio": {
            "input": {"format": _PCM24, "turn_detection": detection, "transcription": transcription},
            "output": {"format": _PCM24, "voice": options.voice},
        },
    }


def patch_of(command: Mapping[str, Any], responder: str) -> Wire:
    """A patch: only what the command names."""
    patch: Wire = {"type": "realtime"}
    if "instructions" in command:
        patch["instructions"] = command["instructions"]
    if "tools" in command:
        patch["tools"] = [_tool(one) for one in command["tools"]]
    audio: Wire = {}
    if "turn_detection" in command:
        audio["input"] = {"turn_detection": _detection(command["turn_detection"], responder)}
    if "voice" in command:
        audio["output"] = {"voice": command["voice"]}
    if audio:
        patch["audio"] = audio
    return _merged(patch, command.get("settings") or {})


def _merged(base: Wire, more: Mapping[str, Any]) -> Wire:
    """``more`` over ``base``, object by object; null and lists take the place of what was there."""
    merged = dict(base)
    for key, value in more.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def _detection(detection: Mapping[str, Any] | None, responder: str) -> Wire | None:
    """Where a handler answers, the model must not answer a turn by itself."""
    if detection is None:
        return None
    return {**detection, "create_response": False} if responder == "handler" else dict(detection)


def _tool(tool: Mapping[str, Any]) -> Wire:
    parameters = tool.get("input_schema") or {"type": "object", "properties": {}}
    described = known(description=tool.get("description"))
    return {"type": "function", "name": tool["name"], **described, "parameters": parameters}
