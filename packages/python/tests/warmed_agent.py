"""Its sessions say when their agents were made; the tests run it as a program, and load it for processes."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path

from parley import Agent, AgentLauncher, AgentRequest, LaunchContext


def create_agent(request: AgentRequest) -> Agent:
    in_process = os.environ.get("PARLEY_ISOLATED_SESSION") == "1"
    elsewhere = in_process or threading.current_thread() is not threading.main_thread()
    if request.session is not None:
        return Agent("for-its-session")
    if "WARMED_PIDS" in os.environ:
        with Path(os.environ["WARMED_PIDS"]).open("a", encoding="utf-8") as pids:
            pids.write(f"{os.getpid()}\n")
    if elsewhere and request.configuration == "unmakeable":
        raise RuntimeError("no agent is made of this")
    if elsewhere and str(request.configuration).startswith("/"):
        dies_with(Path(request.configuration), in_process)
    return Agent("in-advance")


def dies_with(doom: Path, in_process: bool) -> None:
    """Ends this thread or process when there is such a file."""
    if doom.exists():
        if in_process:
            os._exit(7)
        sys.exit(7)
    asyncio.get_running_loop().call_later(0.01, dies_with, doom, in_process)


async def join_call(agent: Agent, _type: str, call_id: str, session: LaunchContext) -> None:
    if call_id == "tells":
        raise RuntimeError(f"{agent.name}, {session.input}")
    session.joined()
    await asyncio.Event().wait()


launcher = AgentLauncher(
    create_agent=create_agent,
    join_call=join_call,
    configure=lambda given, _type: given,
    isolation="process",
    warm_agents=1,
)


async def keep_warm() -> None:
    await launcher.start()
    print(f"{launcher.warm_agents} warm", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(keep_warm())
