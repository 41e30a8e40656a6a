"""The testee agent, by which this SDK proves how it behaves: see schemas/behaviour.md."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from parley import Agent, BlockingContext, Context, ParleyError, RealtimeSession, Spoken

app = Agent("testee")

SENTENCE = "one two three four five six seven eight nine ten"
TEXT: dict[str, Any] = {"provider": "simulator", "transport": "websocket", "modalities": ["text"]}
DEFAULT: dict[str, Any] = {"provider": "simulator", "transport": "websocket"}

#: Runs of `slow` that saw that they were cancelled, and runs of `wait` that began.
seen_cancelled = 0
waits_begun = 0


@app.skill()
async def echo(text: str) -> dict[str, str]:
    return {"text": text}


@app.reasoner()
async def nested(text: str, context: Context) -> dict[str, str]:
    context.note("asking", {"text": text})
    returned = await context.call(echo, text=text)
    return {"text": returned["text"], "by": "echo"}


@app.reasoner()
async def chain(target: str, context: Context) -> Any:
    return await context.call(target)


@app.skill(on_interrupt="cancel")
async def slow(context: Context) -> None:
    global seen_cancelled
    context.note("started")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        seen_cancelled += 1
        raise


@app.skill()
async def seen() -> dict[str, int]:
    return {"cancelled": seen_cancelled}


@app.skill()
async def wait(ms: int, context: Context) -> dict[str, int]:
    global waits_begun
    waits_begun += 1
    run = waits_begun
    context.note("started")
    await asyncio.sleep(ms / 1000)
    return {"ms": ms, "run": run}


@app.skill()
async def fail() -> None:
    raise ValueError("the kettle is empty")


@app.skill()
async def refuse() -> None:
    raise ParleyError("failed_precondition", "no kettle here", details={"kettle": 7})


@app.skill()
def block(ms: int, context: BlockingContext) -> dict[str, int]:
    context.note("started")
    time.sleep(ms / 1000)
    return {"ms": ms}


@app.skill()
async def big(bytes: int) -> dict[str, str]:
    return {"text": "x" * bytes}


app.session("tools", **TEXT, tools=["echo", "fail", "refuse", "slow"])


@app.session("parrot", **TEXT)
async def parrot(session: RealtimeSession) -> None:
    async for turn in session:
        if turn.text == "bye":
            return
        returned = await session.call("echo", text=turn.text)
        await session.say(returned["text"])


@app.session("workflow", **TEXT)
async def workflow(session: RealtimeSession) -> None:
    async for turn in session:
        returned = await session.call("nested", text=turn.text)
        await session.say(returned["text"])


@app.session("interrupt", **DEFAULT)
async def interrupt(session: RealtimeSession) -> None:
    last = Spoken(False, "")
    async for _ in session:
        words = f"cut after: {last.spoken_text}" if last.interrupted else " ".join([SENTENCE] * 3)
        last = await session.say(words)


@app.session("cancel", **TEXT)
async def cancel(session: RealtimeSession) -> None:
    async for turn in session:
        if turn.text == "work":
            async with turn:
                await session.call("slow")
        else:
            await session.say(f"heard {turn.text}")


@app.session("control", **TEXT)
async def control(session: RealtimeSession) -> None:
    async for turn in session:
        try:
            if turn.text == "update":
                await session.update(instructions="Be brief.")
                await session.say("updated")
            elif turn.text == "inject":
                await session.inject("ping", respond=True)
            elif turn.text == "close":
                await session.close("done here")
            elif turn.text == "fail":
                await told(session, session.call("fail"), "{0.code}: {0.message}")
            elif turn.text == "long":
                await told(session, session.say("x" * 16_385), "{0.code}")
            else:
                await session.say(f"metadata: {session.metadata.get('color', 'none')}")
        except ParleyError:
            # After the end of the session there is nothing left to say.
            if session.ended is None:
                raise


async def told(session: RealtimeSession, work: Any, words: str) -> None:
    """Says how something failed."""
    try:
        await work
    except ParleyError as error:
        await session.say(words.format(error))


@app.session("throws", **TEXT)
async def throws(session: RealtimeSession) -> None:
    await session.input()
    raise RuntimeError("the handler is broken")


@app.session("never", **TEXT)
async def never(session: RealtimeSession) -> None:
    await asyncio.Event().wait()


if __name__ == "__main__":
    app.run()
