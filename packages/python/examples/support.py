"""The example agent. ``support.voice``: the live model answers and calls a tool. ``support.desk``: a handler answers.
Each call makes a workflow: session -> reasoner -> skill."""

import os
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from parley import Agent, Context, RealtimeSession


@dataclass
class Order:
    order: str
    item: str
    status: Literal["packed", "shipped", "delivered"]
    #: What the customer wants to hear.
    note: str


ORDERS = {
    one.order: one
    for one in (
        Order("42", "a walnut desk", "packed", "It ships on Friday."),
        Order("43", "a reading lamp", "shipped", "It arrives tomorrow."),
        Order("44", "two chairs", "delivered", "It was delivered on Monday."),
    )
}

app = Agent("support")


@app.skill(description="Reads one order from the order book.")
def find_order(order: str) -> Order | None:
    return ORDERS.get(order)


@app.reasoner(
    description="Looks up an order by its number and says in one sentence where it is.",
    timeout_ms=10_000,
    on_interrupt="cancel",
)
async def lookup_order(
    order: Annotated[str, Field(description="The number of the order, digits only.")], context: Context
) -> dict[str, Any]:
    number = re.sub(r"\D", "", order, flags=re.ASCII)
    found = await context.call(find_order, order=number)
    context.note("order found" if found else "no such order", {"order": number})
    sentence = f"Order {number} is {found['item']}. {found['note']}" if found else f"I cannot find an order {number}."
    return {"order": number, "found": found is not None, "spoken_response": sentence}


@app.reasoner(description="Answers one turn of a conversation.")
async def resolve_turn(text: str, context: Context) -> dict[str, str]:
    number = re.search(r"\d+", text, flags=re.ASCII)
    if number is None:
        return {"spoken_response": "Which order do you mean? Please tell me its number."}
    found = await context.call(lookup_order, order=number[0])
    return {"spoken_response": found["spoken_response"]}


provider = os.environ.get("PARLEY_EXAMPLE_PROVIDER") or "simulator"
transport = os.environ.get("PARLEY_EXAMPLE_TRANSPORT") or "websocket"

app.session(
    "voice",
    provider=provider,
    transport=transport,
    voice="marin",
    instructions="You answer questions about orders. Use lookup_order, and say what it answers.",
    tools=["support.lookup_order"],
)


@app.session("desk", provider=provider, transport=transport, voice="marin")
async def desk(session: RealtimeSession) -> None:
    async for turn in session:
        result = await session.call(resolve_turn, text=turn.text)
        await session.say(result["spoken_response"])


if __name__ == "__main__":
    app.run()
