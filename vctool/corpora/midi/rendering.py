"""Renders scores through FluidSynth, a program of its own, without reverberation or chorus.

`fluidsynth` runs as a child for every recording, ignores the user's own settings, and writes
floating-point samples to a temporary folder. A sound font that it cannot read it names on stderr
only, takes its default one instead, and exits with 0; so no default is left to it, and silence
where notes were asked for is an error too.
The same score, font and settings give the same samples.
"""

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vctool import audio, extras
from vctool.acquisition.room import room_for
from vctool.corpora.midi import score
from vctool.corpora.midi.score import Track
from vctool.errors import DataError

PROGRAM = "fluidsynth"

RELEASE = 1.0
"""How long a recording goes on after its last note ends [s]."""

GAIN = 0.5
"""FluidSynth's own is 0.2, at which a single flute is 30 dB below full scale."""

SILENT = 1e-4
"""A peak below this, -80 dB of full scale, is none of a sounding note."""

VERSION = 1
"""Raised whenever the same job gives other samples."""


class NoSound(DataError):
    """A sound font has no sound of the notes asked for."""


@dataclass(frozen=True)
class Rendering:
    """One recording to render."""

    tracks: tuple[Track, ...]
    """What is played; at least one note."""
    font: Path
    """File of the sound font."""
    rate: int
    """Sampling rate [Hz]."""
    seconds: float
    """Length [s]; what sounds longer is cut off."""

    @property
    def hash(self) -> str:
        """Eight hexadecimal digits that change whenever the samples do."""
        font = (self.font.name, self.font.stat().st_size)
        notes = [asdict(track) for track in self.tracks]
        text = json.dumps([VERSION, GAIN, font, self.rate, self.seconds, notes])
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def program() -> str:
    """Return the path of FluidSynth, which is given what `pretty_midi` read.

    Raises:
        DataError: one of the two is not installed.
    """
    extras.require("pretty_midi", "corpora", "MIDI is read with it")
    path = shutil.which(PROGRAM)
    if path is None:
        raise DataError(
            f"{PROGRAM}: not found on the path, and MIDI is rendered with it; on Debian and "
            f"Ubuntu: apt-get install fluidsynth"
        )
    return path


def render(job: Rendering) -> np.ndarray:
    """Render one recording.

    Returns:
        Mono samples, (T,) float32, with `T = round(seconds * rate)`; scaled down to a peak of 1
        where it was above.

    Raises:
        NoSound: the font makes no sound of the notes.
        DataError: FluidSynth is not installed or fails, or the font is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="vctool-midi-") as temporary:
        midi, wav = Path(temporary) / "score.mid", Path(temporary) / "score.wav"
        score.write(midi, job.tracks)
        reason = play(midi, wav, job.font, job.rate)
        wave, _ = audio.read(wav)
    samples = round(job.seconds * job.rate)
    wave = np.pad(wave[:samples], (0, max(0, samples - len(wave))))
    return checked(wave, job, reason)


def checked(wave: np.ndarray, job: Rendering, reason: str) -> np.ndarray:
    """Scale a recording down to a peak of 1 where it is above.

    Raises:
        NoSound: it is silent.
    """
    peak = float(np.abs(wave).max(initial=0.0))
    if peak < SILENT:
        raise NoSound(f"{job.font.name}: {PROGRAM} made no sound of the notes with it; {reason}")
    return wave / max(1.0, peak)


def play(midi: Path, wav: Path, font: Path, rate: int, period: int | None = None) -> str:
    """Run FluidSynth once.

    Args:
        midi: what it plays.
        wav: what it writes, stereo.
        font: the sound font.
        rate: sampling rate [Hz].
        period: samples that it writes at once; its own 64 where None.

    Returns:
        The last thing that it complained of.

    Raises:
        DataError: it is not installed or fails, or the font is damaged.
    """
    options = [
        *("-n", "-i", "-q", "-f", "/dev/null"),
        *("-R", "no", "-C", "no", "-g", str(GAIN)),
        *("-o", "synth.default-soundfont=", "-o", "synth.dynamic-sample-loading=1"),
        *("-r", str(rate), "-O", "float"),
        *(() if period is None else ("-z", str(period))),
        *("-T", "wav", "-F", str(wav)),
    ]
    child = subprocess.run(
        [program(), *options, str(font), str(midi)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    lines = child.stderr.splitlines()
    said = [line for line in lines if "error:" in line or line.startswith("Failed")]
    reason = said[-1] if said else "no message"
    if any(line.startswith("Failed to load the SoundFont") for line in lines):
        raise DataError(f"{font}: cannot be used by {PROGRAM}; install it again")
    if child.returncode != 0 or not wav.is_file():
        raise DataError(f"{PROGRAM} (exit {child.returncode}): {reason}")
    return reason


def render_to(job: Rendering, folder: Path, name: str) -> Path:
    """Render one recording to `folder/name-<hash>.wav`, unless it is there already.

    Returns:
        The file, mono PCM 16.

    Raises:
        DataError: as `render`.
        AudioError: the folder cannot be written to.
    """
    path = folder / f"{name}-{job.hash}.wav"
    if not path.exists():  # files are written atomically, so it is complete
        audio.write(path, render(job), job.rate)
    return path


def check_room(folder: Path, seconds: float, rate: int) -> None:
    """See that recordings of a total length fit on the disk, as PCM 16.

    Raises:
        DataError: they do not.
    """
    room_for(folder, 2 * rate * seconds, "rendering")


def length(tracks: Sequence[Track]) -> float:
    """Return how long a recording of some tracks is to be [s], rounded to milliseconds."""
    return round(max(track.end for track in tracks) + RELEASE, 3)
