"""Decodes every file of a corpus once: true lengths, and what cannot be used with the reason."""

import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vctool import audio
from vctool.corpora.report import Rejected
from vctool.errors import AudioError, DataError

SHORTEST = 0.3
"""Recordings below this hold no syllable [s]."""

SILENT_PEAK = 1e-3
"""Recordings whose peak is below this (-60 dB of full scale) count as silent."""


def survey(
    files: Sequence[Path], *, channel: int | None = None, nj: int = 1
) -> tuple[dict[Path, audio.AudioInfo], list[Rejected]]:
    """Measure recordings of voices.

    Args:
        files: the recordings.
        channel: 0-based channel of the voice; the mean of all where not given.
        nj: number of threads; decoding runs outside the interpreter's lock.

    Returns:
        What was measured for each usable file, and the files that are unusable: unreadable,
        shorter than `SHORTEST`, or silent.
    """

    def measure(file: Path) -> audio.AudioInfo | Rejected:
        try:
            found = audio.measure(file, channel=channel)
        except AudioError as error:
            return Rejected(file, str(error).removeprefix(f"{file}: "))
        if found.seconds < SHORTEST:
            return Rejected(file, f"too short: {found.seconds:.2f} s, wanted {SHORTEST} s or more")
        if found.peak < SILENT_PEAK:
            return Rejected(file, f"silent: its peak is {found.peak:.1g} of full scale")
        return found

    with ThreadPoolExecutor(max(1, nj)) as pool:
        results = dict(zip(files, pool.map(measure, files), strict=True))
    usable = {file: one for file, one in results.items() if isinstance(one, audio.AudioInfo)}
    return usable, [one for one in results.values() if isinstance(one, Rejected)]


def seconds(info: audio.AudioInfo) -> float:
    """Return a duration as data dirs state it: rounded to microseconds [s]."""
    return round(info.seconds, 6)


def word(name: str) -> str:
    """Turn a file or folder name into a part of an id: no blanks, nothing that sorts below `-`.

    Such ids sort by speaker first whatever the speakers are called.

    Raises:
        DataError: nothing is left of the name.
    """
    signs = (
        sign if sign.isalnum() or sign in "._" else "_"
        for sign in unicodedata.normalize("NFC", name)
    )
    cleaned = "".join(signs).strip("_")
    if not cleaned:
        raise DataError(f"'{name}' holds no letter or digit; rename it")
    return cleaned
