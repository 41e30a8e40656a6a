"""A process for one session. It loads the program's module again, and ``Runner`` does nothing there; what is said goes
over its stdin and stdout, in frames of JSON behind their length."""

from __future__ import annotations

import asyncio
import json
import os
import struct
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parley.errors import ParleyError
from parley.json_text import NotJson, dumps, plain
from parley.log import LOGGER

from .isolated_environment import ISOLATED
from .options import LauncherOptions
from .unit import UnitOrder

if TYPE_CHECKING:
    from .isolated import Hearing

LENGTH = struct.Struct(">I")
#: What the child reads first.
_PROGRAM = "import json,sys; sys.path[:]=json.loads(sys.argv[1]); from parley.launcher.process import main; main()"
#: What may wait for a child that does not read.
_BUFFERED_MAX = 16 * 1024 * 1024


def framed(message: Mapping[str, Any]) -> bytes:
    text = dumps(message).encode()
    return LENGTH.pack(len(text)) + text


class ProcessPlace:
    name = "process"

    def __init__(
        self,
        hearing: Hearing,
        options: LauncherOptions,
        launcher: int,
        simulator_url: Callable[[], Awaitable[str | None]],
    ) -> None:
        self._hearing = hearing
        self._options = options
        self._launcher = launcher
        self._simulator_url = simulator_url
        self._child: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: list[Mapping[str, Any]] = []
        self._begun = False
        self._killed = False

    def hand_to(self, hearing: Hearing) -> None:
        self._hearing = hearing

    async def prepare(self, configuration: Any) -> None:
        await self._open({"type": "prepare", "configuration": _said(configuration, "the configuration")})

    async def begin(self, order: UnitOrder) -> None:
        ready = {
            "input": _said(order.input, "input"),
            "metadata": _said(dict(order.metadata), "metadata"),
            "configuration": _said(order.configuration, "the configuration"),
        }
        try:
            principal = plain(order.principal, "the principal")
        except NotJson:
            # Whoever started it is known to the launcher; only the session in its process does without.
            principal = None
        begin = {"type": "begin", "order": {**asdict(order), **ready, "principal": principal}}
        if self._child is None:
            await self._open(begin)
        else:
            self._send(begin)
        if self._child is None:
            return
        self._begun = True
        for one in self._waiting:
            self._send(one)

    async def _open(self, first: Mapping[str, Any]) -> None:
        module = module_of(self._options.module)
        # One simulator serves all.
        url = await self._simulator_url()
        environment = {**os.environ, ISOLATED: "1", **({} if url is None else {"PARLEY_SIMULATOR_URL": url})}
        if self._killed:
            return
        self._child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _PROGRAM, json.dumps(sys.path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            # Ctrl-C at a terminal is said to the launcher, which drains.
            start_new_session=True,
        )
        self._reading = asyncio.get_running_loop().create_task(self._read(self._child))
        told = {"blocked_ms": self._options.blocked_ms, "close_ms": self._options.close_ms}
        load = {"type": "load", "module": module, "options": told, "launcher": self._launcher}
        self._send({**load, "log_level": LOGGER.getEffectiveLevel()})
        self._send(first)
        if self._killed:
            self._child.kill()

    def post(self, order: Mapping[str, Any]) -> None:
        if self._begun:
            self._send(order)
        else:
            self._waiting.append(order)

    async def kill(self) -> None:
        self._killed = True
        if self._child is None:
            return
        if self._child.returncode is None:
            self._child.kill()
        await self._child.wait()
        if self._reading is not None:
            await self._reading

    def _send(self, order: Mapping[str, Any]) -> None:
        assert self._child is not None
        pipe = self._child.stdin
        # One that is going is heard of by its end.
        if pipe is None or pipe.is_closing():
            return
        if pipe.transport.get_write_buffer_size() > _BUFFERED_MAX:
            self._hearing.crashed("it does not read what it is told")
            return
        pipe.write(framed(order))

    async def _read(self, child: asyncio.subprocess.Process) -> None:
        out = child.stdout
        assert out is not None
        try:
            while True:
                (length,) = LENGTH.unpack(await out.readexactly(LENGTH.size))
                self._hearing.report(json.loads(await out.readexactly(length)))
        except asyncio.IncompleteReadError:
            pass
        code = await child.wait()
        self._hearing.crashed(f"it was ended by signal {-code}" if code < 0 else f"it ended with {code}")


def _said(value: Any, what: str) -> Any:
    try:
        return plain(value, what)
    except NotJson as problem:
        raise ParleyError("invalid_argument", f"{problem}, so it cannot be given to a process") from problem


def module_of(given: str | Path | None) -> dict[str, str]:
    """What the process loads: a file, or a module by its name."""
    if given is not None:
        path = Path(given)
        if path.suffix == ".py":
            return {"path": str(path.resolve())}
        return {"name": str(given)}
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    # `python -m package` runs package.__main__, and `python -m module` the module.
    if spec is not None:
        return {"name": spec.name}
    path_of = getattr(main, "__file__", None)
    if path_of is None:
        words = "isolation by process needs `module`: the file that makes this launcher"
        raise ParleyError("failed_precondition", words)
    return {"path": str(Path(path_of).resolve())}
