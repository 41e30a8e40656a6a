"""The OpenAI door, with the `openai` package, unmodified: only the base URL and the key are Parley's."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from house import ROOT, House, Plane, Process
from openai import AsyncOpenAI, AuthenticationError, BadRequestError, NotFoundError
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.exceptions import ConnectionClosedError

from parley import Agent

KEY = "a-key-of-thirty-two-characters-0"
SCRIPT = {
    "rules": [
        {
            "heard": "order (\\d+)",
            "call": {"name": "find_order", "arguments": {"order": "$1"}},
            "then": "Order $1 ships on {{output.day}}.",
        },
        {"heard": "story", "say": "Once upon a time there was a parcel that travelled through seven countries. " * 3},
    ],
    "otherwise": "You said: {{heard}}",
}
#: Text as sound and back, by the coder of the simulator.
ENCODE = """
const { encodeSpeech } = await import('@parley/simulator/speech');
const pcm = await encodeSpeech(process.argv[1]);
process.stdout.write(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).toString('base64'), () => process.exit());
"""
DECODE = """
const { decodeSpeech } = await import('@parley/simulator/speech');
const { readFileSync } = await import('node:fs');
const bytes = Buffer.from(readFileSync(0, 'utf8'), 'base64');
const pcm = new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
process.stdout.write(await decodeSpeech(pcm, 24000), () => process.exit());
"""


def node(program: str, *arguments: str, stdin: str = "") -> str:
    command = ["node", "--input-type=module", "-e", program, *arguments]
    ended = subprocess.run(
        command, cwd=ROOT / "packages/cli", input=stdin, capture_output=True, text=True, check=True, timeout=30
    )
    return ended.stdout


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A control plane that asks for a key, in front of a model that calls a tool."""
    script: Path = tmp_path_factory.mktemp("door") / "script.json"
    script.write_text(json.dumps(SCRIPT))
    simulator = Process("packages/cli/dist/main.js", "simulator", "--script", str(script))
    plane = Plane(simulator, PARLEY_KEY=KEY)
    yield plane
    plane.end()
    simulator.end()


class Door:
    """What a test of the door has in hand."""

    def __init__(self, openai: AsyncOpenAI, house: House) -> None:
        self.openai = openai
        self.house = house
        #: Orders that the tool was asked for, on the server.
        self.found: list[str] = []


@pytest.fixture
async def door(locked: Plane) -> AsyncIterator[Door]:
    house = House(locked.url)
    house.http.headers["authorization"] = f"Bearer {KEY}"
    agent = Agent("support")
    async with AsyncOpenAI(api_key=KEY, base_url=f"{locked.url}/v1", max_retries=0) as openai:
        door = Door(openai, house)

        @agent.skill()
        def find_order(order: str) -> dict[str, str]:
            door.found.append(order)
            return {"day": "Monday"}

        agent.session("voice", provider="simulator", transport="websocket", tools=["find_order"])
        await house.serve(agent, key=KEY)
        yield door
        await house.close()


async def until(connection: AsyncRealtimeConnection, kind: str) -> Any:
    while True:
        event = await connection.recv()
        if event.type == kind:
            return event


async def ask(connection: AsyncRealtimeConnection, text: str) -> None:
    await connection.conversation.item.create(
        item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    )
    await connection.response.create()


async def test_a_text_turn_is_answered_and_its_tool_runs_on_the_server(door: Door) -> None:
    async with door.openai.realtime.connect(model="support.voice") as connection:
        created = await until(connection, "session.created")
        assert created.session.model == "support.voice"
        await connection.session.update(session={"type": "realtime", "instructions": "Be mine."})
        updated = await until(connection, "session.updated")
        assert updated.session.to_dict() == created.session.to_dict()
        await ask(connection, "order 7")
        spoken = await until(connection, "response.output_audio_transcript.done")
        assert spoken.transcript == "Order 7 ships on Monday."
        assert door.found == ["7"]
        session_id = created.session.to_dict()["id"]
    ended = await door.house.until(str(session_id), "session.closed")
    assert ended["reason"] == "client_left"


async def test_a_spoken_turn_is_answered_in_sound_and_speech_over_an_answer_cuts_it(door: Door) -> None:
    async with door.openai.realtime.connect(model="support.voice") as connection:
        await until(connection, "session.created")
        await connection.input_audio_buffer.append(audio=node(ENCODE, "order 8"))
        sound = b""
        while (event := await connection.recv()).type != "response.output_audio_transcript.done":
            if event.type == "response.output_audio.delta":
                sound += base64.b64decode(event.delta)
        assert event.transcript == "Order 8 ships on Monday."
        while event.type != "response.done":
            event = await connection.recv()
            if event.type == "response.output_audio.delta":
                sound += base64.b64decode(event.delta)
        assert node(DECODE, stdin=base64.b64encode(sound).decode()) == "Order 8 ships on Monday."

        await ask(connection, "tell me a story")
        delta = await until(connection, "response.output_audio.delta")
        await connection.input_audio_buffer.append(audio=node(ENCODE, "stop"))
        await until(connection, "input_audio_buffer.speech_started")
        await connection.conversation.item.truncate(item_id=delta.item_id, content_index=0, audio_end_ms=100)
        await until(connection, "conversation.item.truncated")


async def test_a_client_secret_opens_its_target_and_nothing_else(door: Door) -> None:
    made = await door.openai.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60}, session={"type": "realtime", "model": "support.voice"}
    )
    assert made.value.startswith("ek_")
    page = door.openai.with_options(api_key=made.value)
    async with page.realtime.connect(model="support.voice") as connection:
        await until(connection, "session.created")
        await ask(connection, "hello")
        assert (await until(connection, "response.output_audio_transcript.done")).transcript == "You said: hello"
    refused = await door.house.http.get("/api/v1/sessions", headers={"authorization": f"Bearer {made.value}"})
    assert refused.status_code == 403


async def test_what_goes_wrong_has_the_shapes_that_the_package_parses(door: Door) -> None:
    async with door.openai.realtime.connect(model="support.fax") as connection:
        error = await until(connection, "error")
        assert error.error.code == "model_not_found"
        with pytest.raises(ConnectionClosedError, match="model_not_found"):
            await connection.recv()
    stranger = door.openai.with_options(api_key="sk-wrong")
    async with stranger.realtime.connect(model="support.voice") as connection:
        assert (await until(connection, "error")).error.code == "invalid_api_key"
    with pytest.raises(AuthenticationError):
        await stranger.realtime.client_secrets.create()
    with pytest.raises(NotFoundError) as unknown:
        await door.openai.realtime.client_secrets.create(session={"type": "realtime", "model": "support.fax"})
    assert unknown.value.code == "model_not_found"
    with pytest.raises(BadRequestError) as late:
        await door.openai.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 1}, session={"type": "realtime", "model": "support.voice"}
        )
    assert late.value.param == "expires_after.seconds"
    with pytest.raises(NotFoundError) as no_call:
        await door.openai.realtime.calls.hangup("rtc_unknown")
    assert no_call.value.code == "call_id_not_found"
