"""Lines that are typed, read beside the event loop."""

from __future__ import annotations

import asyncio
import codecs
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator

#: Lines that were typed and not said yet; the rest waits where it comes from.
_WAITING_MAX = 64


async def typed_lines() -> AsyncIterator[str]:
    """Lines of stdin, without their ends, until it ends."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue(_WAITING_MAX)

    def read() -> None:
        try:
            for line in _lines_of(sys.stdin.fileno()):
                asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()
            asyncio.run_coroutine_threadsafe(lines.put(None), loop).result()
        except (RuntimeError, asyncio.CancelledError, ValueError, OSError):
            # The call ended first, and its loop with it.
            return

    # A daemon: a terminal at which nobody types must not hold up the end.
    threading.Thread(target=read, name="parley-stdin", daemon=True).start()
    while True:
        line = await lines.get()
        if line is None:
            return
        yield line


def _lines_of(file: int) -> Iterator[str]:
    # Not through sys.stdin: at the end of the program nobody may hold its lock.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    while chunk := os.read(file, 8192):
        *whole, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from (line.rstrip("\r") for line in whole)
    if rest:
        yield rest
