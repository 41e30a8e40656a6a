"""The command line of a runner: ``run`` and ``serve``."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from parley.errors import ParleyError
from parley.log import LOGGER, log_to_stderr

if TYPE_CHECKING:
    from .runner import Runner

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


def run_cli(runner: Runner, argv: Sequence[str] | None) -> None:
    """Raises SystemExit with 1 for a failure, 2 for a command line that is none, 130 for a second Ctrl-C."""
    given = _parser().parse_args(argv)
    level = "debug" if given.debug else given.log_level
    log_to_stderr(_LEVELS[level])
    # The program may have arranged its logging already; what was asked for counts for us all the same.
    LOGGER.setLevel(_LEVELS[level])
    try:
        asyncio.run(_run(runner, given) if given.verb == "run" else _serve(runner, given))
    except ParleyError as error:
        print(f"agent: {error.code}: {error.message}", file=sys.stderr)
        raise SystemExit(1) from error


async def _run(runner: Runner, given: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def leave() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, leave)
        except (NotImplementedError, RuntimeError, ValueError):
            # Windows, and threads other than the main one: Ctrl-C ends the program there.
            break
    reason = await runner.run(
        provider=given.provider,
        stop=stop,
        call_type=given.call_type,
        call_id=given.call_id,
        text=given.text,
        audio=given.audio,
        record=given.record,
        input=given.input,
        demo=given.demo,
        debug=given.debug,
    )
    print(f"the call ended: {reason}")


async def _serve(runner: Runner, given: argparse.Namespace) -> None:
    await runner.serve(
        given.host,
        given.port,
        control_plane=given.control_plane,
        on_listening=lambda url: print(url, flush=True),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Run this agent: one call at the terminal, or many over HTTP.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="hold one call at this terminal, with microphone and speaker, or in writing")
    run.add_argument(
        "--call-type", default="default", help="kind of call; the session of that name, where there is one"
    )
    run.add_argument("--call-id", help="the call; default: a new one")
    run.add_argument(
        "--provider",
        default="simulator",
        help="who runs the model (default: %(default)s, which needs no key); declared is the session's own",
    )
    run.add_argument("--text", action="store_true", help="typed lines only")
    run.add_argument("--audio", metavar="FILE", help="say what is in this WAV file")
    run.add_argument(
        "--record",
        metavar="FOLDER",
        nargs="?",
        const="recordings",
        help="keep the sound and the log of the call (default folder: recordings)",
    )
    run.add_argument("--input", metavar="JSON", type=_json, help="input for the agent")
    run.add_argument(
        "--no-demo",
        dest="demo",
        action="store_false",
        help="let the agent join alone, without this terminal as its user",
    )
    run.add_argument("--debug", action="store_true", help="show every entry of the log")
    run.add_argument("--log-level", choices=_LEVELS, default="warn", help="what is logged on stderr")
    serve = verbs.add_parser("serve", help="start agents over HTTP")
    serve.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    serve.add_argument(
        "--port", type=_port, default=8000, help="where to listen (default: %(default)s); 0 takes a free one"
    )
    serve.add_argument(
        "--control-plane", metavar="URL", help="register with this control plane too; default: PARLEY_URL"
    )
    serve.add_argument("--debug", action="store_true", help="log from debug")
    serve.add_argument("--log-level", choices=_LEVELS, default="info", help="what is logged on stderr")
    return parser


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("it must be JSON") from error


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= 65_535:
        return int(text)
    raise argparse.ArgumentTypeError("it must be a whole number from 0 to 65535")
