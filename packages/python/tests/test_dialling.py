"""How a dial can end, and whether it is tried again."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest

from parley import Agent, ParleyError

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def dialled(url: str) -> ParleyError:
    """How an agent ends whose control plane refuses it for good."""
    agent = Agent("dialler").start(url=url, key="a-key-for-one-place", backoff_max_ms=300)
    with pytest.raises(ParleyError) as refused:
        await asyncio.wait_for(agent.stopped(), 20)
    return refused.value


async def test_a_redirect_is_a_refusal_and_nobody_else_is_asked() -> None:
    elsewhere: list[bytes] = []

    async def other(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        elsewhere.append(await head(reader))

    async with listening(other) as port:

        async def moved(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await head(reader)
            place = f"ws://localhost:{port}/api/v1/agent-link"
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()

        async with listening(moved) as first:
            error = await dialled(f"ws://127.0.0.1:{first}")
    assert (error.code, error.retryable) == ("failed_precondition", False)
    assert "HTTP 302" in error.message
    assert elsewhere == []


@pytest.mark.parametrize("in_seconds", [True, False])
async def test_a_peer_says_when_to_come_back_in_seconds_or_by_the_clock(in_seconds: bool) -> None:
    """The next try would come within 300 ms otherwise."""
    loop = asyncio.get_running_loop()
    came: list[float] = []
    date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=3), usegmt=True)

    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        came.append(loop.time())
        status, after = ("503 Busy", "2" if in_seconds else date) if len(came) == 1 else ("403 No", "0")
        writer.write(f"HTTP/1.1 {status}\r\nRetry-After: {after}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    async with listening(busy) as port:
        error = await dialled(f"ws://127.0.0.1:{port}")
    assert error.code == "permission_denied"
    assert came[1] - came[0] > 1


async def test_a_tls_handshake_that_is_cut_is_tried_again_and_a_wrong_certificate_is_not(tmp_path: Path) -> None:
    own = certified(tmp_path)
    cuts = 0

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silent, own) as secure:

        async def front(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal cuts
            if cuts < 2:
                # It says hello, and the other end is gone in good order: a balancer without anybody behind it.
                await reader.read(65_536)
                cuts += 1
                return
            far = await asyncio.open_connection("127.0.0.1", secure)
            await asyncio.gather(carry(reader, far[1]), carry(far[0], writer), return_exceptions=True)

        async with listening(front) as port:
            error = await dialled(f"wss://127.0.0.1:{port}")
    assert cuts == 2
    assert (error.code, error.retryable) == ("unavailable", False)
    assert "certificate" in error.message.lower()


def certified(folder: Path) -> ssl.SSLContext:
    """A certificate that nobody trusts."""
    pem, key = folder / "cert.pem", folder / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*make, "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(pem, key)
    return own


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def test_a_peer_that_does_not_speak_tls_is_told_at_once() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with listening(plain) as port:
        error = await dialled(f"wss://127.0.0.1:{port}")
    assert (error.code, error.retryable) == ("unavailable", False)
