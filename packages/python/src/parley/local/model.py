"""The model of a session that is kept in this process: connected once, when the log asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from parley.contract import CAPABILITIES
from parley.contract.types import SessionDeclaration
from parley.errors import ParleyError
from parley.ids import new_id
from parley.log import Log
from parley.providers.port import (
    MediaCounts,
    ModelClosed,
    ModelConnection,
    ModelMedia,
    ModelSessionOptions,
    RealtimeModel,
)
from parley.session_log import SessionState

from .log import LocalLog
from .work import LocalWork

_GOODBYE_S = 2.0


class LocalModel:
    """Appends what the model tells. ``joined`` is given its short path, before the log hears of the connection."""

    def __init__(
        self,
        model: RealtimeModel,
        entries: LocalLog,
        work: LocalWork,
        *,
        joined: Callable[[ModelMedia], None],
        log: Log,
    ) -> None:
        self._model = model
        self._entries = entries
        self._work = work
        self._joined = joined
        self._log = log
        self._connecting: asyncio.Task[None] | None = None
        self._connection: ModelConnection | None = None

    def connect(self) -> None:
        self._connecting = self._work.keep(self._connect())

    def send(self, command: Mapping[str, Any]) -> None:
        if self._connection is not None:
            self._connection.send(command)

    def counts(self) -> MediaCounts:
        return MediaCounts() if self._connection is None else self._connection.media.counts()

    def close(self, reason: str) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.close(reason)

    async def gone(self) -> None:
        """Returns when the provider has heard of the end: it bills until then. One that does not answer is not waited
        for."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _GOODBYE_S
        if self._connecting is not None:
            await asyncio.wait({self._connecting}, timeout=_GOODBYE_S)
        # Asked now: it may have come of that.
        if self._connection is not None:
            await asyncio.wait({self._connection.closed}, timeout=max(0.0, until_s - loop.time()))

    async def _connect(self) -> None:
        state = self._entries.state
        if state.declaration is None:
            return
        try:
            connection = await self._model.connect(_options_of(state, state.declaration))
        except ParleyError as error:
            self._log.warning("no connection to the provider", code=error.code)
            lost = {"code": 1006, "reason": error.message, "recoverable": error.retryable}
            self._entries.append({"type": "provider.disconnected", **lost, "error": error.to_object()})
            return
        self._connection = connection
        ending = self._entries.state.closing
        if ending is not None:
            # It came in the moment in which nobody wanted it any more: whoever ended the session could not close it.
            connection.close(ending.reason)
            return
        connection.on_event(self._told)
        connection.closed.add_done_callback(lambda closed: self._disconnected(closed.result()))
        self._joined(connection.media)
        named = connection.provider_session_id
        self._entries.append(
            {"type": "provider.connected", **({} if named is None else {"provider_session_id": named})}
        )

    def _told(self, event: dict[str, Any]) -> None:
        if event["type"] == "tool.called":
            event = {**event, "execution_id": new_id("execution")}
        self._entries.append(event)

    def _disconnected(self, closed: ModelClosed) -> None:
        known = {key: value for key, value in closed._asdict().items() if value is not None}
        self._entries.append({"type": "provider.disconnected", **known})


def _options_of(state: SessionState, declaration: SessionDeclaration) -> ModelSessionOptions:
    """What the model is told: the session as it was declared, and as it was changed since."""
    row = CAPABILITIES[declaration["provider"]]
    return ModelSessionOptions(
        model=declaration.get("model") or row.get("default_model") or "",
        voice=declaration.get("voice") or row.get("default_voice") or "",
        responder=declaration.get("responder", "model"),
        modalities=declaration.get("modalities", ["audio", "text"]),
        tools=[one for one in state.tools if one["name"] in state.enabled_tools],
        turn_detection=declaration.get("turn_detection"),
        instructions=declaration.get("instructions"),
        language=declaration.get("language"),
        safety_id=state.session_id,
    )
