"""The launches of a launcher: those that wait or run, and for a while the sessions of those that ended.

P1  Whatever is kept of an ended session goes with it: its key, and the timer that forgets it.
"""

from __future__ import annotations

import asyncio

from .launch import Launch
from .session import LaunchedSession


class Roster:
    def __init__(self, *, retain_ms: int, retain_max: int) -> None:
        self._retain_s = retain_ms / 1000
        self._retain_max = retain_max
        self._open: dict[str, Launch] = {}
        #: Of launches that are open or have ended, in the order of their starts.
        self._sessions: dict[str, LaunchedSession] = {}
        #: When a session that ended is forgotten; the one that ended first is the first.
        self._ended: dict[str, asyncio.TimerHandle] = {}
        self._keys: dict[str, LaunchedSession] = {}
        #: The key that a session was started with.
        self._key_of: dict[str, str] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        """Launches that wait or run."""
        return len(self._open)

    def open(self) -> list[Launch]:
        """Those that wait or run, as they are now."""
        return list(self._open.values())

    def launch(self, session_id: str) -> Launch | None:
        """One that waits or runs."""
        return self._open.get(session_id)

    def session(self, session_id: str) -> LaunchedSession | None:
        """One that waits, runs, or ended not long ago."""
        return self._sessions.get(session_id)

    def sessions(self) -> list[LaunchedSession]:
        """All of them, in the order of their starts."""
        return list(self._sessions.values())

    def started_with(self, key: str) -> LaunchedSession | None:
        return self._keys.get(key)

    def add(self, launch: Launch, key: str | None) -> None:
        session = launch.session
        # One of this id that ended is this one now: its timer must not take it away.
        self._forget(session.id)
        self._open[session.id] = launch
        self._sessions[session.id] = session
        self._empty.clear()
        if key is not None:
            self._keys[key] = session
            self._key_of[session.id] = key

    def end(self, launch: Launch) -> None:
        """It can be read until it is forgotten."""
        session_id = launch.session.id
        del self._open[session_id]
        loop = asyncio.get_running_loop()
        self._ended[session_id] = loop.call_later(self._retain_s, self._forget, session_id)
        if len(self._ended) > self._retain_max:
            self._forget(next(iter(self._ended)))
        if not self._open:
            self._empty.set()

    async def empty(self) -> None:
        """Returns when nothing waits or runs."""
        await self._empty.wait()

    def close(self) -> None:
        """Nothing is forgotten from now on, and no timer is left."""
        for timer in self._ended.values():
            timer.cancel()

    def _forget(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)
        timer = self._ended.pop(session_id, None)
        if timer is not None:
            timer.cancel()
        key = self._key_of.pop(session_id, None)
        if key is not None:
            del self._keys[key]
