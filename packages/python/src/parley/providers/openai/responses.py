"""The answers of the model: which were asked for and have not begun, which are being generated, and what came of them.

A response may be done without ever having been created, or begin without repeating our metadata; whatever happens, each
request of ours ends in one ``response.started`` or one ``provider.failed`` (P3 of the port).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from parley.providers.port import ModelEvent

from .errors import BOUNDARY, Redact, provider_error
from .wire import Wire, known, list_in, number_in, object_in, text_in

#: A provider that neither began nor refused an answer in this time has lost the request.
_REQUEST_MS = 20_000
_ENDED_MAX = 64
_BUSY = "conversation_already_has_active_response"


class _Request:
    def __init__(self, event_id: str, command_id: str, timer: asyncio.TimerHandle) -> None:
        self.event_id, self.command_id, self.timer = event_id, command_id, timer


class _Active:
    def __init__(self, out_of_band: bool) -> None:
        #: Beside the conversation (``conversation: none``): a client's own, not an answer of this session.
        self.out_of_band = out_of_band
        self.audio_bytes = 0
        self.item_id: str | None = None
        self.text = ""


class Responses:
    def __init__(self, emit: Callable[[ModelEvent], None], redact: Redact, bytes_per_ms: int) -> None:
        self._emit = emit
        self._redact = redact
        self._bytes_per_ms = bytes_per_ms
        self._requests: dict[str, _Request] = {}
        self._active: dict[str, _Active] = {}
        self._ended: deque[str] = deque(maxlen=_ENDED_MAX)

    def asked(self, event_id: str, command_id: str) -> None:
        """A ``response.create`` of ours went out."""

        def lost() -> None:
            del self._requests[event_id]
            words = f"the provider did not begin an answer within {_REQUEST_MS} ms"
            error = {
                "code": "deadline_exceeded",
                "message": words,
                "retryable": True,
                "details": {"boundary": BOUNDARY},
            }
            self._emit({"type": "provider.failed", "error": error, "command_id": command_id})

        timer = asyncio.get_running_loop().call_later(_REQUEST_MS / 1000, lost)
        self._requests[event_id] = _Request(event_id, command_id, timer)

    def refused(self, event_id: str | None, provider_code: str | None) -> str | None:
        """The provider refused an answer: the command that it was, when it was one of ours."""
        request = self._requests.get(event_id) if event_id is not None else None
        if event_id is None and provider_code == _BUSY:
            # Some providers do not say which request they refuse: then it was the oldest.
            request = next(iter(self._requests.values()), None)
        if request is None:
            return None
        self._settle(request)
        return request.command_id

    def created(self, response: Wire) -> None:
        response_id = text_in(response, "id")
        if response_id is not None and response_id not in self._active and response_id not in self._ended:
            self._begin(response_id, response)

    def heard_of(self, response_id: str | None) -> None:
        """A part of a response came, perhaps before anything else of it."""
        if response_id is not None:
            self._opened(response_id)

    def audio(self, sound_bytes: int, frame: str) -> None:
        one = next(iter(self._active.values())) if len(self._active) == 1 else self._active_in(frame)
        if one is not None:
            one.audio_bytes += sound_bytes

    def spoken(self, event: Wire, text: str) -> None:
        """``response.output_audio_transcript.done`` or ``response.output_text.done``."""
        response_id, item_id = text_in(event, "response_id"), text_in(event, "item_id")
        active = None if response_id is None else self._opened(response_id)
        if active is not None:
            active.text += text
            active.item_id = active.item_id or item_id
            if active.out_of_band:
                return
        ids = known(item_id=item_id, response_id=response_id)
        self._emit({"type": "transcript.completed", "track": "agent", "text": text, **ids})

    def done(self, response: Wire) -> None:
        response_id = text_in(response, "id")
        if response_id is None or response_id in self._ended:
            return
        active = self._active.get(response_id) or self._begin(response_id, response)
        self._active.pop(response_id, None)
        self._ended.append(response_id)
        details = object_in(response, "status_details")
        status = response.get("status")
        if status not in ("cancelled", "failed", "incomplete"):
            status = "completed"
        messages = [item for item in list_in(response, "output") if item.get("type") == "message"]
        item_id = active.item_id or (text_in(messages[0], "id") if messages else None)
        error = provider_error(object_in(details, "error"), self._redact) if status == "failed" else None
        self._emit(
            {
                "type": "response.completed",
                "response_id": response_id,
                "status": status,
                "text": _text_of(messages) or active.text,
                "audio_ms": round(active.audio_bytes / self._bytes_per_ms),
                **known(item_id=item_id, reason=text_in(details, "reason"), error=error, usage=_usage(response)),
            }
        )

    def stop(self) -> None:
        """The connection ended; its close settles what was asked for."""
        for request in self._requests.values():
            request.timer.cancel()
        self._requests.clear()
        self._active.clear()

    def _begin(self, response_id: str, response: Wire) -> _Active:
        metadata = object_in(response, "metadata")
        if "id" in response:
            request = self._requests.get(text_in(metadata, "parley_request") or "")
        else:
            # A response whose beginning was lost tells nothing of itself: it is what was waited for.
            request = next(iter(self._requests.values()), None)
        if request is not None:
            self._settle(request)
        beside = "conversation_id" in response and response["conversation_id"] is None and request is None
        active = _Active(beside)
        self._active[response_id] = active
        if beside:
            return active
        asked_id = request.command_id if request is not None and request.command_id != "respond" else None
        say_id = text_in(metadata, "parley_say") or asked_id
        cause = {"cause": "model"} if say_id is None else {"cause": "say", "say_id": say_id}
        self._emit({"type": "response.started", "response_id": response_id, **cause})
        return active

    def _opened(self, response_id: str) -> _Active | None:
        if response_id in self._ended:
            return None
        return self._active.get(response_id) or self._begin(response_id, {})

    def _active_in(self, frame: str) -> _Active | None:
        # Ids of a delta stand in front of its sound.
        head = frame[:512]
        return next((one for response_id, one in self._active.items() if f'"{response_id}"' in head), None)

    def _settle(self, request: _Request) -> None:
        request.timer.cancel()
        self._requests.pop(request.event_id, None)


def _text_of(messages: list[Wire]) -> str:
    parts = (part for item in messages for part in list_in(item, "content"))
    return "".join(text_in(part, "transcript") or text_in(part, "text") or "" for part in parts)


def _usage(response: Wire) -> Wire | None:
    usage = object_in(response, "usage")
    taken, given = object_in(usage, "input_token_details"), object_in(usage, "output_token_details")
    counts = known(
        input_tokens=number_in(usage, "input_tokens"),
        output_tokens=number_in(usage, "output_tokens"),
        input_audio_tokens=number_in(taken, "audio_tokens"),
        output_audio_tokens=number_in(given, "audio_tokens"),
        input_text_tokens=number_in(taken, "text_tokens"),
        output_text_tokens=number_in(given, "text_tokens"),
        cached_tokens=number_in(taken, "cached_tokens"),
        seconds=number_in(usage, "seconds"),
    )
    return counts or None
