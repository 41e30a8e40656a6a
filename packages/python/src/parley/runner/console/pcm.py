"""Sound at a terminal: 16-bit samples of one channel, 24,000 a second, as bytes; levels, WAV files, other rates."""

from __future__ import annotations

import math
import operator
import sys
import wave
from array import array
from pathlib import Path

from parley.errors import ParleyError

SAMPLE_RATE = 24_000
BYTES_PER_MS = SAMPLE_RATE * 2 // 1000

_STEPS = " ▁▂▃▄▅▆▇█"
_FLOOR_DB = -50
#: Samples on each side that one output sample is made of.
_REACH = 16


def loudness(pcm: bytes) -> float:
    """From 0 to 1, over 50 decibels."""
    samples = _samples(pcm)
    if not samples:
        return 0.0
    power = sum(map(operator.mul, samples, samples)) / len(samples)
    db = 10 * math.log10(power / 0x8000**2) if power > 0 else -math.inf
    return min(1.0, max(0.0, 1 - db / _FLOOR_DB))


class Meter:
    """The last levels as a row of bars, the newest at the right."""

    def __init__(self, width: int) -> None:
        self._levels = [0.0] * width

    def add(self, pcm: bytes) -> None:
        self._levels = [*self._levels[1:], loudness(pcm)]

    def bars(self) -> str:
        return "".join(_STEPS[round(level * (len(_STEPS) - 1))] for level in self._levels)


def read_wav(path: str) -> bytes:
    """The sound of a WAV file. Raises ParleyError ``invalid_argument``."""
    try:
        with wave.open(path, "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            raw = file.readframes(file.getnframes())
    except OSError as error:
        words = f"the audio file {path} cannot be read ({error.strerror})"
        raise ParleyError("invalid_argument", words) from error
    except (wave.Error, EOFError) as error:
        raise ParleyError("invalid_argument", f"the audio file {path} is no WAV of plain samples: {error}") from error
    if width not in (1, 2, 3, 4):
        raise ParleyError("invalid_argument", f"the audio file {path} has samples of {width} bytes")
    mono = _mono(_widened(raw, width), channels)
    return resampled(mono, rate, SAMPLE_RATE).tobytes()


def resampled(samples: array[int], rate: int, wanted: int) -> array[int]:
    """The same sound at another rate, without what that rate cannot carry."""
    if rate == wanted or not samples:
        return samples
    shared = math.gcd(rate, wanted)
    up, down = wanted // shared, rate // shared
    cut = min(1.0, wanted / rate)
    reach = math.ceil(_REACH / cut)
    filters = [_filter(phase / up, cut, reach) for phase in range(up)]
    padded = [0] * reach + list(samples) + [0] * (reach + 1)
    out = array("h")
    for place in range(len(samples) * up // down):
        whole, phase = divmod(place * down, up)
        # One sample lies at `whole` and a part; `reach` of them on each side.
        window = padded[whole + 1 : whole + 1 + 2 * reach]
        value = round(sum(map(operator.mul, filters[phase], window)))
        out.append(max(-0x8000, min(0x7FFF, value)))
    return out


def _filter(part: float, cut: float, reach: int) -> list[float]:
    """A windowed sinc around a place between two samples."""
    taps = []
    for step in range(1 - reach, reach + 1):
        away = step - part
        angle = math.pi * away * cut
        sinc = cut if angle == 0 else cut * math.sin(angle) / angle
        taps.append(sinc * (0.5 + 0.5 * math.cos(math.pi * away / (reach + 1))))
    whole = sum(taps)
    return [tap / whole for tap in taps]


def _widened(raw: bytes, width: int) -> array[int]:
    """Samples of any width as 16 bits."""
    if width == 2:
        return _samples(raw)
    if width == 1:
        return array("h", ((byte - 128) << 8 for byte in raw))
    # The two high bytes, little end first.
    return _samples(b"".join(raw[at + width - 2 : at + width] for at in range(0, len(raw) - width + 1, width)))


def _mono(samples: array[int], channels: int) -> array[int]:
    if channels == 1:
        return samples
    return array("h", (sum(samples[at : at + channels]) // channels for at in range(0, len(samples), channels)))


def _samples(pcm: bytes) -> array[int]:
    samples = array("h")
    samples.frombytes(pcm[: len(pcm) & ~1])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


class Recording:
    """Keeps a call: both sides as a stereo WAV (the user at the left), at most an hour, and the log as JSON lines."""

    _SAMPLES_MAX = 3_600 * SAMPLE_RATE

    def __init__(self, folder: str, name: str, began_s: float) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        # A call id may hold what a path must not.
        safe = "".join(one if one.isascii() and (one.isalnum() or one in "._-") else "_" for one in name)
        self.path = Path(folder, safe)
        self._began_s = began_s
        self._log = self.path.with_name(f"{safe}.jsonl").open("w", encoding="utf-8")
        self._sides: dict[str, list[tuple[int, bytes]]] = {"you": [], "agent": []}
        self._ends = {"you": 0, "agent": 0}

    def sound(self, who: str, pcm: bytes, now_s: float) -> None:
        now = round((now_s - self._began_s) * SAMPLE_RATE)
        # Sound follows sound; only after a silence does the clock say where it is.
        at = now if now > self._ends[who] + SAMPLE_RATE // 5 else self._ends[who]
        end = at + len(pcm) // 2
        if end <= self._SAMPLES_MAX:
            self._sides[who].append((at, pcm))
            self._ends[who] = end

    def entry(self, line: str) -> None:
        self._log.write(f"{line}\n")

    def close(self) -> Path:
        """Writes the sound. The files' common name once all is on disk."""
        frames = max(self._ends.values())
        sound = bytearray(frames * 4)
        for channel, side in enumerate(self._sides.values()):
            for at, pcm in side:
                for byte in (0, 1):
                    start = at * 4 + channel * 2 + byte
                    sound[start : start + len(pcm) // 2 * 4 : 4] = pcm[byte : len(pcm) & ~1 : 2]
        with wave.open(str(self.path.with_name(f"{self.path.name}.wav")), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(bytes(sound))
        self._log.close()
        return self.path
