"""The short path of one connection: frames between client and provider, counted, and not parsed where they are
sound."""

from __future__ import annotations

import json
from collections.abc import Callable

from parley.contract.types import ErrorObject
from parley.frames import FrameSocket, audio_bytes, is_plain_append, parsed_object
from parley.providers.port import MediaCounts

from .wire import Wire, object_in

#: Frames that wait for the client's side to be there.
_WAITING_MAX = 1024
_NOT_JSON: ErrorObject = {
    "code": "invalid_argument",
    "message": "a frame must be one JSON object",
    "retryable": False,
}


class Media:
    def __init__(
        self, socket: FrameSocket, session: Wire, greeting: str, refused: Callable[[ErrorObject], None]
    ) -> None:
        """``greeting`` is the first frame for every client: ``session.created``."""
        self._socket = socket
        self._refused = refused
        self._listener: Callable[[str, bool], None] | None = None
        self._waiting = [greeting]
        audio = object_in(session, "audio")
        self._input_bytes_per_ms = _bytes_per_ms(object_in(object_in(audio, "input"), "format"))
        self.reply_bytes_per_ms = _bytes_per_ms(object_in(object_in(audio, "output"), "format"))
        self._user_bytes = self._reply_bytes = self._frames_in = self._frames_out = 0

    @property
    def user_audio_ms(self) -> int:
        return round(self._user_bytes / self._input_bytes_per_ms)

    def send(self, frame: str) -> None:
        if is_plain_append(frame):
            self._user_bytes += audio_bytes(frame)
        else:
            event = parsed_object(frame)
            if event is None:
                self._refused(_NOT_JSON)
                return
            if event.get("type") == "input_audio_buffer.append":
                self._user_bytes += audio_bytes(frame)
            # Written anew: what was judged is what is sent, whichever of two equal keys a parser would take.
            frame = json.dumps(event)
        self._frames_out += 1
        self._socket.send(frame)

    def on_frame(self, listener: Callable[[str, bool], None]) -> None:
        self._listener = listener
        waiting, self._waiting = self._waiting, []
        for frame in waiting:
            listener(frame, False)

    def counts(self) -> MediaCounts:
        reply_ms = round(self._reply_bytes / self.reply_bytes_per_ms)
        return MediaCounts(self.user_audio_ms, reply_ms, self._frames_in, self._frames_out)

    def came(self) -> None:
        """A frame came from the provider."""
        self._frames_in += 1

    def deliver_audio(self, frame: str, sound_bytes: int) -> None:
        self._reply_bytes += sound_bytes
        # Sound that nobody listens to is late when somebody does.
        if self._listener is not None:
            self._listener(frame, True)

    def deliver(self, frame: str) -> None:
        if self._listener is not None:
            self._listener(frame, False)
        elif len(self._waiting) < _WAITING_MAX:
            self._waiting.append(frame)


def _bytes_per_ms(format: Wire) -> int:
    """PCM16 at 24 kHz, or G.711 at 8 kHz."""
    return 8 if format.get("type") in ("audio/pcmu", "audio/pcma") else 48
