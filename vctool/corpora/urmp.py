"""URMP (Li et al. 2018): 44 chamber pieces, every part played and recorded alone, 48 kHz WAV.

A piece is a folder, `<number>_<title>_<instrument>_<instrument>.../`, with one recording for each
part, `AuSep_<part>_<instrument>_<number>_<title>.wav`, in time with the others; the other parts of
its piece are a part's accompaniment. The instrument is both speaker and domain, since who played is
not told; it is taken from the folder's name, because the trombone of 15_Surprise is a `tpt` in its
file's. Parts are cut into segments where they sound. There are no official splits, and some titles
are there in several arrangements that share recordings, so that splits are drawn by title; a title
is held out only while all its instruments are left in training.
"""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from vctool.acquisition import splits
from vctool.acquisition.archive import Archive
from vctool.acquisition.clips import absent, clip, into_splits, measured, phrases
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Rejected, Report, finish
from vctool.acquisition.survey import word
from vctool.data.datadir import Utterance

INFO = CorpusInfo(
    name="urmp",
    title="URMP (University of Rochester Multi-Modal Music Performance)",
    hours=4.0,
    hours_estimated=True,
    licence="CC0 1.0",
    homepage="https://doi.org/10.5061/dryad.ng3r749",
    rate=48000,
    layout="URMP/Dataset/<number>_<title>_<instruments>/AuSep_<part>_<instrument>_*.wav",
    archives=(
        Archive(
            "https://datadryad.org/stash/downloads/file_stream/99348",
            source="timbre-trap's loader (address); rounded size as users of the item give it",
            about_bytes=12_000_000_000,
            name="Dataset.tar.gz",
            into="URMP",
        ),
    ),
)

INSTRUMENTS = {
    "vn": "violin",
    "va": "viola",
    "vc": "cello",
    "db": "double_bass",
    "fl": "flute",
    "ob": "oboe",
    "cl": "clarinet",
    "sax": "saxophone",
    "bn": "bassoon",
    "tpt": "trumpet",
    "hn": "horn",
    "tbn": "trombone",
    "tba": "tuba",
}
"""The publisher's abbreviations."""

_NAME = re.compile(r"AuSep_(?P<part>\d+)_(?P<instrument>[a-z]+)_(?P<number>\d\d)_(?P<title>\w+)")


def find(downloads: Path) -> Path:
    """Return the folder that holds `Dataset`, or the pieces' own folders.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, ("Dataset/*/AuSep_*.wav", "*/AuSep_*.wav"))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs of the parts' segments, each with the other parts as accompaniment.

    Raises:
        DataError: there is no usable part, or there are too few titles for three splits.
    """
    files = sorted(source.glob("*/AuSep_*.wav")) or sorted(source.glob("Dataset/*/AuSep_*.wav"))
    if not files:
        absent(source, INFO)
    named = {file: match for file in files if (match := _NAME.fullmatch(file.stem))}
    named = {file: match for file, match in named.items() if _instrument(file, match) is not None}
    rejected = [
        Rejected(file, f"not named AuSep_<part>_<{'|'.join(INSTRUMENTS)}>_<number>_<title>.wav")
        for file in files
        if file not in named
    ]
    drafts = [_part(file, name) for file, name in named.items()]
    usable, unusable = measured(drafts, INFO, longest=None, nj=nj)
    pieces: dict[Path, list[Path]] = {}
    for one in usable:
        pieces.setdefault(one.wav.parent, []).append(one.wav)
    parts = [
        replace(one, accomp=tuple(file for file in pieces[one.wav.parent] if file != one.wav))
        for one in usable
    ]
    found, silent = phrases(parts, nj=nj)
    titles = {one.id: named[one.wav]["title"] for one in found}
    assigned = _assign(found, titles, seed)
    return finish(
        INFO.name,
        out,
        into_splits(found, lambda one: assigned[titles[one.id]]),
        disjoint_by="title",
        rejected=[*rejected, *unusable, *silent],
    )


def _instrument(file: Path, name: re.Match[str]) -> str | None:
    """Return what plays a part: what its folder says, or its file where the folder does not."""
    parts = file.parent.name.removeprefix(f"{name['number']}_{name['title']}_").split("_")
    position = int(name["part"]) - 1
    told = parts[position] if 0 <= position < len(parts) else ""
    return INSTRUMENTS.get(told, INSTRUMENTS.get(name["instrument"]))


def _part(file: Path, name: re.Match[str]) -> Utterance:
    """Describe the recording of one part."""
    instrument = _instrument(file, name)
    assert instrument is not None, file
    own = f"{name['number']}_{word(name['title'])}_{name['part']}"
    return clip(file, instrument, own, domain=instrument)


def _assign(found: list[Utterance], titles: dict[str, str], seed: int) -> dict[str, str]:
    """Hold out titles for test, then for dev, while training keeps every instrument.

    Args:
        found: all segments.
        titles: of what piece each is, by its id.
        seed: of the draw.

    Returns:
        The split of every title.
    """
    parts: dict[str, set[str]] = {}
    for one in found:
        parts.setdefault(titles[one.id], set()).add(one.speaker)
    assigned = dict.fromkeys(parts, "train")
    left = Counter(instrument for own in parts.values() for instrument in own)
    order = splits.shuffled(parts, seed, INFO.name)
    for split, share in (("test", splits.TEST_SHARE), ("dev", splits.DEV_SHARE)):
        wanted = max(1, round(share * len(parts)))
        for title in order:
            if wanted and assigned[title] == "train" and all(left[one] > 1 for one in parts[title]):
                assigned[title] = split
                left.subtract(parts[title])
                wanted -= 1
    return assigned
