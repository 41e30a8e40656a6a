"""The machine's microphone and loudspeaker: with ``sounddevice`` where that is installed (the extra ``audio``), else
through the programs that the machine has for them.

P1  A device that cannot be opened, or goes away, is told, and the call goes on in writing.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple, Protocol

from parley.errors import ParleyError

from .pcm import BYTES_PER_MS, SAMPLE_RATE

_RATE = str(SAMPLE_RATE)
_SOX = ("-q", "-t", "raw", "-e", "signed-integer", "-b", "16", "-c", "1", "-r", _RATE, "-")
_ALSA = ("-q", "-t", "raw", "-f", "S16_LE", "-r", _RATE, "-c", "1", "--buffer-time=80000", "-")
_PULSE = ("--raw", "--format=s16le", f"--rate={_RATE}", "--channels=1")
_GRAB = ("avfoundation", "-i", ":0") if sys.platform == "darwin" else ("alsa", "-i", "default")
#: What waits for a listener or a loudspeaker: a second. What is older is late.
_WAITING_BYTES_MAX = 1_000 * BYTES_PER_MS


class Program(NamedTuple):
    name: str
    arguments: Sequence[str]


# Small buffers: what a player holds is still heard after an interruption.
_RECORDERS = (
    Program("parec", (*_PULSE, "--latency-msec=20")),
    Program("arecord", _ALSA),
    Program("rec", _SOX),
    Program("ffmpeg", ("-loglevel", "error", "-f", *_GRAB, "-ar", _RATE, "-ac", "1", "-f", "s16le", "-")),
)
_PLAYERS = (
    Program("pacat", (*_PULSE, "--latency-msec=60")),
    Program("aplay", _ALSA),
    Program("play", _SOX),
    Program("ffplay", ("-nodisp", "-loglevel", "error", "-f", "s16le", "-ar", _RATE, "-i", "-")),
)


class Microphone(Protocol):
    name: str

    def listen(self) -> AsyncIterator[bytes]:
        """What it hears, until it is left. Raises ParleyError ``failed_precondition``."""


class Speaker(Protocol):
    name: str

    def play(self, pcm: bytes) -> None: ...

    def close(self) -> None: ...


def found_microphone() -> Microphone | None:
    """The one of this machine, where it has one."""
    library = _library()
    if library is not None and _has(library, "input"):
        return _DeviceMicrophone(library)
    program = _found(_RECORDERS)
    return None if program is None else ProgramMicrophone(program)


def found_speaker(failed: Callable[[str], None]) -> Speaker | None:
    """The one of this machine, where it has one. ``failed`` is told why it ended early."""
    library = _library()
    if library is not None and _has(library, "output"):
        return _DeviceSpeaker(library)
    program = _found(_PLAYERS)
    return None if program is None else ProgramSpeaker(program, failed)


def _found(programs: Sequence[Program]) -> Program | None:
    for program in programs:
        path = shutil.which(program.name)
        if path is not None:
            return Program(path, program.arguments)
    return None


def _library() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError):
        # Not installed, or without the library of the system that it needs.
        return None
    return sounddevice


def _has(library: Any, kind: str) -> bool:
    try:
        library.query_devices(kind=kind)
    except (library.PortAudioError, ValueError):
        return False
    return True


class _DeviceMicrophone:
    name = "sounddevice"

    def __init__(self, library: Any) -> None:
        self._library = library

    async def listen(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        def take(pcm: bytes) -> None:
            if heard.qsize() * len(pcm) < _WAITING_BYTES_MAX:
                heard.put_nowait(pcm)

        def callback(data: Any, _frames: int, _time: Any, _status: Any) -> None:
            loop.call_soon_threadsafe(take, bytes(data))

        try:
            stream = self._library.RawInputStream(
                samplerate=SAMPLE_RATE, channels=1, dtype="int16", blocksize=SAMPLE_RATE // 50, callback=callback
            )
            stream.start()
        except self._library.PortAudioError as error:
            raise ParleyError("failed_precondition", str(error)) from error
        try:
            while True:
                yield await heard.get()
        finally:
            stream.close()


class _DeviceSpeaker:
    name = "sounddevice"

    def __init__(self, library: Any) -> None:
        self._waiting = bytearray()
        self._lock = threading.Lock()
        self._stream = library.RawOutputStream(
            samplerate=SAMPLE_RATE, channels=1, dtype="int16", blocksize=SAMPLE_RATE // 50, callback=self._fill
        )
        self._stream.start()

    def play(self, pcm: bytes) -> None:
        with self._lock:
            if len(self._waiting) < _WAITING_BYTES_MAX:
                self._waiting += pcm

    def close(self) -> None:
        self._stream.close()

    def _fill(self, out: Any, _frames: int, _time: Any, _status: Any) -> None:
        with self._lock:
            taken = bytes(self._waiting[: len(out)])
            del self._waiting[: len(taken)]
        out[:] = taken + bytes(len(out) - len(taken))


class ProgramMicrophone:
    def __init__(self, program: Program) -> None:
        self.name = program.name.rsplit("/", 1)[-1]
        self._program = program

    async def listen(self) -> AsyncIterator[bytes]:
        try:
            child = await asyncio.create_subprocess_exec(
                *(self._program.name, *self._program.arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Ctrl-C is said to this process, which ends its call first.
                start_new_session=True,
            )
        except OSError as error:
            raise ParleyError("failed_precondition", f"{self.name} cannot be run: {error.strerror}") from error
        assert child.stdout is not None
        assert child.stderr is not None
        half = b""
        try:
            while chunk := await child.stdout.read(8192):
                whole = half + chunk
                even = len(whole) & ~1
                half = whole[even:]
                yield whole[:even]
            said = (await child.stderr.read(4096)).decode(errors="replace").strip().splitlines()
            words = f"{self.name} ended with {await child.wait()}: {said[-1] if said else 'it said nothing'}"
            raise ParleyError("failed_precondition", words)
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()


class ProgramSpeaker:
    """Writes from a thread of its own: a player that is full must not hold up the call."""

    def __init__(self, program: Program, failed: Callable[[str], None]) -> None:
        self.name = program.name.rsplit("/", 1)[-1]
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._child = subprocess.Popen(
            [program.name, *program.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._waiting = bytearray()
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write, name="parley-speaker", daemon=True)
        self._thread.start()

    def play(self, pcm: bytes) -> None:
        with self._changed:
            if len(self._waiting) < _WAITING_BYTES_MAX:
                self._waiting += pcm
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._child.kill()
        self._child.wait()
        # It was writing to what is gone now.
        self._thread.join()
        if self._child.stderr is not None:
            self._child.stderr.close()

    def _write(self) -> None:
        pipe = self._child.stdin
        assert pipe is not None
        try:
            with pipe:
                while True:
                    with self._changed:
                        self._changed.wait_for(lambda: self._waiting or self._closed)
                        if self._closed:
                            return
                        pcm = bytes(self._waiting)
                        self._waiting.clear()
                    pipe.write(pcm)
                    pipe.flush()
        except OSError:
            if self._closed:
                return
            assert self._child.stderr is not None
            said = self._child.stderr.read().decode(errors="replace").strip().splitlines()
            why = f"{self.name} ended with {self._child.wait()}: {said[-1] if said else 'it said nothing'}"
            self._loop.call_soon_threadsafe(self._failed, why)
