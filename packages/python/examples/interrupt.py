"""The user may speak over the agent; what was heard until then is known to the handler."""

from parley import Agent, RealtimeSession, Spoken

STORY = "Once upon a time there was a teapot that could not keep a secret, and this is what it told everybody."

app = Agent("interrupt")


@app.session("voice", provider="simulator", transport="websocket")
async def voice(session: RealtimeSession) -> None:
    told: Spoken | None = None
    async for _ in session:
        words = f"You stopped me after: {told.spoken_text}" if told and told.interrupted else STORY
        told = await session.say(words)


app.run()
