"""What a client may see of the provider's frames: the sound, the words, the lifecycles. Instructions and tools are the
server's: sessions are shown without them, calls of functions and their outputs are left out, and what refers to them is
made to refer to the nearest thing that was shown. What needs no change is passed on as it came."""

from __future__ import annotations

import json
from collections import OrderedDict

from .wire import Wire, list_in, object_in, text_in

#: Frames that are left out whatever is in them.
HIDDEN_TYPES = frozenset(
    (
        "rate_limits.updated",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "mcp_list_tools.failed",
    )
)
_HIDDEN_ITEMS_MAX = 256
_OWN = ("instructions", "tools", "tool_choice", "prompt", "tracing")
_ITEM_FRAMES = frozenset(
    ("conversation.item.added", "conversation.item.done", "conversation.item.created", "conversation.item.retrieved")
)


def public_session(session: Wire) -> Wire:
    """A session as a client may know it."""
    rest = {key: value for key, value in session.items() if key not in _OWN}
    return {**rest, "instructions": "", "tools": [], "tool_choice": "auto", "prompt": None, "tracing": None}


class ClientView:
    def __init__(self) -> None:
        #: Items that the client was not shown, each with the visible item before it.
        self._hidden: OrderedDict[str, str | None] = OrderedDict()

    def of(self, frame: str, event: Wire) -> str | None:
        """What to show for a decoded frame: the frame itself, a copy that is fit to be seen, or nothing."""
        kind = event["type"]
        if kind in ("session.created", "session.updated"):
            return json.dumps({**event, "session": public_session(object_in(event, "session"))})
        if kind in _ITEM_FRAMES:
            return self._item(frame, event)
        if kind == "input_audio_buffer.committed":
            return self._linked(frame, event)
        if kind == "conversation.item.deleted":
            item_id = text_in(event, "item_id") or ""
            if item_id not in self._hidden:
                return frame
            del self._hidden[item_id]
            return None
        if kind in ("response.output_item.added", "response.output_item.done"):
            return frame if _visible(object_in(event, "item")) else None
        if kind in ("response.created", "response.done"):
            return _response(frame, event)
        return frame

    def _item(self, frame: str, event: Wire) -> str | None:
        item = object_in(event, "item")
        if _visible(item):
            return self._linked(frame, event)
        item_id = text_in(item, "id")
        if item_id is not None and event["type"] != "conversation.item.retrieved" and item_id not in self._hidden:
            previous = text_in(event, "previous_item_id")
            self._hidden[item_id] = self._hidden.get(previous, previous) if previous is not None else None
            if len(self._hidden) > _HIDDEN_ITEMS_MAX:
                self._hidden.popitem(last=False)
        return None

    def _linked(self, frame: str, event: Wire) -> str:
        previous = text_in(event, "previous_item_id")
        if previous is None or previous not in self._hidden:
            return frame
        return json.dumps({**event, "previous_item_id": self._hidden[previous]})


def _visible(item: Wire) -> bool:
    """Messages of the two who talk. System notes are instructions."""
    return item.get("type") == "message" and item.get("role") != "system"


def _response(frame: str, event: Wire) -> str:
    inner = event.get("response")
    if not isinstance(inner, dict):
        return frame
    output = list_in(inner, "output")
    shown = [one for one in output if _visible(one)]
    if len(shown) == len(output) and "instructions" not in inner and "tools" not in inner:
        return frame
    rest = {key: value for key, value in inner.items() if key not in ("instructions", "tools")}
    return json.dumps({**event, "response": {**rest, "output": shown}})
