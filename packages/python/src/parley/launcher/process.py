"""What runs in the process of one session.

P1  It ends with its launcher, however that ends: a thread reads what the launcher says, and the end of that is the end.
P2  Its end is seen by its launcher: what the session forked, and left behind, holds nothing of the launcher's.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import io
import json
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from parley.errors import ParleyError
from parley.log import LOGGER

from .isolate import Isolate, Report, TellingHandler
from .isolated_environment import declared_launcher
from .process_place import LENGTH, framed

#: The name that the program's file is loaded under, so that `if __name__ == "__main__"` does not run it.
_MAIN = "__parley_main__"


class _Pipe:
    """The launcher, over the stdin and stdout that this process began with; what the session prints goes to stderr."""

    def __init__(self) -> None:
        # Plain numbers: the lock of a file object, held by the thread that reads, would hang a process that is forked.
        self._in = os.dup(0)
        self._out = os.dup(1)
        self._lock = threading.Lock()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        # Line by line, as at a terminal: this process may be killed at any time.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)
        self._telling = TellingHandler(self.tell)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def log(self, level: int) -> None:
        """Log lines go to the launcher from here on."""
        LOGGER.addHandler(self._telling)
        LOGGER.setLevel(level)
        LOGGER.propagate = False

    def read(self) -> dict[str, Any]:
        """Blocks for the next order; the end of the launcher is the end of this process."""
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        order: dict[str, Any] = json.loads(self._exactly(length))
        return order

    def tell(self, report: Report) -> None:
        left = memoryview(framed(report))
        with self._lock:
            try:
                while left:
                    left = left[os.write(self._out, left) :]
            except BrokenPipeError:
                os._exit(1)

    def _exactly(self, count: int) -> bytes:
        came = bytearray()
        while len(came) < count:
            more = os.read(self._in, count - len(came))
            if not more:
                # At once: the session may block its loop, and nobody hears of it any more.
                os._exit(1)
            came += more
        return bytes(came)

    def _forked(self) -> None:
        """In a process that the session forked: it speaks for itself, on stderr (P2)."""
        os.close(self._in)
        os.close(self._out)
        LOGGER.removeHandler(self._telling)
        LOGGER.propagate = True


def main() -> None:
    pipe = _Pipe()
    load, first = pipe.read(), pipe.read()
    pipe.log(load["log_level"])
    try:
        asyncio.run(_session(pipe, load, first))
    except BaseException as failure:  # noqa: BLE001 - whatever it was, the launcher is told
        error = ParleyError.of(failure)
        pipe.tell({"type": "ended", "reason": "failed", "error": error.to_object()})
    # Threads that still run must not keep it.
    os._exit(0)


async def _session(pipe: _Pipe, load: Mapping[str, Any], first: Mapping[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    _load(load["module"])
    declared = declared_launcher(load["launcher"])
    if declared is None:
        words = (
            f"{load['module'].get('path') or load['module'].get('name')} made no AgentLauncher when it was loaded "
            "for an isolated session: make it at the top of the module, and call Runner.cli() below it"
        )
        raise ParleyError("failed_precondition", words)
    # How long it may be silent, and take to end, is its launcher's to say.
    isolate = Isolate(replace(declared.options, **load["options"]), declared.make, pipe.tell)

    def read() -> None:
        while True:
            loop.call_soon_threadsafe(isolate.take, pipe.read())

    # Before anything of it runs: one that is kept warm ends with its launcher too (P1).
    threading.Thread(target=read, daemon=True).start()
    await isolate.run(first)


def _load(module: Mapping[str, str]) -> None:
    if "name" in module:
        importlib.import_module(module["name"])
        return
    spec = importlib.util.spec_from_file_location(_MAIN, module["path"])
    if spec is None or spec.loader is None:
        raise ParleyError("failed_precondition", f"{module['path']} cannot be loaded as a module")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[_MAIN] = loaded
    spec.loader.exec_module(loaded)
