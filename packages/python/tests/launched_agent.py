"""An agent whose calls end in every way; the tests run it as a program, and load it for sessions in processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

from parley import Agent, AgentLauncher, LaunchContext, Notice, RealtimeSession, Runner, ServeOptions

app = Agent("desk")
said_goodbye: dict[str, asyncio.Event] = {}


@app.skill()
def find_order(order: str) -> dict[str, str]:
    """Finds out where an order is."""
    return {"state": "on its way"}


@app.session("voice", provider="simulator", transport="websocket", modalities=["text"])
async def voice(session: RealtimeSession) -> None:
    async for turn in session:
        if turn.text == "bye":
            return
        found = await session.call(find_order, order=turn.text)
        await session.say(f"{turn.text} is {found['state']}")


def blocks_everything() -> None:
    time.sleep(600)


def say_pid(path: Path) -> None:
    path.write_text(str(os.getpid()), encoding="utf-8")


def forks(path: Path) -> None:
    """Leaves a process that has all that this one had open."""
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
        os._exit(0)
    path.write_text(str(pid), encoding="utf-8")


def counts_for_ever() -> None:
    count = 0
    while True:
        count += 1


async def join_call(agent: Agent, call_type: str, call_id: str, session: LaunchContext) -> None:
    if call_id.startswith("call"):
        async with agent.join(agent.create_call(call_type, call_id)):
            await agent.finish()
        return
    if call_id == "throws":
        raise RuntimeError("the line is cut")
    session.joined()
    print(f"in call {call_id}")
    if call_id.startswith("forks"):
        forks(Path(str(session.input["path"])))
    if call_id.endswith("exits"):
        os._exit(7)
    if call_id == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if call_id == "says-pid":
        say_pid(Path(str(session.input["path"])))
    if call_id.startswith("blocks"):
        await asyncio.sleep(0)
        blocks_everything()
    if call_id.startswith("counts"):
        await asyncio.sleep(0)
        counts_for_ever()
    bye = said_goodbye.setdefault(session.id, asyncio.Event())
    await (bye.wait() if call_id == "polite" else asyncio.Event().wait())


def on_notice(_agent: Agent, notice: Notice, session: LaunchContext) -> None:
    print(f"told {session.call_id}: {notice.reason} in {notice.left_ms} ms", file=sys.stderr, flush=True)
    if session.call_id == "polite":
        said_goodbye[session.id].set()


options = json.loads(os.environ.get("LAUNCHER_OPTIONS", "{}"))
launcher = AgentLauncher(create_agent=lambda: app, join_call=join_call, on_notice=on_notice, **options)
Runner(launcher, ServeOptions()).cli()
