"""An agent at a terminal: the program itself, with pipes and with a terminal."""

from __future__ import annotations

import asyncio
import io
import json
import math
import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import time
import wave
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from house import Process, until

from parley import ParleyError
from parley.runner.console.machine_audio import Program, ProgramMicrophone, ProgramSpeaker
from parley.runner.console.pcm import SAMPLE_RATE, Meter, loudness, read_wav, resampled
from parley.runner.console.screen import Screen, ScreenOptions

AGENT = """
from parley import Agent, AgentLauncher, Runner

app = Agent("desk")

@app.skill()
def find_order(order: str) -> dict[str, str]:
    "Finds out where an order is."
    return {"state": "on its way"}

app.session("voice", provider="openai", transport="webrtc", tools=["find_order"])
app.session("closed", provider="openai", transport="webrtc", tools=["nowhere"])

async def join_call(agent, call_type, call_id):
    async with agent.join(agent.create_call(call_type, call_id)):
        await agent.finish()

Runner(AgentLauncher(create_agent=lambda: app, join_call=join_call)).cli()
"""

SCRIPT = {
    "rules": [
        {
            "heard": "order (\\d+)",
            "call": {"name": "find_order", "arguments": {"order": "$1"}},
            "then": "Order $1 is {{output.state}}.",
        },
        {"heard": "story", "say": "Once upon a time " * 60},
    ]
}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    path = tmp_path_factory.mktemp("script") / "script.json"
    path.write_text(json.dumps(SCRIPT), encoding="utf-8")
    process = Process("packages/cli/dist/main.js", "simulator", "--script", str(path))
    yield process
    process.end()


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    path = tmp_path / "agent.py"
    path.write_text(AGENT, encoding="utf-8")
    return path


def environment(simulator: Process) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "PARLEY_"))}
    return {**kept, "PARLEY_SIMULATOR_URL": f"{simulator.url}/v1"}


def run(simulator: Process, agent: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(agent), "run", *arguments],
        input=said,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=agent.parent,
        env=environment(simulator),
        check=False,
    )


def test_typed_lines_are_answered_with_tools_and_latencies_and_the_end_of_the_input_hangs_up(
    simulator: Process, agent: Path
) -> None:
    ran = run(simulator, agent, "--text", "--call-type", "voice", "--call-id", "c-1", said="Where is order 42?\n")
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == "call c-1: desk.voice, provider simulator"
    assert "you: Where is order 42?" in lines
    assert '  ➜ find_order {"order": "42"}' in lines
    assert any(re.fullmatch(r'  ✓ find_order \{"state": "on its way"\} \(\d+ ms\)', line) for line in lines)
    assert any(re.fullmatch(r"  · answer after \d+ ms, model began after \d+ ms", line) for line in lines)
    assert "agent: Order 42 is on its way." in lines
    assert lines[-1] == "the call ended: client_left"


def test_the_sample_of_the_readme_greets_and_answers(simulator: Process, tmp_path: Path) -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    (sample,) = [code for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "Runner(" in code]
    agent = tmp_path / "agent.py"
    agent.write_text(sample, encoding="utf-8")
    ran = run(simulator, agent, "--text", said="Where is order 42?\n")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[2] == "agent: You said: Greet the caller."
    assert "agent: Order 42 is on its way." in ran.stdout


