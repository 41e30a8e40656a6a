"""The whole house on this machine: a simulator, a control plane, agents, and a bare client of a session."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from parley import Agent, AgentHandle

ROOT = Path(__file__).resolve().parents[3]

#: Answers in words only, so that nothing is waited for that would have to be heard.
TEXT: dict[str, Any] = {"provider": "simulator", "transport": "websocket", "modalities": ["text"]}


async def until(condition: Callable[[], object], within_s: float = 30) -> None:
    """Returns when the condition holds: for what other processes do, of which nobody is told."""
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, "it did not come about"
        await asyncio.sleep(0.01)


def runs(pid: int) -> bool:
    """Whether there is such a process, and it is not only a name that nobody has asked for yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(") ", 1)[1][0]
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    # One that nobody waited for is over all the same.
    return state != "Z"


class Process:
    """A program of the house that prints its address on stdout."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            ["node", *arguments],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        out: IO[str] | None = self._process.stdout
        assert out is not None
        self.url = out.readline().strip()
        if not self.url.startswith("http://"):
            self.end()
            raise AssertionError(f"{arguments} did not start; it said: {self.url!r}")

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Plane(Process):
    """A control plane without a file."""

    def __init__(self, simulator: Process, **env: str) -> None:
        own = {"PARLEY_PORT": "0", "PARLEY_DATA": ":memory:", "PARLEY_SIMULATOR_URL": f"{simulator.url}/v1"}
        super().__init__("apps/server/dist/main.js", env={**own, **env})


class Client:
    """A client of a session, bare."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def type(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self._send({"type": "conversation.item.create", "item": item})

    async def ask(self, text: str) -> None:
        """Says a text and asks for an answer."""
        await self.type(text)
        await self._send({"type": "response.create"})

    async def next(self, kind: str) -> dict[str, Any]:
        while True:
            frame: dict[str, Any] = json.loads(await self._socket.recv())
            if frame["type"] == kind:
                return frame

    async def answer(self) -> str:
        """What the model said in its next answer that has words."""
        return str((await self.next("response.output_text.done"))["text"])

    async def close(self) -> None:
        await self._socket.close()

    async def _send(self, frame: object) -> None:
        await self._socket.send(json.dumps(frame))


class Cable:
    """A TCP connection through which an agent reaches the control plane, and which can be cut."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = parts.hostname or "", parts.port or 0
        self._ends: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        #: Connections so far.
        self.accepted = 0
        self.url = ""

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Cuts every connection: no goodbye in either direction."""
        for end in self._ends:
            end.transport.abort()

    async def close(self) -> None:
        self.cut()
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        ends = {writer, far_writer}
        self._ends |= ends
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._ends -= ends
            for end in ends:
                end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    except OSError:
        # The other end is gone: so is this one.
        return
    finally:
        writer.close()


class House:
    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.AsyncClient(base_url=url, timeout=20, trust_env=False)
        self._handles: list[AgentHandle] = []
        self._clients: list[Client] = []

    async def serve(self, agent: Agent, **options: Any) -> AgentHandle:
        """Serves an agent until the house is closed."""
        handle = agent.start(**{"url": self.url, "backoff_min_ms": 20, "backoff_max_ms": 100, **options})
        self._handles.append(handle)
        await handle.ready()
        return handle

    async def call(self, target: str, **body: Any) -> tuple[str, Client]:
        """Starts a session and joins it."""
        answer = await self.http.post(f"/api/v1/sessions/{target}/start", json=body)
        assert answer.status_code == 201, answer.text
        session = answer.json()
        socket = await connect(
            self.url.replace("http", "ws", 1) + session["urls"]["realtime"],
            subprotocols=[Subprotocol("realtime"), Subprotocol(f"parley.token.{session['client_token']}")],
            proxy=None,
        )
        client = Client(socket)
        self._clients.append(client)
        await client.next("session.created")
        return session["session_id"], client

    async def execute(self, target: str, input: Any = None) -> dict[str, Any]:
        answer = await self.http.post(f"/api/v1/execute/{target}", json={"input": {} if input is None else input})
        body: dict[str, Any] = answer.json()
        return body

    async def until(self, session_id: str, kind: str) -> dict[str, Any]:
        """The first entry of this type in the log, seen already or to come."""
        path = f"/api/v1/sessions/{session_id}/events"
        async with self.http.stream("GET", path, headers={"accept": "text/event-stream"}) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    event: dict[str, Any] = json.loads(line[6:])
                    if event.get("type") == kind:
                        return event
        raise AssertionError(f"the log of {session_id} ended without {kind}")

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        for handle in self._handles:
            if handle.status.phase != "stopped":
                handle.leave(now=True)
                handle.leave(now=True)
                await handle.stopped()
        await self.http.aclose()
