"""One session with OpenAI Realtime: each frame goes to the client first, then, when it is structural, to the events."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from parley.contract.types import ErrorObject
from parley.frames import FrameClose, FrameSocket, audio_bytes, frame_type, parsed_object
from parley.providers.port import ModelClosed, ModelEvent

from .client_view import HIDDEN_TYPES, ClientView, public_session
from .commands import command_frame
from .errors import Redact, close_error, is_recoverable, provider_error
from .media import Media
from .responses import Responses
from .turns import Turns
from .wire import Wire, known, list_in, number_in, object_in, text_in

#: Commands whose refusal could still come, and calls and items of which is known.
_SENT_MAX = 256
_CALLS_MAX = 1024
_AUDIO_DELTA = "response.output_audio.delta"


class OpenAIConnection:
    def __init__(self, socket: FrameSocket, session: Wire, responder: str, redact: Redact) -> None:
        self.provider_session_id = text_in(session, "id")
        greeting = {"type": "session.created", "event_id": "event_0", "session": public_session(session)}
        self.media = Media(socket, session, json.dumps(greeting), self._client_refused)
        self.closed: asyncio.Future[ModelClosed] = asyncio.get_running_loop().create_future()
        self._socket = socket
        self._responder = responder
        self._redact = redact
        transcribes = object_in(object_in(session, "audio"), "input").get("transcription") is not None
        self._view = ClientView()
        self._turns = Turns(self._emit, transcribes=transcribes, sent_ms=lambda: self.media.user_audio_ms)
        self._responses = Responses(self._emit, redact, self.media.reply_bytes_per_ms)
        #: Commands by the id of their frame.
        self._sent: OrderedDict[str, str] = OrderedDict()
        #: Items that this side added: they are no turns of the user.
        self._own_items: OrderedDict[str, None] = OrderedDict()
        self._calls: OrderedDict[str, None] = OrderedDict()
        self._listener: Callable[[ModelEvent], None] | None = None
        self._last_error: ErrorObject | None = None
        self._closing: str | None = None
        self._steps: dict[str, Callable[[Wire], None]] = {
            "error": lambda event: self._refused(object_in(event, "error")),
            "session.created": self._named,
            "session.updated": self._named,
            "input_audio_buffer.speech_started": self._turns.speech_started,
            "input_audio_buffer.speech_stopped": self._turns.speech_stopped,
            "input_audio_buffer.committed": self._turns.committed,
            "input_audio_buffer.cleared": lambda _: self._turns.cleared(),
            "conversation.item.added": self._item_added,
            "conversation.item.created": _nothing,
            "conversation.item.done": _nothing,
            "conversation.item.retrieved": _nothing,
            "conversation.item.deleted": _nothing,
            "conversation.item.truncated": self._truncated,
            "conversation.item.input_audio_transcription.completed": self._turns.transcribed,
            "conversation.item.input_audio_transcription.failed": self._turns.transcription_failed,
            "response.created": lambda event: self._responses.created(object_in(event, "response")),
            "response.output_item.added": lambda event: self._responses.heard_of(text_in(event, "response_id")),
            "response.output_audio_transcript.done": lambda event: self._responses.spoken(
                event, text_in(event, "transcript") or ""
            ),
            "response.output_text.done": lambda event: self._responses.spoken(event, text_in(event, "text") or ""),
            "response.output_item.done": lambda event: self._called(
                object_in(event, "item"), text_in(event, "response_id")
            ),
            "response.done": self._done,
        }
        # What comes before somebody listens waits in the peer.
        socket.pause()
        socket.on_close(self._ended)
        socket.on_frame(self._received)

    def send(self, command: Mapping[str, Any]) -> None:
        # Without another way to the provider nobody can have changed anything.
        if command["type"] == "restore":
            return
        made = command_frame(command, self._responder)
        _remember(self._sent, made.event_id, made.command_id, _SENT_MAX)
        if made.item_id is not None:
            _remember(self._own_items, made.item_id, None, _SENT_MAX)
        if made.creates and self._socket.open:
            self._responses.asked(made.event_id, made.command_id)
        self._socket.send(json.dumps(made.frame))

    def on_event(self, listener: Callable[[ModelEvent], None]) -> None:
        self._listener = listener
        # In the next turn, so that whoever sets a listener of media in this one misses nothing either.
        asyncio.get_running_loop().call_soon(self._socket.resume)

    def close(self, reason: str = "closed") -> None:
        self._closing = self._closing or reason
        self._socket.close(1000, reason)

    def _ended(self, close: FrameClose) -> None:
        self._turns.stop()
        self._responses.stop()
        self._listener = None
        if self.closed.done():
            return
        if self._closing is not None:
            self.closed.set_result(ModelClosed(1000, self._closing, False))
            return
        recoverable = is_recoverable(close, self._last_error)
        error = close_error(close, self._last_error, self._redact)
        error["retryable"] = recoverable
        self.closed.set_result(ModelClosed(close.code, self._redact(close.reason), recoverable, error))

    def _emit(self, event: ModelEvent) -> None:
        if self._listener is not None:
            self._listener(event)

    def _received(self, frame: str) -> None:
        self.media.came()
        kind = frame_type(frame)
        if kind == _AUDIO_DELTA:
            sound_bytes = audio_bytes(frame)
            self._responses.audio(sound_bytes, frame)
            self.media.deliver_audio(frame, sound_bytes)
            return
        if kind is None or kind in HIDDEN_TYPES:
            return
        step = self._steps.get(kind)
        event = None if step is None else parsed_object(frame)
        if step is None or event is None:
            self.media.deliver(frame)
            return
        ours = kind == "error" and text_in(object_in(event, "error"), "event_id") in self._sent
        # The refusal of a command of ours is not the client's; strict clients end the call at any error.
        shown = None if ours else self._view.of(frame, event)
        if shown is not None:
            self.media.deliver(shown)
        # Only an error that nothing followed is why a connection ended.
        if kind != "error":
            self._last_error = None
        step(event)

    def _named(self, event: Wire) -> None:
        self.provider_session_id = self.provider_session_id or text_in(object_in(event, "session"), "id")

    def _item_added(self, event: Wire) -> None:
        if text_in(object_in(event, "item"), "id") not in self._own_items:
            self._turns.item_added(event)

    def _truncated(self, event: Wire) -> None:
        item_id = text_in(event, "item_id")
        if item_id is not None:
            heard_ms = number_in(event, "audio_end_ms") or 0
            self._emit({"type": "item.truncated", "item_id": item_id, "audio_ms": heard_ms})

    def _done(self, event: Wire) -> None:
        response = object_in(event, "response")
        # A call whose own frame was lost still stands here.
        for item in list_in(response, "output"):
            self._called(item, text_in(response, "id"))
        self._responses.done(response)

    def _called(self, item: Wire, response_id: str | None) -> None:
        """An item is done. It is a call only when it is complete: an interrupted one has half of its arguments."""
        call_id, name = text_in(item, "call_id"), text_in(item, "name")
        if item.get("type") != "function_call" or item.get("status") != "completed":
            return
        if call_id is None or name is None or call_id in self._calls:
            return
        _remember(self._calls, call_id, None, _CALLS_MAX)
        call = {"call_id": call_id, "name": name, "arguments": text_in(item, "arguments") or "", "source": "model"}
        self._emit({"type": "tool.called", **call, **known(response_id=response_id)})

    def _client_refused(self, error: ErrorObject) -> None:
        self._emit({"type": "provider.failed", "error": error, "command_id": "client"})

    def _refused(self, wire: Wire) -> None:
        error = provider_error(wire, self._redact)
        provider_code = text_in(wire, "code") or text_in(wire, "type")
        event_id = text_in(wire, "event_id")
        create = self._responses.refused(event_id, provider_code)
        sent = None if event_id is None else self._sent.pop(event_id, None)
        # The answer was over a moment before it was cancelled: what was wanted is so.
        if provider_code == "response_cancel_not_active":
            return
        if event_id is None:
            self._last_error = error
        # Never without a name: an unnamed failure would be taken for that of the answer that is waited for.
        command_id = create or sent or ("unknown" if event_id is None else "client")
        code = known(provider_code=provider_code)
        self._emit({"type": "provider.failed", "error": error, "command_id": command_id, **code})


def _nothing(_event: Wire) -> None:
    """Only shown to the client, or hidden from it."""


def _remember(kept: OrderedDict[str, Any], key: str, value: Any, most: int) -> None:
    kept[key] = value
    if len(kept) > most:
        kept.popitem(last=False)
