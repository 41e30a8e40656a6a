"""Agents against a real control plane and the simulator."""

from __future__ import annotations

from house import TEXT, House

from parley import Agent, RealtimeSession


async def test_a_function_runs_with_its_types_and_answers(house: House) -> None:
    app = Agent("adder")

    @app.skill()
    async def add(a: int, b: int = 2) -> int:
        return a + b

    await house.serve(app)
    assert (await house.execute("adder.add", {"a": 40}))["output"] == 42
    refused = await house.execute("adder.add", {"a": "forty"})
    assert refused.get("status", "refused") != "succeeded"


async def test_a_handler_hears_turns_calls_functions_speaks_and_ends_the_session(house: House) -> None:
    app = Agent("desk")
    heard: list[str] = []

    @app.skill()
    def double(n: int) -> dict[str, int]:
        return {"doubled": n * 2}

    @app.session("voice", **TEXT)
    async def voice(session: RealtimeSession) -> None:
        async for turn in session:
            heard.append(turn.text)
            if turn.text == "bye":
                return
            found = await session.call("double", n=int(turn.text))
            spoken = await session.say(f"It is {found['doubled']}.")
            assert spoken == (False, f"It is {found['doubled']}.")

    await house.serve(app)
    session_id, client = await house.call("desk.voice")
    await house.until(session_id, "handler.attached")
    await client.type("21")
    assert await client.answer() == "It is 42."
    await client.type("bye")
    assert (await house.until(session_id, "session.closed"))["reason"] == "handler_completed"
    assert heard == ["21", "bye"]
