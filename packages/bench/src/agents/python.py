"""The agent of `bench languages` in Python: FUNCTIONS skills and SESSIONS sessions besides the echo that is called.

Prints `ready` once the control plane has registered all of them.
"""

import asyncio
import gc
import logging
import os

from parley import Agent, RealtimeSession

app = Agent("bench")


@app.skill()
async def echo(text: str) -> dict[str, str]:
    return {"text": text}


def finder(name: str) -> None:
    @app.skill(name, description="Finds an order.")
    async def find(order: str) -> dict[str, str]:
        return {"order": order}


def voice(name: str) -> None:
    @app.session(name, provider="openai", transport="websocket", model="bench", voice="marin", tools=["echo"])
    async def handle(session: RealtimeSession) -> None:
        async for turn in session:
            await session.say(turn.text)


async def main() -> None:
    for i in range(int(os.environ["FUNCTIONS"])):
        finder(f"find_{i}")
    for i in range(int(os.environ["SESSIONS"])):
        voice(f"voice_{i}")
    handle = app.start()
    await handle.ready()
    # What is asked for is what declarations hold, not what making them left behind.
    gc.collect()
    print("ready", flush=True)
    await handle.stopped()


logging.basicConfig(level=logging.WARNING)
asyncio.run(main())
