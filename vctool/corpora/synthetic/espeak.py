"""Speech from espeak-ng, always in a child process.

espeak-ng is licensed under the GPL, so its library is never loaded into a process of ours that
does anything else: `speak` starts `python -m vctool.corpora.synthetic.espeak FOLDER`, which reads
`jobs.json` there and writes one array of samples per job and `phones.json`. Its C functions report
failures by return codes that are checked one by one; an unknown voice variant is not reported at
all (the plain voice is used instead), so it is asked which voice it took.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vctool.config import PACKAGE
from vctool.errors import DataError

RATE = 22050
"""Sampling rate of espeak-ng's voices [Hz]."""

# Numbers of espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_PHONEME_EVENTS_IPA = 3
_EVENT_END, _EVENT_PHONEME = 0, 7
_RATE_PARAMETER, _PITCH_PARAMETER, _RANGE_PARAMETER = 1, 3, 4
_CHARACTER_POSITION, _UTF8 = 1, 1


@dataclass(frozen=True)
class Speech:
    """One sentence to speak."""

    id: str
    """Name of the result; safe as a file name."""
    text: str
    """The sentence."""
    voice: str
    """Language and variant, such as `en-us+m3`."""
    words_per_minute: int
    """Speaking rate, 80 to 450."""
    pitch: int
    """Base pitch of the voice, 0 to 99; 50 is the voice's own."""
    liveliness: int
    """Range of the intonation, 0 to 99; 50 is the voice's own."""


@dataclass(frozen=True)
class Phone:
    """A phone of a spoken sentence."""

    symbol: str
    """IPA symbol with stress marks; empty for a pause."""
    start: float
    """Where it starts [s]."""


@dataclass(frozen=True)
class Spoken:
    """A sentence as spoken."""

    wave: np.ndarray
    """(T,) float32 at 22.05 kHz, range [-1, 1)."""
    phones: tuple[Phone, ...]
    """Its phones in order of time."""


def speak(jobs: Sequence[Speech]) -> dict[str, Spoken]:
    """Speak sentences in one child process, in the order given.

    The same jobs in the same order give the same samples. (espeak-ng keeps its random state from
    sentence to sentence, so a sentence's samples depend on those before it.)

    Raises:
        DataError: espeak-ng is not installed, does not know a voice, or fails.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "jobs.json").write_text(json.dumps([asdict(job) for job in jobs]))
        path = os.pathsep.join(filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH"))))
        child = subprocess.run(
            [sys.executable, "-m", "vctool.corpora.synthetic.espeak", temporary],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if child.returncode != 0:
            lines = child.stderr.strip().splitlines() or ["no message"]
            raise DataError(f"espeak-ng (exit {child.returncode}): {lines[-1]}")
        phones = json.loads((folder / "phones.json").read_text())
        return {
            job.id: Spoken(
                np.load(folder / f"{job.id}.npy", allow_pickle=False).astype(np.float32) / 32768,
                tuple(Phone(**phone) for phone in phones[job.id]),
            )
            for job in jobs
        }


class _Voice(ctypes.Structure):
    _fields_ = [  # and more, which are not read
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
    ]


class _Id(ctypes.Union):
    _fields_ = [
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    ]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class _Synthesiser:
    """espeak-ng's library, with every return code checked. For the child process only."""

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError:
            raise DataError("espeakng-loader: not installed; pip install espeakng-loader") from None
        self.data = Path(espeakng_loader.get_data_path())
        self.library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        self.library.espeak_GetCurrentVoice.restype = ctypes.POINTER(_Voice)
        rate = self.library.espeak_Initialize(
            _SYNCHRONOUS, 0, str(self.data).encode(), _PHONEME_EVENTS_IPA
        )
        if rate != RATE:
            raise DataError(f"espeak_Initialize: returned {rate}, not a rate of {RATE} Hz")
        self.blocks: list[np.ndarray] = []
        self.phones: list[Phone] = []
        # Kept in an attribute, or ctypes would free it while the library holds it.
        self.callback = _Callback(self._receive)
        self.library.espeak_SetSynthCallback(self.callback)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self.blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_END:
            if events[index].type == _EVENT_PHONEME:
                symbol = events[index].id.string.decode("utf-8", "ignore")
                self.phones.append(Phone(symbol, events[index].sample / RATE))
            index += 1
        return 0

    def set_voice(self, voice: str) -> None:
        """Choose a voice; refuse one that espeak-ng would silently replace."""
        self._check("espeak_SetVoiceByName", voice, voice.encode())
        _, plus, variant = voice.partition("+")
        used = self.library.espeak_GetCurrentVoice().contents.identifier.decode()
        if plus and not used.endswith(f"+{variant}"):
            raise DataError(f"voice {voice}: espeak-ng has no variant '{variant}', it took {used}")

    def speak(self, job: Speech) -> tuple[np.ndarray, list[Phone]]:
        """Return int16 samples (T,) and phones of one sentence."""
        self.blocks.clear()
        self.phones.clear()
        self.set_voice(job.voice)
        self._check("espeak_SetParameter", job.id, _RATE_PARAMETER, job.words_per_minute, 0)
        self._check("espeak_SetParameter", job.id, _PITCH_PARAMETER, job.pitch, 0)
        self._check("espeak_SetParameter", job.id, _RANGE_PARAMETER, job.liveliness, 0)
        text = job.text.encode()
        self._check(
            "espeak_Synth",
            job.id,
            text,
            len(text) + 1,
            0,
            _CHARACTER_POSITION,
            0,
            _UTF8,
            None,
            None,
        )
        self._check("espeak_Synchronize", job.id)
        if not self.blocks or not self.phones:
            raise DataError(f"espeak_Synth: no sound for '{job.text}' ({job.id})")
        return np.concatenate(self.blocks), list(self.phones)

    def _check(self, function: str, subject: str, *arguments: object) -> None:
        code = getattr(self.library, function)(*arguments)
        if code != 0:
            raise DataError(f"{function}: code {code} for {subject}")


def _child(folder: Path) -> None:
    """Speak the jobs that the parent wrote, in order."""
    synthesiser = _Synthesiser()
    phones = {}
    for entry in json.loads((folder / "jobs.json").read_text()):
        job = Speech(**entry)
        samples, spoken = synthesiser.speak(job)
        np.save(folder / f"{job.id}.npy", samples, allow_pickle=False)
        phones[job.id] = [asdict(phone) for phone in spoken]
    (folder / "phones.json").write_text(json.dumps(phones))


if __name__ == "__main__":
    try:
        _child(Path(sys.argv[1]))
    except DataError as error:
        sys.exit(str(error))