def test_what_an_agent_said_is_recorded_and_what_is_recorded_can_be_said_to_it(
    simulator: Process, agent: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    ran = run(simulator, agent, "--call-type", "voice", "--call-id", "a/b", "--record", str(kept), said="hello there\n")
    assert ran.returncode == 0, ran.stderr
    entries = [json.loads(line) for line in (kept / "a_b.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {"client.attached", "turn.completed", "response.completed"} <= {one["type"] for one in entries}
    with wave.open(str(kept / "a_b.wav")) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, SAMPLE_RATE)
        both = array("h", file.readframes(file.getnframes()))
    answer = both[1::2]
    assert loudness(answer.tobytes()) > 0.1
    spoken = tmp_path / "spoken.wav"
    with wave.open(str(spoken), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(answer.tobytes())
    heard = run(simulator, agent, "--call-type", "voice", "--audio", str(spoken))
    assert heard.returncode == 0, heard.stderr
    assert "saying what is in the file" in heard.stdout
    # Its words crossed both ways as sound.
    assert "you: You said: hello there" in heard.stdout
    assert "agent: You said: You said: hello there" in heard.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--audio", "none.wav"], 1, "agent: invalid_argument: the audio file none.wav cannot be read"),
        (["--call-type", "voice", "--provider", "openai"], 1, "provider openai is not set up: set OPENAI_API_KEY"),
        (["--call-type", "other"], 1, "agent desk has no session 'other'. Its sessions: closed, voice."),
        (["--call-type", "closed"], 1, "tool 'nowhere' names desk.nowhere, which no connected agent offers"),
        (["--input", "{"], 2, "argument --input: it must be JSON"),
        (["--loud"], 2, "unrecognized arguments: --loud"),
    ],
)
def test_what_cannot_be_run_says_why_and_leaves_an_exit_code(
    simulator: Process, agent: Path, arguments: list[str], code: int, words: str
) -> None:
    ran = run(simulator, agent, *arguments)
    assert ran.returncode == code
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


class Terminal:
    """A terminal with a program in it."""

    def __init__(self, simulator: Process, agent: Path, *arguments: str, **env: str) -> None:
        self._mine, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, str(agent), "run", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environment(simulator), "TERM": "xterm", **env},
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def until(self, words: str, within_s: float = 30) -> None:
        end_s = time.monotonic() + within_s
        while words not in self.shown:
            left_s = end_s - time.monotonic()
            assert left_s > 0, f"no {words!r} in {self.shown!r}"
            if select.select([self._mine], [], [], left_s)[0]:
                try:
                    self.shown += os.read(self._mine, 65_536).decode(errors="replace")
                except OSError as closed:
                    raise AssertionError(f"no {words!r} in {self.shown!r}") from closed

    def press(self, keys: str) -> None:
        os.write(self._mine, keys.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._mine)


def test_at_a_terminal_words_grow_enter_interrupts_and_ctrl_d_hangs_up(simulator: Process, agent: Path) -> None:
    terminal = Terminal(simulator, agent, "--call-type", "voice")
    try:
        terminal.until("Enter interrupts, Ctrl-D hangs up")
        terminal.press("tell me a story\n")
        # The line that moves: its words come before they are final.
        terminal.until("agent: ")
        terminal.until(" …")
        terminal.press("\n")
        terminal.until("· interrupted after ")
        terminal.press("where is order 7?\n")
        terminal.until("Order 7 is on its way.")
        terminal.press("\x04")
        terminal.until("the call ended: client_left")
        assert terminal.process.wait(20) == 0
    finally:
        terminal.close()


def test_ctrl_c_ends_the_call_first(simulator: Process, agent: Path) -> None:
    terminal = Terminal(simulator, agent, "--call-type", "voice", "--text")
    try:
        terminal.until("type what you want to say")
        terminal.process.send_signal(signal.SIGINT)
        terminal.until("the call ended: stopped")
        assert terminal.process.wait(20) == 0
    finally:
        terminal.close()


def tone(rate: int, seconds: float, hertz: float, level: float = 0.5) -> array[int]:
    return array(
        "h", (round(level * 32767 * math.sin(2 * math.pi * hertz * at / rate)) for at in range(int(rate * seconds)))
    )


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_sound_of_any_rate_is_the_same_sound(rate: int) -> None:
    made = resampled(tone(rate, 0.2, 440), rate, SAMPLE_RATE)
    assert abs(len(made) - SAMPLE_RATE * 0.2) <= 1
    wanted = tone(SAMPLE_RATE, 0.2, 440)
    # But for the ends, where there is nothing to look at beyond.
    assert max(abs(a - b) for a, b in zip(made[600:-600], wanted[600:-600], strict=False)) < 200


