"""A handler answers each turn: it calls a skill and says what came back."""

from parley import Agent, RealtimeSession

app = Agent("echo")


@app.skill()
def repeat(text: str) -> dict[str, str]:
    return {"text": f"You said: {text}"}


@app.session("voice", provider="simulator", transport="websocket")
async def voice(session: RealtimeSession) -> None:
    async for turn in session:
        answer = await session.call(repeat, text=turn.text)
        await session.say(answer["text"])


app.run()
