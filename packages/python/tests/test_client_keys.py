"""Requests of the client that may be repeated: sent again with the key that they had, and never without one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from parley import ParleyClient, ParleyError

Ask = Callable[[ParleyClient, "str | None"], Awaitable[Any]]

ASKED: dict[str, Ask] = {
    "start": lambda parley, key: parley.sessions.start("support.voice", idempotency_key=key),
    "say": lambda parley, key: parley.sessions.say("sess_1", "Welcome.", idempotency_key=key),
    "inject": lambda parley, key: parley.sessions.inject("sess_1", "late", respond=False, idempotency_key=key),
    "update": lambda parley, key: parley.sessions.update("sess_1", voice="cedar", idempotency_key=key),
    "tool": lambda parley, key: parley.sessions.tool("sess_1", "find", {}, idempotency_key=key),
    "turn": lambda parley, key: parley.sessions.turn("sess_1", text="hello", idempotency_key=key),
}


@asynccontextmanager
async def _refusing(keys: list[str | None]) -> AsyncIterator[str]:
    """A server whose every other answer is that it is not there; it keeps the keys that it was sent."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)}
        await reader.readexactly(int(headers.get("content-length", "0")))
        keys.append(headers.get("idempotency-key"))
        status = "503 Service Unavailable" if len(keys) % 2 == 1 else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("name", ASKED)
async def test_a_request_with_a_key_is_sent_again_with_it_and_one_without_is_not(name: str) -> None:
    keys: list[str | None] = []
    async with _refusing(keys) as url, ParleyClient(url) as parley:
        assert await ASKED[name](parley, "once") in ({}, None)
        assert keys == ["once", "once"]
        with pytest.raises(ParleyError) as refused:
            await ASKED[name](parley, None)
        assert refused.value.code == "unavailable"
        assert keys == ["once", "once", None]
