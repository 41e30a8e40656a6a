"""The client of a session that is held here: one at a time, a newer one takes over. It speaks OpenAI Realtime, and its
frames reach the model only where the session's ``client_events`` allow it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from parley.contract.types import ErrorObject
from parley.errors import ParleyError, close_code_of
from parley.frames import FrameClose, FrameSocket
from parley.ids import new_id
from parley.json_text import dumps
from parley.providers.client_frame import client_frame_verdict
from parley.providers.port import ModelMedia

#: Past this much unread a client loses sound; past the second it is cut.
_SOFT_CHARS = 1024 * 1024
_HARD_CHARS = 16 * 1024 * 1024
_REJECTIONS_MAX = 1_000


class ClientPorts(Protocol):
    def client_attached(self, connection_id: str) -> None: ...

    def client_detached(self, connection_id: str, close: FrameClose) -> None: ...

    def client_rejected(self, connection_id: str, error: ErrorObject) -> None: ...


class LocalClient:
    def __init__(self, allowed: Sequence[str], ports: ClientPorts) -> None:
        self._allowed = allowed
        self._ports = ports
        self._socket: FrameSocket | None = None
        self._media: ModelMedia | None = None
        self._hello: str | None = None
        self._rejections = 0

    def attach(self, socket: FrameSocket) -> None:
        self._drop(ParleyError("aborted", "another connection took over this call", retryable=False))
        self._socket = socket
        self._rejections = 0
        # Frames that come before the model is there wait in the peer.
        if self._media is None:
            socket.pause()
        socket.on_close(lambda close: self._gone(socket, close))
        self._ports.client_attached(socket.id)
        if self._media is not None and self._socket is socket:
            self._join(socket, self._media)

    def connect(self, media: ModelMedia) -> None:
        self._media = media
        media.on_frame(self._deliver)
        if self._socket is not None:
            self._join(self._socket, media)
            self._socket.resume()

    def event(self, record: Mapping[str, Any]) -> None:
        """An entry of the log, as clients of a control plane get it when they ask for them."""
        if self._socket is not None and self._socket.wants_events:
            self._socket.send(dumps({"type": "parley.event", "event": record}))

    def close(self, reason: str, error: ErrorObject | None) -> None:
        socket, self._socket, self._media = self._socket, None, None
        if socket is None:
            return
        if error is None:
            socket.close(1000, reason)
        else:
            socket.close(close_code_of(error["code"], error["retryable"]), error["message"])

    def _gone(self, socket: FrameSocket, close: FrameClose) -> None:
        if self._socket is socket:
            self._socket = None
            self._ports.client_detached(socket.id, close)

    def _join(self, socket: FrameSocket, media: ModelMedia) -> None:
        if self._hello is not None:
            socket.send(self._hello)
        socket.on_frame(lambda frame: self._from_client(socket, media, frame))

    def _deliver(self, frame: str, is_sound: bool) -> None:
        if self._hello is None:
            self._hello = frame
            return
        socket = self._socket
        if socket is None or (is_sound and socket.buffered > _SOFT_CHARS):
            return
        socket.send(frame)
        if socket.buffered > _HARD_CHARS:
            # It does not read, so it would not answer a goodbye either.
            socket.terminate()

    def _from_client(self, socket: FrameSocket, media: ModelMedia, frame: str) -> None:
        if self._socket is not socket:
            return
        problem = client_frame_verdict(frame, self._allowed).problem
        if problem is None:
            media.send(frame)
            return
        self._rejections += 1
        if self._rejections == 1:
            self._ports.client_rejected(socket.id, problem)
        if self._rejections >= _REJECTIONS_MAX:
            words = f"{_REJECTIONS_MAX} frames were refused"
            self._drop(ParleyError("resource_exhausted", words, retryable=False))
            return
        error = {
            "type": "invalid_request_error",
            "code": problem["code"],
            "message": problem["message"],
            "param": (problem.get("details") or {}).get("path"),
            "event_id": None,
        }
        socket.send(json.dumps({"type": "error", "event_id": new_id("event"), "error": error}))

    def _drop(self, error: ParleyError) -> None:
        socket, self._socket = self._socket, None
        if socket is None:
            return
        socket.close(error.close_code, error.message)
        self._ports.client_detached(socket.id, FrameClose(error.close_code, error.message))
