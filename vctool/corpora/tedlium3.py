"""TED-LIUM 3 (Hernandez et al. 2018): 452 h of English talks, 16 kHz NIST SPHERE, with text.

The publisher's splits ("legacy"): eight talks for dev, eleven for test. The STM files cut every
talk into the segments that are utterances here; stretches that they mark to be ignored are left
out. A talk is named `<Speaker>_<year>`, so that several talks of one person are one speaker.
"""

import re
from pathlib import Path

from vctool.acquisition.archive import Archive
from vctool.acquisition.clips import absent, clip, measured, read_text, segment
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import SPLITS, Rejected, Report, finish
from vctool.acquisition.survey import SHORTEST, word
from vctool.data.datadir import Utterance

INFO = CorpusInfo(
    name="tedlium3",
    title="TED-LIUM 3",
    hours=452.0,
    licence="CC BY-NC-ND 3.0, non-commercial, no derivatives",
    homepage="https://www.openslr.org/51/",
    rate=16000,
    layout="TEDLIUM_release-3/legacy/{train,dev,test}/{sph,stm}/<talk>.{sph,stm}",
    archives=(
        Archive(
            "https://www.openslr.org/resources/51/TEDLIUM_release-3.tgz",
            mirrors=("https://openslr.elda.org/resources/51/TEDLIUM_release-3.tgz",),
            checksum="sha256:ad1e454d14d1ad550bc2564c462d87c7a7ec83d4dc2b9210f22ab4973b9eccdb",
            about_bytes=54_000_000_000,
            source="torchaudio.datasets.tedlium (checksum), openslr.org/51 (size)",
        ),
    ),
    non_commercial=True,
)

IGNORED = "ignore_time_segment_in_scoring"
"""Text of stretches that are not transcribed."""

_SUFFIX = re.compile(r" ('(?:s|re|ve|m|ll|d|t)\b)")
_NO_WORD = re.compile(r"<[^>]*>|\{[^}]*\}|\([^)]*\)")


def find(downloads: Path) -> Path:
    """Return the folder that holds `legacy`.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, ("legacy/*/stm/*.stm",))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs of segments; the splits are the publisher's, whatever the seed.

    Raises:
        DataError: there is no usable talk, or none for a split.
    """
    talks = _talks(source)
    if not talks:
        absent(source, INFO)
    rejected = [
        Rejected(file, f"has no STM file: {stm}")
        for file, (_, stm) in talks.items()
        if not stm.is_file()
    ]
    recordings, unusable = measured(
        (clip(file, *_names(file.stem)) for file, (_, stm) in talks.items() if stm.is_file()),
        INFO,
        longest=None,
        nj=nj,
    )
    rejected += unusable
    found: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    for recording in recordings:
        split, stm = talks[recording.wav]
        segments, outside = _segments(recording, stm)
        found[split] += segments
        if outside:
            rejected.append(
                Rejected(recording.wav, f"segments beyond its end, or not in order: {outside}")
            )
    return finish(INFO.name, out, found, disjoint_by="talk (the publisher's)", rejected=rejected)


def _talks(source: Path) -> dict[Path, tuple[str, Path]]:
    """List the talks: the split and the STM file of each.

    The training talks lie in `data` alone in some copies, where `legacy/train` is a link.
    """
    found: dict[Path, tuple[str, Path]] = {}
    for split in ("dev", "test", "train"):
        folder = source / "legacy" / split
        if split == "train" and not any((folder / "sph").glob("*.sph")):
            folder = source / "data"
        held = {file.stem for file in found}
        for file in sorted((folder / "sph").glob("[!.]*.sph")):
            if file.stem not in held:
                found[file] = (split, folder / "stm" / f"{file.stem}.stm")
    return found


def _names(talk: str) -> tuple[str, str]:
    """Return the speaker of a talk, and the rest of its name."""
    speaker, _, rest = talk.partition("_")
    return word(speaker), word(rest or "talk")


def _segments(recording: Utterance, stm: Path) -> tuple[list[Utterance], int]:
    """Read the segments of a talk, `<talk> 1 <speaker> <start> <end> <label> <words>` lines.

    Returns:
        The segments, and how many were left out because they do not lie within the recording.
    """
    found, outside = [], 0
    for line in read_text(stm).splitlines():
        row = line.split()
        if len(row) < 7 or row[0].startswith(";;") or row[6] == IGNORED:
            continue
        try:
            start, end = float(row[3]), float(row[4])
        except ValueError:
            outside += 1
            continue
        if not 0 <= start < end <= recording.duration:
            outside += 1
        elif end - start >= SHORTEST:
            found.append(segment(recording, start, end, _words(row[6:])))
    return found, outside


def _words(tokens: list[str]) -> str | None:
    """Join the words; marks of noise and unknown words go, and `it 's` becomes `it's`."""
    text = _NO_WORD.sub(" ", " ".join(tokens))
    return _SUFFIX.sub(r"\1", " ".join(text.split())) or None
