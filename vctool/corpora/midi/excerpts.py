"""Two stretches of one part of a song, as Cífka et al. (2021) take them for one-shot timbre.

What is taken is drawn by the file's name and the seed alone. The two stretches differ in what is
played and in key, and share the instrument, so that one can tell the timbre of the other.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vctool.corpora.midi import rendering, score
from vctool.corpora.midi.rendering import Rendering
from vctool.corpora.midi.score import Track
from vctool.errors import DataError

STRETCH = 8.0
"""Length of a stretch [s], and the grid on which it begins."""

LEAST_ONSETS = 4
"""Times within a stretch at which notes must begin."""

TRANSPOSED = 5
"""A stretch is moved by at most this many semitones, up or down."""

LARGEST = 100_000
"""Files above this are left out [bytes], as in the publication."""

_VERSION = 1
"""Raised whenever the same file gives other stretches."""


@dataclass(frozen=True)
class Pair:
    """Two stretches of a part, ready to be played."""

    program: int
    """General MIDI program that plays both."""
    starts: tuple[float, float]
    """Where they begin in the file [s], in order."""
    parts: tuple[Track, Track]
    """What is played, from 0 on."""
    fingerprint: str
    """Of the whole part; see `score.fingerprint`."""


def choose(file: Path, seed: int) -> Pair:
    """Draw the two stretches of a file.

    Raises:
        DataError: it is too large, cannot be read, or has no part with two such stretches.
    """
    if (size := file.stat().st_size) > LARGEST:
        raise DataError(f"{file}: {size} bytes, wanted {LARGEST} or less")
    digits = hashlib.sha256(f"{seed}/{_VERSION}/{file.stem}".encode()).hexdigest()
    draw = np.random.default_rng(int(digits[:16], 16))
    candidates = [
        (track, stretches)
        for track in score.read(file)
        if not track.drums and len(stretches := busy(track)) >= 2
    ]
    if not candidates:
        raise DataError(
            f"{file}: no part, but for drums, with two stretches of {LEAST_ONSETS} onsets"
        )
    track, stretches = candidates[int(draw.integers(len(candidates)))]
    program = another(track.program, draw)
    first, second = sorted(int(one) for one in draw.choice(stretches, 2, replace=False))
    starts = (first * STRETCH, second * STRETCH)
    moves = [int(one) for one in draw.integers(-TRANSPOSED, TRANSPOSED + 1, 2)]
    parts = [
        replace(track.between(start, start + STRETCH).transposed(move), program=program)
        for start, move in zip(starts, moves, strict=True)
    ]
    return Pair(program, starts, (parts[0], parts[1]), score.fingerprint(track))


def busy(track: Track) -> list[int]:
    """Number the stretches, on a grid, in which enough notes begin."""
    onsets: dict[int, set[float]] = {}
    for note in track.notes:
        onsets.setdefault(int(note.start // STRETCH), set()).add(round(note.start, 3))
    return sorted(number for number, own in onsets.items() if len(own) >= LEAST_ONSETS)


def another(program: int, draw: np.random.Generator) -> int:
    """Draw a program of the same kind.

    Any of 0 to 31 (keys, mallets, organs, guitars) stands for any of them, any of 40 to 79
    (strings, voices, brass, reeds, pipes) likewise; basses and synthesizers stay in their family of
    eight, and the last families, from 104 on, keep their own.
    """
    if program < 32:
        low, high = 0, 32
    elif 40 <= program < 80:
        low, high = 40, 80
    elif program < 104:
        low = program // 8 * 8
        high = low + 8
    else:
        return program
    return int(draw.integers(low, high))


def fingerprint(file: Path, *, seed: int) -> dict[str, str]:
    """Return what a file is known by, as `cache.over` keeps it: `fingerprint` or `reason`."""
    try:
        return {"fingerprint": choose(file, seed).fingerprint}
    except DataError as error:
        return {"reason": str(error).removeprefix(f"{file}: ")}


def play(
    file: Path, *, seed: int, fonts: Sequence[tuple[str, Path]], rate: int, folder: Path
) -> dict[str, Any]:
    """Render the two stretches of a file, or find them rendered.

    Args:
        file: the song.
        seed: of the draw.
        fonts: names and files of sound fonts, of which one is drawn.
        rate: sampling rate [Hz].
        folder: of the recordings.

    Returns:
        As `cache.over` keeps it: `font`, `program`, and for each stretch `starts` [s] and `wavs`,
        paths; or `reason`.

    Raises:
        DataError: FluidSynth is not installed or fails, or the font is damaged.
        AudioError: the folder cannot be written to.
    """
    pair = choose(file, seed)
    draw = hashlib.sha256(f"{seed}/font/{file.stem}".encode()).digest()
    name, font = fonts[int.from_bytes(draw[:8], "big") % len(fonts)]
    wavs = []
    for start, part in zip(pair.starts, pair.parts, strict=True):
        job = Rendering((part,), font, rate, STRETCH)
        place = folder / file.stem[:2]  # no folder of a hundred thousand files
        try:
            path = rendering.render_to(job, place, f"{file.stem}_{round(1000 * start):07d}")
        except rendering.NoSound as error:
            return {"reason": str(error)}
        wavs.append(str(path))
    return {"font": name, "program": pair.program, "starts": list(pair.starts), "wavs": wavs}


def purpose(seed: int, fonts: Sequence[tuple[str, Path]], rate: int, folder: Path) -> str:
    """Name what `play` does with these arguments, for `cache.over`."""
    sizes = [(name, font.stat().st_size) for name, font in fonts]
    text = json.dumps([_VERSION, rendering.VERSION, seed, sizes, rate, str(folder.absolute())])
    return f"excerpts {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def is_there(played: dict[str, Any]) -> bool:
    """Tell whether what `play` once returned still lies on the disk."""
    return all(Path(path).exists() for path in played.get("wavs", ()))
