"""Watches event loops from a thread beside them: a loop that is blocked cannot say so itself. It names the session, and
the function and line that block it."""

from __future__ import annotations

import asyncio
import gc
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from contextvars import Context
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from .shared import RUNNING

_FRAMES_MAX = 8
_PATHS = sysconfig.get_paths()
#: Where code lies that is nobody's of this program.
_LIBRARY = (*(_PATHS[name] for name in ("stdlib", "platstdlib", "purelib")), str(Path(__file__).resolve().parents[1]))


class Blocked(NamedTuple):
    """What blocked a loop."""

    #: The session, where one is known.
    culprit: str | None
    blocked_ms: int
    #: ``function (file:line)`` of the author's code that it is in.
    at: str
    #: The same of what called it, the innermost first.
    stack: list[str]


class _Watched:
    def __init__(self, loop: asyncio.AbstractEventLoop, blocked_s: float, tell: Callable[[Blocked], None]) -> None:
        self.loop, self.blocked_s, self.tell = loop, blocked_s, tell
        self.thread_id = threading.get_ident()
        self.beats = 0
        self.changed_s = time.monotonic()
        self.told = False
        self.timer: asyncio.TimerHandle | None = None
        self.beat()
        self.seen = self.beats

    def beat(self) -> None:
        self.beats += 1
        self.timer = self.loop.call_later(self.blocked_s / 8, self.beat)


class _Watchdog:
    """One thread for all loops of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: set[_Watched] = set()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, watched: _Watched) -> None:
        with self._lock:
            self._watched.add(watched)
            self._changed.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="parley-watchdog", daemon=True)
                self._thread.start()

    def remove(self, watched: _Watched) -> None:
        with self._lock:
            self._watched.discard(watched)
            self._changed.set()

    def _watch(self) -> None:
        while True:
            with self._lock:
                self._changed.clear()
                watched = list(self._watched)
                if not watched:
                    self._thread = None
                    return
            wait_s = min(one.blocked_s for one in watched) / 4
            before_s = time.monotonic()
            self._changed.wait(wait_s)
            now_s = time.monotonic()
            # Where this thread was held up itself, what came meanwhile is seen before anybody is judged.
            late = now_s - before_s > wait_s * 3
            for one in watched:
                self._look(one, now_s, late)

    def _look(self, one: _Watched, now_s: float, late: bool) -> None:
        if one.beats != one.seen or late:
            one.seen, one.changed_s, one.told = one.beats, now_s, False
            return
        silent_s = now_s - one.changed_s
        if one.told or silent_s < one.blocked_s:
            return
        frame = sys._current_frames().get(one.thread_id)
        if frame is None:
            return
        one.told = True
        frames = _frames(frame)
        at = next((place for place, own in frames if own), frames[0][0])
        stack = [place for place, _ in frames[:_FRAMES_MAX]]
        one.tell(Blocked(_culprit(one.loop), round(silent_s * 1000), at, stack))


_WATCHDOG = _Watchdog()


def watch_loop(blocked_ms: int, tell: Callable[[Blocked], None]) -> Callable[[], None]:
    """Watches the running loop. ``tell`` is called from another thread, once each time that the loop does nothing for
    ``blocked_ms``. Returns what ends it, to be called in the loop."""
    watched = _Watched(asyncio.get_running_loop(), blocked_ms / 1000, tell)
    _WATCHDOG.add(watched)

    def end() -> None:
        _WATCHDOG.remove(watched)
        if watched.timer is not None:
            watched.timer.cancel()

    return end


def _frames(frame: FrameType | None) -> list[tuple[str, bool]]:
    """Where the thread is, the innermost first, and whether that is the author's code."""
    found = []
    while frame is not None:
        code = frame.f_code
        own = not code.co_filename.startswith((*_LIBRARY, "<frozen"))
        found.append((f"{code.co_name} ({code.co_filename}:{frame.f_lineno})", own))
        frame = frame.f_back
    return found


def _culprit(loop: asyncio.AbstractEventLoop) -> str | None:
    """The session that the running task of a loop belongs to."""
    task = asyncio.current_task(loop)
    if task is None:
        return None
    if sys.version_info >= (3, 12):
        context: Context | None = task.get_context()
    else:
        # A task does not show its context before Python 3.12, but it refers to it.
        context = next((one for one in gc.get_referents(task) if isinstance(one, Context)), None)
    return None if context is None else context.get(RUNNING)
