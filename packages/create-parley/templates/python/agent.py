"""The agent: what it can do, and how it answers. ``python agent.py`` serves it at the control plane of PARLEY_URL."""

import re

from parley import Agent, RealtimeSession

STATES = {"42": "on its way", "43": "at the door"}

app = Agent("{{name}}")


@app.skill()
def find_order(order: str) -> dict[str, str]:
    """Finds out where an order is."""
    return {"state": STATES.get(order, "not known to us")}


# Another provider is one word: "openai", with its key at the control plane.
@app.session("voice", provider="simulator", transport="websocket")
async def voice(session: RealtimeSession) -> None:
    async for turn in session:
        order = re.search(r"\d+", turn.text)
        if order is None:
            await session.say("Which order do you mean?")
            continue
        found = await session.call(find_order, order=order.group())
        await session.say(f"Order {order.group()} is {found['state']}.")


if __name__ == "__main__":
    app.run()
