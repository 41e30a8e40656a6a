"""The live model answers by itself, and may call the tools that the session names."""

from parley import Agent

app = Agent("tools")


@app.skill(description="Finds an order by its number.")
def find_order(order: str) -> dict[str, str]:
    return {"order": order, "spoken_response": f"Order {order} ships on Friday."}


app.session(
    "voice",
    provider="simulator",
    transport="websocket",
    instructions="Answer questions about orders. Use find_order, and say what it answers.",
    tools=["find_order"],
)
app.run()
