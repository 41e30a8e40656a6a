"""Pull the cable while it brews: the work goes on, is done once, and its answer comes over the next link."""

import asyncio

from parley import Agent, Context, RealtimeSession

app = Agent("resume")


@app.skill()
async def brew(cups: int, context: Context) -> dict[str, int]:
    for cup in range(1, cups + 1):
        await asyncio.sleep(0.5)
        context.note(f"cup {cup}")
    return {"cups": cups}


@app.session("voice", provider="simulator", transport="websocket")
async def voice(session: RealtimeSession) -> None:
    async for turn in session:
        cups = int(turn.text) if turn.text.isdecimal() else 1
        answer = await session.call(brew, cups=cups)
        await session.say(f"Cups that are ready: {answer['cups']}.")


app.run()
