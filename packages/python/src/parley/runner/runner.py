"""Runs a launcher."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from parley.agent import AgentHandle
from parley.errors import ParleyError
from parley.launcher import AgentLauncher, connect_launcher
from parley.launcher.isolated_environment import is_isolated

from .serve_options import ServeOptions

if TYPE_CHECKING:
    from aiohttp import web

#: How long answers that are under way may take once every session has ended.
_ANSWERS_S = 2.0


class Runner:
    """Three ways to run the same file: ``run``, ``serve``, and ``cli`` for both.

    >>> runner = Runner(launcher, ServeOptions(cors_allow_origins=["https://shop.example"]))    # doctest: +SKIP
    >>> runner.cli()      # python agent.py run --text · python agent.py serve --port 8000      # doctest: +SKIP
    """

    def __init__(self, launcher: AgentLauncher, serve_options: ServeOptions | None = None) -> None:
        self.launcher = launcher
        self.serve_options = serve_options or ServeOptions()
        self._app: web.Application | None = None

    def app(self) -> web.Application:
        """The aiohttp application with the routes on it: yours, where one was given.

        Raises ParleyError ``failed_precondition`` where aiohttp is missing.
        """
        if self._app is None:
            try:
                from .http.app import app_for
            except ModuleNotFoundError as missing:
                if missing.name != "aiohttp":
                    raise
                words = "serving needs aiohttp: pip install parley[serve]"
                raise ParleyError("failed_precondition", words) from missing
            self._app = app_for(self.launcher, self.serve_options)
        return self._app

    async def run(self, *, provider: str = "simulator", stop: asyncio.Event | None = None, **options: Any) -> str:
        """One call, with this terminal as its user. Why it ended.

        ``provider`` runs the model; ``declared`` is the session's own. The other options are ``call_type``,
        ``call_id``, ``text``, ``audio``, ``record``, ``input``, ``demo`` and ``debug``, as
        ``python agent.py run --help`` explains them. Raises ParleyError of a session that failed.
        """
        from .run import RunOptions, run_one

        changes: dict[str, Any] = {"isolation": "shared"}
        if provider != "declared":
            changes["provider"] = provider
        return await run_one(self.launcher.changed(**changes), RunOptions(**options), stop or asyncio.Event())

    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 8000,
        *,
        control_plane: str | None = None,
        on_listening: Callable[[str], None] | None = None,
        stop: asyncio.Event | None = None,
    ) -> None:
        """Serves until the process is told to stop or ``stop`` is set: then it drains. A second signal does not wait.

        ``control_plane`` (default ``PARLEY_URL``) is where the launcher registers too, with its load and capacity, and
        is given sessions. Raises ParleyError ``failed_precondition`` for an address that others can reach where nothing
        guards the start, and for a port that is in use; the error of a control plane that refuses the agent for good.
        """
        if is_isolated():
            return
        self.serve_options.check_exposure(host)
        app = self.app()
        from aiohttp import web

        leave = stop or asyncio.Event()
        runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=_ANSWERS_S)
        handle: AgentHandle | None = None

        async def stop_now() -> None:
            if handle is not None:
                handle.leave(now=True)
            await self.launcher.stop()

        unwatch = self.launcher.watch()
        with _signals(leave, stop_now):
            try:
                await runner.setup()
                await _listen(web.TCPSite(runner, host, port), host, port)
                if on_listening is not None:
                    shown = f"[{host}]" if ":" in host else host
                    on_listening(f"http://{shown}:{runner.addresses[0][1]}")
                # It answers /ready with 503 until it is warm.
                await self.launcher.start()
                handle = await self._connected(control_plane, leave)
                await leave.wait()
                if handle is not None:
                    # The control plane is told first: it places nothing here any more.
                    handle.leave(now=False)
                await self.launcher.drain()
                if handle is not None:
                    # What it runs for others is finished; a refusal for good is told here.
                    await handle.drain()
            finally:
                unwatch()
                await self.launcher.stop()
                if handle is not None:
                    handle.leave(now=True)
                await runner.cleanup()

    def cli(self, argv: Sequence[str] | None = None) -> None:
        """Does what the command line says: ``run`` or ``serve``. A failure is told on stderr, and is the exit code."""
        if is_isolated():
            return
        from .cli import run_cli

        run_cli(self, argv)

    async def _connected(self, control_plane: str | None, leave: asyncio.Event) -> AgentHandle | None:
        url = control_plane or os.environ.get("PARLEY_URL") or None
        if url is None:
            return None
        options = self.launcher.options
        # The launcher's deadline is the one that counts.
        drain_ms = options.drain_ms + options.close_ms + 1_000
        handle = await connect_launcher(self.launcher, url=url, drain_ms=drain_ms)
        handle.when_stopped(leave.set)
        return handle


async def _listen(site: web.TCPSite, host: str, port: int) -> None:
    try:
        await site.start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        words = f"port {port} of {host} is in use: choose another with --port"
        raise ParleyError("failed_precondition", words) from error


@contextmanager
def _signals(leave: asyncio.Event, stop_now: Callable[[], Any]) -> Iterator[None]:
    """The first SIGINT or SIGTERM drains, the second stops, the third ends the process."""
    loop = asyncio.get_running_loop()
    stopping: list[asyncio.Task[None]] = []
    told = 0

    def tell() -> None:
        nonlocal told
        told += 1
        leave.set()
        if told == 2:
            stopping.append(loop.create_task(stop_now()))
        if told == 3:
            os._exit(1)

    signals = [signal.SIGINT, signal.SIGTERM]
    try:
        for number in signals:
            loop.add_signal_handler(number, tell)
    except (NotImplementedError, RuntimeError, ValueError):
        # Windows, and threads other than the main one.
        signals = []
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
