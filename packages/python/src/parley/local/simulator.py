"""The provider simulator as a child of this process, for whoever named none: a program of Node that needs no key.

P1  It ends with this process, however that ends: it lives as long as its stdin is open.
P2  All who want one share it; the last who gives it back ends it.
"""

from __future__ import annotations

import asyncio
import os
import queue
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from parley.errors import ParleyError
from parley.log import Log
from parley.version import VERSION

_START_S = 20.0
#: The first time npx has to fetch it.
_FETCH_S = 120.0
_END_S = 2.0
#: What an SDK says of itself that was not released: there is no package of that version.
_UNRELEASED = "0.0.0"
_CLI = Path("packages", "cli", "dist", "main.js")


class SimulatorLease:
    """A simulator in use, at ``url``; whoever is done with it gives it back."""

    def __init__(self, url: str, release: bool) -> None:
        #: Its base URL, as ``PARLEY_SIMULATOR_URL`` has it.
        self.url = url
        self._held = release

    def release(self) -> None:
        if self._held:
            self._held = False
            _SHARED.give_back()


class _Shared:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._running: _Child | None = None

    def take(self) -> str:
        """Blocks until it runs."""
        with self._lock:
            if self._running is None or not self._running.alive:
                self._running = _Child()
            self._users += 1
            return self._running.url

    def give_back(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users > 0 or self._running is None:
                return
            child, self._running = self._running, None
        # In a thread: whoever gives it back is an event loop, in which other calls go on.
        threading.Thread(target=child.end, name="parley-simulator", daemon=True).start()


class _Child:
    def __init__(self) -> None:
        command, patience_s = _command(os.environ)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C at a terminal is said to this process, which ends its call first.
            start_new_session=True,
        )
        self._said: deque[str] = deque(maxlen=20)
        first: queue.SimpleQueue[str] = queue.SimpleQueue()
        for stream, take in ((self._process.stdout, first.put), (self._process.stderr, self._said.append)):
            threading.Thread(target=_drain, args=(stream, take), daemon=True).start()
        try:
            line = first.get(timeout=patience_s).strip()
        except queue.Empty:
            line = ""
        if not line.startswith("http://"):
            self.end()
            why = self._said[-1].strip() if self._said else f"it said nothing within {patience_s:.0f} s"
            raise ParleyError("failed_precondition", f"the provider simulator did not start: {why}. {_INSTEAD}")
        self.url = f"{line}/v1"
        Log().debug("the provider simulator runs", pid=self._process.pid)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _drain(stream: IO[str] | None, take: object) -> None:
    if stream is None or not callable(take):
        return
    with stream:
        for line in stream:
            take(line)
    # Whoever waits for a first line hears that none comes.
    take("")


_SHARED = _Shared()
_INSTEAD = (
    "Set PARLEY_SIMULATOR_URL to one that runs elsewhere (`parley simulator`), or choose another provider, such as "
    "`--provider openai` with OPENAI_API_KEY."
)


async def lease_simulator(env: Mapping[str, str] | None = None) -> SimulatorLease:
    """The simulator that ``PARLEY_SIMULATOR_URL`` names; without it, one that is started as a child of this process.

    Raises ParleyError ``failed_precondition`` saying what to do.
    """
    given = os.environ if env is None else env
    named = given.get("PARLEY_SIMULATOR_URL")
    if named:
        return SimulatorLease(named, release=False)
    taking = asyncio.ensure_future(asyncio.to_thread(_SHARED.take))
    try:
        return SimulatorLease(await asyncio.shield(taking), release=True)
    except asyncio.CancelledError:
        # The thread goes on all the same, and nobody else would give back what it takes.
        taking.add_done_callback(_unwanted)
        raise


def _unwanted(taken: asyncio.Future[str]) -> None:
    if not taken.cancelled() and taken.exception() is None:
        _SHARED.give_back()


def _command(env: Mapping[str, str]) -> tuple[list[str], float]:
    """How it is started, and how many seconds that may take."""
    node = shutil.which("node")
    if node is None:
        words = f"calls without a key are held with the provider simulator, which needs Node 22.18 or later. {_INSTEAD}"
        raise ParleyError("failed_precondition", words)
    script = env.get("PARLEY_SIMULATOR_SCRIPT")
    if script and not os.access(script, os.R_OK):
        words = f"PARLEY_SIMULATOR_SCRIPT names {script}, which cannot be read"
        raise ParleyError("failed_precondition", words)
    arguments = ["simulator", "--port", "0", "--until-stdin-ends", *(["--script", script] if script else [])]
    built = _in_clone()
    if built is not None:
        return [node, str(built), *arguments], _START_S
    npx = shutil.which("npx")
    if npx is None or VERSION == _UNRELEASED:
        words = "calls without a key are held with the provider simulator, which is not built here"
        raise ParleyError("failed_precondition", f"{words}. {_INSTEAD}")
    # The version of this package: one version of everything is released together.
    return [npx, "--yes", f"parley@{VERSION}", *arguments], _FETCH_S


def _in_clone() -> Path | None:
    """The program in the repository that this file lies in, where it was built."""
    for folder in Path(__file__).resolve().parents:
        if (folder / "pnpm-workspace.yaml").is_file() and (folder / _CLI).is_file():
            return folder / _CLI
    return None
