"""Commands as frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from parley.ids import new_id

from .session_config import patch_of
from .wire import Wire, known


class CommandFrame(NamedTuple):
    frame: Wire
    #: Under which name a refusal of it is told.
    command_id: str
    #: Whether an answer of the model must follow.
    creates: bool = False
    #: The item that it adds to the conversation.
    item_id: str | None = None

    @property
    def event_id(self) -> str:
        return str(self.frame["event_id"])


def command_frame(command: Mapping[str, Any], responder: str) -> CommandFrame:
    kind: str = command["type"]
    event_id = new_id("event")
    if kind == "respond":
        return _create(event_id, known(instructions=command.get("instructions")), {}, "respond")
    if kind == "say":
        # An empty context, so that the model has nothing to say but this; the default conversation, so that it knows
        # afterwards what it said.
        response = {
            "conversation": "auto",
            "input": [],
            "instructions": f"Say exactly: {command['text']}",
            "tools": [],
            "tool_choice": "none",
        }
        return _create(event_id, response, {"parley_say": command["say_id"]}, command["say_id"])
    if kind in ("add_text", "add_item", "tool_output"):
        return _item(event_id, kind, command)
    plain: dict[str, Wire] = {
        "update": {"type": "session.update"},
        "cancel": {"type": "response.cancel", **known(response_id=command.get("response_id"))},
        "delete_item": {"type": "conversation.item.delete", "item_id": command.get("item_id")},
        "truncate": {"type": "conversation.item.truncate", "item_id": command.get("item_id"), "content_index": 0},
    }
    frame = plain[kind]
    if kind == "update":
        frame["session"] = patch_of(command, responder)
    if kind == "truncate":
        frame["audio_end_ms"] = max(0, math.floor(command["audio_ms"]))
    return CommandFrame({**frame, "event_id": event_id}, kind)


def _item(event_id: str, kind: str, command: Mapping[str, Any]) -> CommandFrame:
    frame: Wire = {"type": "conversation.item.create", "event_id": event_id}
    if kind == "add_item":
        item = dict(command["item"])
        frame |= known(previous_item_id=command.get("previous_item_id"))
    elif kind == "add_text":
        part = "output_text" if command["role"] == "assistant" else "input_text"
        content = [{"type": part, "text": command["text"]}]
        item = {"id": new_id("item"), "type": "message", "role": command["role"], "content": content}
    else:
        output = {"call_id": command["call_id"], "output": command["output"]}
        item = {"id": new_id("item"), "type": "function_call_output", **output}
    item_id = item.get("id")
    command_id = f"tool_output:{command['call_id']}" if kind == "tool_output" else kind
    return CommandFrame({**frame, "item": item}, command_id, item_id=item_id if isinstance(item_id, str) else None)


def _create(event_id: str, response: Wire, metadata: Wire, command_id: str) -> CommandFrame:
    whole = {**response, "metadata": {"parley_request": event_id, **metadata}}
    frame = {"type": "response.create", "event_id": event_id, "response": whole}
    return CommandFrame(frame, command_id, creates=True)