def test_what_a_lower_rate_cannot_carry_is_not_heard() -> None:
    assert loudness(resampled(tone(48_000, 0.2, 20_000), 48_000, SAMPLE_RATE)[600:-600].tobytes()) == 0


@pytest.mark.parametrize(("width", "channels"), [(1, 1), (2, 2), (3, 1), (4, 2)])
def test_wav_files_of_every_width_are_read(tmp_path: Path, width: int, channels: int) -> None:
    path = tmp_path / "tone.wav"
    samples = tone(SAMPLE_RATE, 0.1, 440)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(SAMPLE_RATE)
        for sample in samples:
            wide = sample << 8 * width >> 16 if width != 1 else (sample >> 8) + 128
            file.writeframesraw(wide.to_bytes(width, "little", signed=width > 1) * channels)
    read = array("h", read_wav(str(path)))
    assert max(abs(a - b) for a, b in zip(read, samples, strict=True)) < 256


def test_a_file_that_is_no_wav_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.wav"
    path.write_text("words", encoding="utf-8")
    with pytest.raises(ParleyError, match="is no WAV of plain samples"):
        read_wav(str(path))


def screen_of(out: io.StringIO) -> Callable[[str], None]:
    return lambda text: print(text, end="", file=out)


def test_levels_are_drawn_and_what_could_steer_a_terminal_is_not_written() -> None:
    out = io.StringIO()
    screen = Screen(ScreenOptions(write=screen_of(out), moving=True, colour=False, debug=False, sound=True))
    meter = Meter(2)
    meter.add(tone(SAMPLE_RATE, 0.02, 440, 0.9).tobytes())
    assert meter.bars()[1] in "▇█"
    screen.sound("you", tone(SAMPLE_RATE, 0.02, 440).tobytes())
    screen.words("agent", "\x1b]0;owned\x07 and \x1b[2J gone", True)
    assert "🎤" in out.getvalue()
    assert "\x1b]" not in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()
    assert "owned" in out.getvalue()
    written = Screen(ScreenOptions(write=screen_of(out), moving=True, colour=False, debug=False, sound=False))
    written.words("agent", "the first of very many words " * 20 + "and the last", False)
    assert out.getvalue().endswith("and the last …")


def program(folder: Path, name: str, body: str) -> Program:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Program(str(path), ())


async def test_a_recorder_is_heard_sample_by_sample_and_says_why_it_ended(tmp_path: Path) -> None:
    body = "printf 'abc'; printf 'defg'; echo 'unplugged' >&2; exit 4"
    microphone = ProgramMicrophone(program(tmp_path, "recorder", body))
    heard: list[bytes] = []

    async def listen(source: ProgramMicrophone) -> None:
        async for pcm in source.listen():
            heard.append(pcm)

    with pytest.raises(ParleyError, match="recorder ended with 4: unplugged"):
        await listen(microphone)
    assert all(len(pcm) % 2 == 0 for pcm in heard)
    assert b"".join(heard) == b"abcdef"
    with pytest.raises(ParleyError, match="none cannot be run"):
        await listen(ProgramMicrophone(Program(str(tmp_path / "none"), ())))


async def test_a_player_is_given_what_is_heard_and_its_end_is_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    speaker = ProgramSpeaker(program(tmp_path, "player", f"exec cat > {out}"), lambda _why: None)
    speaker.play(b"ab" * 100)
    await until(lambda: out.exists() and len(out.read_bytes()) == 200)
    speaker.close()
    assert out.read_bytes() == b"ab" * 100
    why: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    broken = ProgramSpeaker(program(tmp_path, "broken", "echo 'no card' >&2; exit 3"), why.set_result)

    def played() -> bool:
        broken.play(b"ab" * 10_000)
        return why.done()

    await until(played)
    assert why.result() == "broken ended with 3: no card"
    broken.close()
