"""The agent: what it can do, how it answers, and how it is started for each call.

python agent.py run --text           one call at this terminal
python agent.py serve --port 8000    many calls, over HTTP
"""

import re

from parley import Agent, AgentLauncher, RealtimeSession, Runner

STATES = {"42": "on its way", "43": "at the door"}

app = Agent("{{name}}")


@app.skill()
def find_order(order: str) -> dict[str, str]:
    """Finds out where an order is."""
    return {"state": STATES.get(order, "not known to us")}


# Another provider is one word: "openai", with its key in .env.
@app.session("voice", provider="simulator", transport="websocket")
async def voice(session: RealtimeSession) -> None:
    async for turn in session:
        order = re.search(r"\d+", turn.text)
        if order is None:
            await session.say("Which order do you mean?")
            continue
        found = await session.call(find_order, order=order.group())
        await session.say(f"Order {order.group()} is {found['state']}.")


async def join_call(agent: Agent, call_type: str, call_id: str) -> None:
    async with agent.join(agent.create_call(call_type, call_id)):
        await agent.finish()


launcher = AgentLauncher(
    create_agent=lambda: app, join_call=join_call, max_concurrent_sessions=10, max_sessions_per_call=1
)

if __name__ == "__main__":
    Runner(launcher).cli()
