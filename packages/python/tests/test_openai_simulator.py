"""The simulator as a provider, with the `openai` package, unmodified: only the base URL is the simulator's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from house import Process
from openai import AsyncOpenAI


@pytest.fixture
def simulator() -> Iterator[Process]:
    process = Process("packages/cli/dist/main.js", "simulator")
    yield process
    process.end()


async def test_a_text_turn_is_answered_in_sound_and_words(simulator: Process) -> None:
    async with (
        AsyncOpenAI(api_key="any-key", base_url=f"{simulator.url}/v1", max_retries=0) as openai,
        openai.realtime.connect(model="gpt-realtime-2.1") as connection,
    ):
        await connection.session.update(session={"type": "realtime", "output_modalities": ["audio"]})
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "good morning"}]}
        )
        await connection.response.create()
        kinds: list[str] = []
        words = ""
        async for event in connection:
            kinds.append(event.type)
            if event.type == "response.output_audio_transcript.done":
                words = event.transcript
            if event.type == "response.done":
                break
        assert words == "You said: good morning"
        assert kinds[0] == "session.created"
        assert "session.updated" in kinds
        assert "response.output_audio.delta" in kinds
