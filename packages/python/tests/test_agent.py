"""Agents against a real control plane and the simulator."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from house import TEXT, Cable, House, Plane, Process

from parley import (
    Agent,
    BlockingContext,
    BlockingSession,
    Context,
    ParleyClient,
    ParleyError,
    RealtimeSession,
    turn_sound,
)


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


async def test_a_plain_def_runs_in_a_thread_and_holds_up_nobody(house: House) -> None:
    app = Agent("blocker")
    let_go = threading.Event()

    @app.skill()
    def block() -> str:
        let_go.wait(10)
        return "done"

    @app.skill()
    async def quick(context: Context) -> str:
        return context.execution_id

    @app.reasoner()
    def both(context: BlockingContext) -> list[str]:
        context.note("calling")
        return [context.call("quick")[:5], context.call(block)]

    await house.serve(app)
    waiting = asyncio.ensure_future(house.execute("blocker.both"))
    for _ in range(3):
        assert (await house.execute("blocker.quick"))["status"] == "succeeded"
    assert not waiting.done()
    let_go.set()
    assert (await waiting)["output"] == ["exec_", "done"]


async def test_a_blocking_handler_hears_and_speaks_without_await(house: House) -> None:
    app = Agent("blockingdesk")

    @app.session("voice", **TEXT)
    def voice(session: BlockingSession) -> None:
        for turn in session:
            if turn.text == "bye":
                return
            session.say(f"heard {turn.text}")

    await house.serve(app)
    session_id, client = await house.call("blockingdesk.voice")
    await house.until(session_id, "handler.attached")
    await client.type("one")
    assert await client.answer() == "heard one"
    await client.type("bye")
    assert (await house.until(session_id, "session.closed"))["reason"] == "handler_completed"


async def test_a_cancelled_execution_cancels_its_task_and_what_it_called(house: House) -> None:
    app = Agent("canceller")
    ended: list[str] = []
    started = asyncio.Event()

    @app.skill()
    async def inner() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("inner")

    @app.reasoner()
    async def outer(context: Context) -> None:
        try:
            await context.call(inner)
        finally:
            ended.append("outer")

    handle = await house.serve(app)
    async with ParleyClient(house.url) as parley:
        run = await parley.executions.execute_async("canceller.outer")
        await asyncio.wait_for(started.wait(), 10)
        await parley.executions.cancel(run["execution_id"], "enough")
        assert (await parley.executions.wait(run["execution_id"]))["status"] == "cancelled"
    await handle.drain()
    assert sorted(ended) == ["inner", "outer"]


async def test_what_is_cancelled_before_it_begins_gives_its_place_back(house: House) -> None:
    app = Agent("early", executions_max=1)
    let_go = asyncio.Event()

    @app.skill()
    async def work() -> str:
        await let_go.wait()
        return "done"

    handle = await house.serve(app)
    async with ParleyClient(house.url) as parley:
        runs = [await parley.executions.execute_async("early.work") for _ in range(3)]
        for run in runs[:2]:
            await parley.executions.cancel(run["execution_id"])
            assert (await parley.executions.wait(run["execution_id"]))["status"] == "cancelled"
        let_go.set()
        assert (await parley.executions.wait(runs[2]["execution_id"]))["status"] == "succeeded"
    await handle.drain()


async def test_a_function_that_takes_too_long_is_timed_out(house: House) -> None:
    app = Agent("late")

    @app.skill(timeout_ms=50)
    async def sleep() -> None:
        await asyncio.Event().wait()

    await house.serve(app)
    async with ParleyClient(house.url) as parley:
        assert (await parley.executions.execute("late.sleep"))["status"] == "timed_out"


async def test_the_user_who_speaks_again_cancels_the_block_of_the_turn(house: House) -> None:
    app = Agent("patient")
    heard: list[str] = []
    working, stopped = asyncio.Event(), asyncio.Event()

    @app.skill()
    async def think() -> None:
        working.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    @app.session("voice", **TEXT)
    async def voice(session: RealtimeSession) -> None:
        async for turn in session:
            async with turn:
                if turn.text == "think":
                    await session.call(think)
                await session.say(f"heard {turn.text}")
            heard.append(f"{turn.text} {turn.interrupted}")

    await house.serve(app)
    session_id, client = await house.call("patient.voice")
    await house.until(session_id, "handler.attached")
    await client.type("think")
    await asyncio.wait_for(working.wait(), 10)
    await client.type("hello")
    assert await client.answer() == "heard hello"
    await asyncio.wait_for(stopped.wait(), 10)
    assert heard[0] == "think True"


async def test_a_handler_that_raises_fails_its_session_and_no_other(house: House) -> None:
    app = Agent("clumsy")

    @app.session("voice", **TEXT)
    async def voice(session: RealtimeSession) -> None:
        turn = await session.input()
        if turn.text == "drop":
            raise ValueError("no idea what to say")
        await session.say("still here")

    await house.serve(app)
    first, one = await house.call("clumsy.voice")
    second, two = await house.call("clumsy.voice")
    await house.until(first, "handler.attached")
    await house.until(second, "handler.attached")
    await one.type("drop")
    closed = await house.until(first, "session.closed")
    assert closed["reason"] == "handler_failed"
    assert "no idea what to say" in closed["error"]["message"]
    await two.type("go on")
    assert await two.answer() == "still here"


async def test_a_handler_that_never_returns_is_cancelled_after_its_session(house: House) -> None:
    app = Agent("stuck")
    cancelled = asyncio.Event()

    @app.session("voice", **TEXT)
    async def voice(session: RealtimeSession) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    handle = await house.serve(app, cancel_ms=50)
    session_id, _ = await house.call("stuck.voice")
    await house.until(session_id, "handler.attached")
    async with ParleyClient(house.url) as parley:
        await parley.sessions.close(session_id, "done here")
    await asyncio.wait_for(cancelled.wait(), 10)
    await handle.drain()
    assert handle.status.phase == "stopped"


async def test_a_result_and_a_call_survive_a_cut_link(house: House, cable: Cable) -> None:
    app = Agent("resumer")
    let_go, begun = asyncio.Event(), asyncio.Event()
    runs = 0

    @app.skill()
    async def inner() -> int:
        nonlocal runs
        runs += 1
        begun.set()
        await let_go.wait()
        return runs

    @app.reasoner()
    async def outer(context: Context) -> Any:
        return await context.call(inner)

    await house.serve(app, url=cable.url)
    waiting = asyncio.ensure_future(house.execute("resumer.outer"))
    await asyncio.wait_for(begun.wait(), 10)
    cable.cut()
    let_go.set()
    answer = await waiting
    assert (answer["status"], answer["output"], runs) == ("succeeded", 1, 1)
    assert cable.accepted >= 2


async def test_a_handler_goes_on_after_a_cut_link(house: House, cable: Cable) -> None:
    app = Agent("resumingdesk")

    @app.session("voice", **TEXT)
    async def voice(session: RealtimeSession) -> None:
        async for turn in session:
            await session.say(f"heard {turn.text}")

    await house.serve(app, url=cable.url)
    session_id, client = await house.call("resumingdesk.voice")
    await house.until(session_id, "handler.attached")
    await client.type("one")
    assert await client.answer() == "heard one"
    cable.cut()
    await client.type("two")
    assert await client.answer() == "heard two"


async def test_a_drained_agent_finishes_its_work_and_takes_no_more(house: House) -> None:
    app = Agent("leaver")
    let_go, begun = asyncio.Event(), asyncio.Event()

    @app.skill()
    async def work() -> str:
        begun.set()
        await let_go.wait()
        return "done"

    handle = await house.serve(app)
    waiting = asyncio.ensure_future(house.execute("leaver.work"))
    await asyncio.wait_for(begun.wait(), 10)
    draining = asyncio.ensure_future(handle.drain())
    await asyncio.sleep(0)
    assert str(handle.status.phase) == "draining"
    let_go.set()
    assert (await waiting)["output"] == "done"
    await draining
    assert handle.status.phase == "stopped"


async def test_a_caller_that_waits_holds_no_place(house: House) -> None:
    app = Agent("full", executions_max=1)

    @app.skill()
    async def inner() -> str:
        return "done"

    @app.reasoner()
    async def work(context: Context) -> Any:
        return await context.call(inner)

    await house.serve(app)
    async with ParleyClient(house.url) as parley:
        runs = [await parley.executions.execute_async("full.work") for _ in range(3)]
        for run in runs:
            assert (await parley.executions.wait(run["execution_id"]))["status"] == "succeeded"


async def test_a_refusal_for_good_ends_the_agent(simulator: Process) -> None:
    guarded = Plane(simulator, PARLEY_KEY="pk_secret_secret_secret_secret")
    try:
        handle = Agent("stranger").start(url=guarded.url, key="wrong")
        with pytest.raises(ParleyError) as refused:
            await handle.ready()
        assert refused.value.code == "unauthenticated"
        assert "wrong" not in str(refused.value)
    finally:
        guarded.end()


async def test_the_client_starts_follows_and_closes_a_session(house: House) -> None:
    app = Agent("followed")
    app.session("voice", **TEXT)
    await house.serve(app)
    async with ParleyClient(house.url) as parley:
        assert "followed" in [one["agent"] for one in await parley.agents()]
        session_id, client = await house.call("followed.voice")
        await client.ask("hello")
        await client.answer()
        await parley.sessions.close(session_id, "done here")
        kinds = [event["type"] async for event in parley.sessions.tail(session_id)]
        assert (kinds[0], kinds[-1]) == ("session.created", "session.closed")
        with pytest.raises(ParleyError) as missing:
            await parley.sessions.start("nobody.voice")
        assert missing.value.code == "not_found"


async def test_a_registration_that_is_too_large_ends_the_agent_with_its_size(plane: Plane, simulator: Process) -> None:
    app = Agent("giant")
    instructions = "x" * 65_000
    for i in range(260):
        app.session(f"voice_{i}", **TEXT, instructions=instructions)
    handle = app.start(url=plane.url, backoff_min_ms=20, backoff_max_ms=100)
    with pytest.raises(ParleyError, match=r"does not take a first frame of 1[67]\d{6} bytes") as refused:
        await handle.stopped()
    assert (refused.value.code, refused.value.retryable) == ("resource_exhausted", False)

    roomy = Plane(simulator, PARLEY_LIMITS="agent_frame_bytes_max=33554432")
    try:
        handle = app.start(url=roomy.url)
        await handle.ready()
        await handle.stop()
    finally:
        roomy.end()


async def test_the_client_says_whole_turns_and_hears_the_answers(house: House) -> None:
    app = Agent("turns")
    app.session("voice", provider="simulator", transport="audio_turns")
    await house.serve(app)
    async with ParleyClient(house.url) as parley:
        session_id = (await parley.sessions.start("turns.voice"))["session_id"]
        typed = await parley.sessions.turn(session_id, text="hello")
        sound = turn_sound(typed)
        assert typed["text"] == "You said: hello"
        assert sound is not None
        assert sound[:4] == b"RIFF"
        # What the model said is what the user says next: the words are in the sound.
        spoken = await parley.sessions.turn(session_id, audio=sound, reply_format="none")
        assert spoken["text"] == f"You said: {spoken['user_text']}"
        assert turn_sound(spoken) is None
        with pytest.raises(ParleyError) as wrong:
            await parley.sessions.turn(session_id, audio=b"no sound")
        assert wrong.value.code == "invalid_argument"
