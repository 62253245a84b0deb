"""Decode every file of a corpus once: true lengths, and unusable files with the reason."""

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from vctool import audio
from vctool.acquisition.report import Rejected
from vctool.audio.loudness import SILENT_SWING
from vctool.cache import over
from vctool.errors import AudioError

SHORTEST = 0.3
"""Shorter recordings hold no syllable and are rejected [s]."""

LONGEST = 300.0
"""Recordings above this are no utterance, and take gigabytes to analyse as one [s]."""

CLIPPED_SHARE = 0.01
"""Share of the samples that may stand at full scale, next to another that does."""


def survey(
    files: Sequence[Path],
    *,
    channel: int | None = None,
    nj: int = 1,
    longest: float | None = None,
    rate: int | None = None,
) -> tuple[dict[Path, audio.AudioInfo], list[Rejected]]:
    """Measure recordings of voices, or read the cached values (see `vctool.cache`).

    Args:
        files: the recordings.
        channel: 0-based channel of the voice; the mean of all where not given.
        nj: number of threads; decoding runs outside the interpreter's lock.
        longest: above this [s] a recording is left out, such as `LONGEST` where files are
            utterances; any length where not given, since recordings are cut.
        rate: sampling rate that the corpus has [Hz]; files at a lower one lack its band and are
            left out.

    Returns:
        What was measured for each usable file, and the files that are unusable: unreadable,
        NaN, too short, too long, silent, clipped, or at a wrong rate.
    """
    purpose = "measure, with swing" + ("" if channel is None else f", channel {channel}")
    usable: dict[Path, audio.AudioInfo] = {}
    rejected: list[Rejected] = []
    for file, found in zip(
        files, over(files, partial(_measure, channel=channel), purpose, nj), strict=True
    ):
        if isinstance(found, AudioError):
            reason = str(found).removeprefix(f"{file}: ")
        else:
            info = audio.AudioInfo(**found)
            reason = unusable(info, longest, rate)
            if not reason:
                usable[file] = info
                continue
        rejected.append(Rejected(file, reason))
    return usable, rejected


def _measure(file: Path, channel: int | None) -> dict[str, Any]:
    return asdict(audio.measure(file, channel=channel))


def unusable(info: audio.AudioInfo, longest: float | None = None, rate: int | None = None) -> str:
    """Return why a recording cannot be used, see `survey`; nothing where it can."""
    if info.seconds < SHORTEST:
        return f"too short: {info.seconds:.2f} s, wanted {SHORTEST} s or more"
    if longest is not None and info.seconds > longest:
        return f"too long: {info.seconds:.0f} s, wanted {longest:g} s or less"
    if info.swing < SILENT_SWING:
        return f"silent: its samples lie within {info.swing:.1g} of full scale"
    if info.clipped > CLIPPED_SHARE:
        return f"clipped: {info.clipped:.1%} of its samples stand at full scale"
    if rate is not None and info.rate < rate:
        return f"wrong rate: {info.rate} Hz, the corpus has {rate} Hz"
    return ""


def seconds(info: audio.AudioInfo) -> float:
    """Return a duration as data dirs state it: rounded to microseconds [s]."""
    return round(info.seconds, 6)


def word(name: str) -> str:
    """Turn a file or folder name into a part of an id: no blanks, nothing that sorts below `-`.

    Such ids sort by speaker first whatever the speakers are called. A name without a letter or a
    digit becomes its code points, such as `u266b`; dots alone are no name either.
    """
    signs = (
        sign if sign.isalnum() or sign in "._" else "_"
        for sign in unicodedata.normalize("NFC", name)
    )
    cleaned = "".join(signs).strip("_")
    return cleaned if cleaned.strip("._") else "".join(f"u{ord(sign):x}" for sign in name)
