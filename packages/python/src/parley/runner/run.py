"""One agent in one call, at a terminal: the microphone and the speaker of the machine, or typed lines."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from parley.errors import ParleyError
from parley.frames import memory_pair
from parley.ids import new_id
from parley.launcher import AgentLauncher

from .console.call import ConsoleCall, Who
from .console.lines import typed_lines
from .console.machine_audio import Microphone, Speaker, found_microphone, found_speaker
from .console.pcm import BYTES_PER_MS, Recording, read_wav
from .console.screen import Screen, ScreenOptions

#: After the last answer: how long to listen for more of it.
_QUIET_MS = 700
#: Speech is known to have ended only after a silence.
_SILENCE_MS = 1_200
_STEP_MS = 20


@dataclass(frozen=True)
class RunOptions:
    """What one run at the terminal can be told."""

    call_type: str = "default"
    #: Default: a new one.
    call_id: str | None = None
    #: Typed lines only: neither microphone nor speaker.
    text: bool = False
    #: Says what is in this WAV file, instead of a microphone.
    audio: str | None = None
    #: Keeps the sound and the log of the call in this folder.
    record: str | None = None
    #: JSON for the agent.
    input: Any = None
    #: The terminal is the user. Without it the agent joins alone.
    demo: bool = True
    #: Shows every entry of the log.
    debug: bool = False


async def run_one(launcher: AgentLauncher, options: RunOptions, stop: asyncio.Event) -> str:
    """Runs one session, with this terminal as its user, until the call ends, the input does, or ``stop`` is set. How it
    ended. Raises ParleyError of a session that failed."""
    # Before anything begins: a file that is not there must not begin a call.
    speech = None if options.audio is None else read_wav(options.audio)
    await launcher.start()
    call_id = options.call_id or new_id("call")
    session = await launcher.launch(call_id, options.call_type, input=options.input)
    loop = asyncio.get_running_loop()
    stopping = loop.create_task(stop.wait())
    stopping.add_done_callback(lambda done: None if done.cancelled() else launcher.close(session, "stopped"))
    try:
        try:
            await session.active()
        except ParleyError:
            # Somebody who stops the run before it began has not met a failure.
            if session.error is not None or not stop.is_set():
                raise
        else:
            if options.demo:
                await _converse(launcher, session.id, call_id, options, speech)
        await session.finished()
    finally:
        stopping.cancel()
        await launcher.stop()
    if session.error is not None:
        raise session.error
    return session.reason or "ended"


async def _converse(
    launcher: AgentLauncher, session_id: str, call_id: str, options: RunOptions, speech: bytes | None
) -> None:
    at_terminal = sys.stdin.isatty()
    microphone = None if options.text or speech is not None or not at_terminal else found_microphone()
    late: list[Callable[[str], None]] = []
    speaker = None if options.text else found_speaker(lambda why: late[0](f"no sound: {why}"))
    screen = Screen(
        ScreenOptions(
            write=_write,
            moving=sys.stdout.isatty() and not options.debug,
            colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR"),
            debug=options.debug,
            sound=microphone is not None or speaker is not None or speech is not None,
        )
    )
    late.append(screen.problem)
    loop = asyncio.get_running_loop()
    recording = None if options.record is None else Recording(options.record, call_id, loop.time())
    probe = await launcher.probe()
    declared = probe.parts.sessions[probe.create_call(options.call_type, call_id).session].declaration
    provider = launcher.options.provider or declared["provider"]
    screen.line(f"call {call_id}: {probe.name}.{declared['name']}, provider {provider}")
    screen.line(_invitation(microphone, speaker, speech is not None))
    mine, theirs = memory_pair()
    theirs.wants_events = True
    call = ConsoleCall(mine, declared.get("responder", "model"), _Shown(screen, recording, speaker, loop))
    launcher.attach(session_id, theirs)
    user = loop.create_task(_be_user(call, screen, microphone, speech, at_terminal))
    ends: set[asyncio.Future[Any]] = {user, call.closed}
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if user.done():
            user.result()
            # A terminal with a microphone ends with Ctrl-D or Ctrl-C; what is read to its end is answered first.
            call.hang_up()
        await call.closed
    finally:
        user.cancel()
        await asyncio.gather(user, return_exceptions=True)
        if speaker is not None:
            speaker.close()
        screen.close()
        if recording is not None:
            screen.line(f"recorded: {recording.close()}.wav and .jsonl")


class _Shown:
    """The screen, the speaker and the recording of one call."""

    def __init__(
        self, screen: Screen, recording: Recording | None, speaker: Speaker | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._screen, self._recording, self._speaker, self._loop = screen, recording, speaker, loop
        self.words, self.answered = screen.words, screen.answered
        self.interrupted, self.problem = screen.interrupted, screen.problem

    def entry(self, entry: Mapping[str, Any]) -> None:
        if self._recording is not None:
            self._recording.entry(json.dumps(entry, ensure_ascii=False))
        self._screen.entry(entry)

    def sound(self, who: Who, pcm: bytes) -> None:
        if self._recording is not None:
            self._recording.sound(who, pcm, self._loop.time())
        if who == "agent" and self._speaker is not None:
            self._speaker.play(pcm)
        self._screen.sound(who, pcm)


def _invitation(microphone: Microphone | None, speaker: Speaker | None, from_file: bool) -> str:
    if from_file:
        return "saying what is in the file"
    voice = "type what you want to say"
    if microphone is not None:
        voice = f"listening with {microphone.name}; typed lines are said too"
    silent = "" if speaker is not None else " (no speaker: answers are shown in writing)"
    return f"{voice}; Enter interrupts, Ctrl-D hangs up{silent}"


async def _be_user(
    call: ConsoleCall, screen: Screen, microphone: Microphone | None, speech: bytes | None, at_terminal: bool
) -> None:
    if speech is not None:
        await _speak(call, speech)
        return
    listening = None if microphone is None else asyncio.ensure_future(_listen(call, microphone, screen))
    try:
        await _type(call, screen, at_terminal)
    finally:
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _type(call: ConsoleCall, screen: Screen, at_terminal: bool) -> None:
    """Says each line, and where nobody can speak in between, waits for the answer before the next one."""
    if not at_terminal:
        # What the agent says first is heard first.
        await call.quiet(_QUIET_MS)
    async for line in typed_lines():
        text = line.strip()
        if not text:
            call.interrupt(cancel=True)
            continue
        if not at_terminal:
            # At a terminal it is on the screen already.
            screen.words("you", text, True)
        call.say(text)
        if not at_terminal:
            await call.quiet(_QUIET_MS)


async def _speak(call: ConsoleCall, pcm: bytes) -> None:
    loop = asyncio.get_running_loop()
    whole = pcm + bytes(_SILENCE_MS * BYTES_PER_MS)
    step = _STEP_MS * BYTES_PER_MS
    began_s = loop.time()
    for place, at in enumerate(range(0, len(whole), step), 1):
        call.hear(whole[at : at + step])
        await asyncio.sleep(max(0, began_s + place * _STEP_MS / 1000 - loop.time()))
    await call.quiet(_SILENCE_MS)


async def _listen(call: ConsoleCall, microphone: Microphone, screen: Screen) -> None:
    try:
        async for pcm in microphone.listen():
            call.hear(pcm)
    except ParleyError as error:
        screen.problem(f"no microphone: {error.message}; type what you want to say")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
