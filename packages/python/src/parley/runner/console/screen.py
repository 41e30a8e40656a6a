"""A call at a terminal: a line for each thing that happened, and below them, where it can be, a line that moves."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .call import Who
from .pcm import Meter

_METER_WIDTH = 12
_SLOW_MS = 1_000
_REDRAW_S = 0.08
_BRIEF_MAX = 120
#: What could steer a terminal: words come from models and callers. Our own colours stay.
_STEERING = re.compile(r"\x1b(?!\[\d{1,2}m)|[\x00-\x09\x0b-\x1a\x1c-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class ScreenOptions:
    write: Callable[[str], None]
    #: Whether lines can be written over.
    moving: bool
    colour: bool
    #: Shows every entry of the log.
    debug: bool
    #: Levels are drawn where there is sound.
    sound: bool


class Screen:
    def __init__(self, options: ScreenOptions) -> None:
        self._options = options
        self._meters: dict[Who, Meter] = {"you": Meter(_METER_WIDTH), "agent": Meter(_METER_WIDTH)}
        self._partial: tuple[Who, str] | None = None
        self._drawn = False
        self._drawn_s = 0.0

    def line(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        self._options.write(f"{_STEERING.sub(' ', text)}\n")
        self._draw()

    def words(self, who: Who, text: str, final: bool) -> None:
        if not final:
            self._partial = (who, text)
            self._draw()
            return
        self._partial = None
        self.line(f"{self._paint(36 if who == 'you' else 32, who)}: {text}")

    def answered(self, first_ms: float, began_ms: float | None) -> None:
        began = "" if began_ms is None else f", model began after {began_ms:.0f} ms"
        self.line(self._paint(31 if first_ms >= _SLOW_MS else 90, f"  · answer after {first_ms:.0f} ms{began}"))

    def interrupted(self, played_ms: float) -> None:
        self.line(self._paint(33, f"  · interrupted after {played_ms:.0f} ms"))

    def entry(self, entry: Mapping[str, Any]) -> None:
        kind = entry["type"]
        if self._options.debug:
            self.line(self._paint(90, f"  {entry['seq']} {kind}"))
        if kind == "tool.dispatched":
            self.line(f"  ➜ {entry['name']} {_brief(entry['input'])}")
        elif kind == "tool.rejected":
            self.line(self._paint(31, f"  ✗ {entry['name']}: {entry['error']['message']}"))
        elif kind == "tool.completed":
            took = f"({entry['duration_ms']:.0f} ms)"
            if entry["status"] == "succeeded":
                self.line(f"  ✓ {entry['name']} {_brief(entry.get('output'))} {took}")
            else:
                why = (entry.get("error") or {}).get("message", "")
                self.line(self._paint(31, f"  ✗ {entry['name']} {entry['status']}: {why} {took}"))
        elif kind == "provider.failed":
            self.problem(entry["error"]["message"])

    def sound(self, who: Who, pcm: bytes) -> None:
        if self._options.sound:
            self._meters[who].add(pcm)
            self._draw()

    def problem(self, message: str) -> None:
        self.line(self._paint(31, f"  ! {message}"))

    def close(self) -> None:
        self._clear()

    def _draw(self) -> None:
        now_s = time.monotonic()
        if not self._options.moving or (self._drawn and now_s - self._drawn_s < _REDRAW_S):
            return
        meters = ""
        if self._options.sound:
            meters = f"🎤 {self._meters['you'].bars()} 🔊 {self._meters['agent'].bars()} "
        if not meters and self._partial is None:
            return
        # Some terminals say that they have no columns.
        room = max(20, (shutil.get_terminal_size().columns or 80) - 4)
        shown = meters + ("" if self._partial is None else _growing(*self._partial, room - len(meters)))
        self._options.write(f"\r\x1b[2K{_STEERING.sub(' ', shown)[:room]}")
        self._drawn, self._drawn_s = True, now_s

    def _clear(self) -> None:
        if self._drawn:
            self._options.write("\r\x1b[2K")
        self._drawn = False

    def _paint(self, colour: int, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._options.colour else text


def _growing(who: Who, text: str, room: int) -> str:
    """Words that still grow: where there is no room for all of them, the latest."""
    left = max(0, room - len(who) - 5)
    return f"{who}: {text} …" if len(text) <= left else f"{who}: …{text[len(text) - left :]} …"


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return f"{text[:_BRIEF_MAX]}…" if len(text) > _BRIEF_MAX else text
