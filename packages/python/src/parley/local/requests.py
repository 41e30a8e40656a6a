"""What a handler, or whoever joined, asks of a session that is kept in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from parley.check import checked
from parley.errors import ParleyError
from parley.ids import new_id
from parley.signals import Signal

from .log import LocalLog

#: Runs a function for the session: a ``function.call``, and what ends the wait for it.
FunctionCall = Callable[[Mapping[str, Any], Signal], Awaitable[Any]]


class LocalRequests:
    def __init__(self, log: LocalLog, call: FunctionCall) -> None:
        self._log = log
        self._call = call
        self._says: dict[str, asyncio.Future[Mapping[str, Any]]] = {}

    async def take(self, frame: dict[str, Any], until: Signal) -> Any:
        """Does what is asked. Raises the ParleyError why it cannot be done, or that it ended with; what an agent
        link would not send is ``invalid_argument`` here too."""
        self._log.check_open()
        checked("AgentFrame", {**frame, "request_id": new_id("request")})
        kind = frame["type"]
        if kind == "session.say":
            return await self._say(frame["text"], until)
        if kind == "function.call":
            return await self._call(frame, until)
        if kind == "session.inject":
            respond = frame.get("respond", False)
            self._log.append({"type": "input.injected", "text": frame["text"], "respond": respond, "by": "handler"})
        elif kind == "session.update":
            self._update({key: value for key, value in frame.items() if key not in ("type", "session_id")})
        else:
            reason = frame.get("reason", "handler_closed")
            self._log.append({"type": "session.closing", "reason": reason, "by": "handler"})
        return None

    def said(self, end: Mapping[str, Any]) -> None:
        """What was to be said has been heard, or cut: a ``say.completed``."""
        waiting = self._says.pop(end["say_id"], None)
        if waiting is not None and not waiting.done():
            waiting.set_result(end)

    def _update(self, change: dict[str, Any]) -> None:
        declared = {tool["name"] for tool in self._log.state.tools}
        unknown = [name for name in change.get("tools", []) if name not in declared]
        if unknown:
            words = f"tool '{unknown[0]}' was not declared for this session; an update can only narrow its tools"
            raise ParleyError("permission_denied", words)
        self._log.append({"type": "session.updated", "by": "handler", **change})

    async def _say(self, text: str, until: Signal) -> dict[str, Any]:
        say_id = new_id("say")
        spoken: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._says[say_id] = spoken

        def abandon(reason: ParleyError) -> None:
            if not spoken.done():
                spoken.set_exception(reason)

        self._log.append({"type": "say.requested", "say_id": say_id, "text": text, "by": "handler"})
        deaf = until.listen(abandon)
        try:
            end = await spoken
        finally:
            deaf()
            self._says.pop(say_id, None)
        if "error" in end:
            raise ParleyError.of(end["error"])
        return {"interrupted": end["interrupted"], "spoken_text": end["spoken_text"]}
