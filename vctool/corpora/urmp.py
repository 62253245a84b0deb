"""URMP (Li et al. 2018): 44 chamber pieces, every part played and recorded alone, 48 kHz WAV.

A piece is a folder, `<number>_<title>_<instrument>_<instrument>.../`, with one recording for each
part, `AuSep_<part>_<instrument>_<number>_<title>.wav`, in time with the others; the other parts of
its piece are a part's accompaniment. The instrument is both speaker and domain: who played is not
told. Parts are cut into segments where they sound. There are no official splits, and some titles
are there in several arrangements, so that splits are drawn by title; a title is held out only while
all its instruments are left in training.
"""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vctool.corpora import activity, splits
from vctool.corpora.info import CorpusInfo, cannot_fetch, locate
from vctool.corpora.report import SPLITS, Rejected, Report, finish
from vctool.corpora.survey import survey, word
from vctool.data.datadir import Utterance
from vctool.errors import DataError

INFO = CorpusInfo(
    name="urmp",
    title="URMP (University of Rochester Multi-Modal Music Performance)",
    hours=4.0,
    licence="for research; no licence is stated",
    homepage="https://labsites.rochester.edu/air/projects/URMP.html",
    rate=48000,
    layout="URMP/Dataset/<number>_<title>_<instruments>/AuSep_<part>_<instrument>_*.wav",
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


def download(root: Path) -> Path:
    """Say that URMP must be brought along.

    Raises:
        DataError: always.
    """
    cannot_fetch(INFO)


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
        raise DataError(f"{source}: no URMP there; expected {INFO.layout}")
    named = {file: match for file in files if (match := _NAME.fullmatch(file.stem))}
    named = {file: match for file, match in named.items() if match["instrument"] in INSTRUMENTS}
    rejected = [
        Rejected(file, f"not named AuSep_<part>_<{'|'.join(INSTRUMENTS)}>_<number>_<title>.wav")
        for file in files
        if file not in named
    ]
    usable, unusable = survey(list(named), nj=nj)
    with ThreadPoolExecutor(max(1, nj)) as pool:
        cuts = dict(zip(usable, pool.map(activity.segments, usable), strict=True))
    rejected += [Rejected(file, "nothing that sounds was found") for file in cuts if not cuts[file]]
    found: dict[str, list[Utterance]] = {}
    for file, cut in cuts.items():
        others = tuple(one for one in usable if one.parent == file.parent and one != file)
        found.setdefault(named[file]["title"], []).extend(_part(file, named[file], cut, others))
    assigned = _assign(found, seed)
    return finish(
        INFO.name,
        out,
        {
            split: [one for title in found if assigned[title] == split for one in found[title]]
            for split in SPLITS
        },
        disjoint_by="title",
        rejected=[*rejected, *unusable],
    )


def _part(
    file: Path, name: re.Match[str], cut: list[tuple[float, float]], others: tuple[Path, ...]
) -> list[Utterance]:
    """Make the utterances of one part."""
    instrument = INSTRUMENTS[name["instrument"]]
    recording = f"{instrument}-{name['number']}_{word(name['title'])}_{name['part']}"
    return [
        Utterance(
            id=f"{recording}_{round(1000 * start):07d}",
            speaker=instrument,
            domain=instrument,
            wav=file,
            duration=round(end - start, 6),
            start=start,
            end=end,
            accomp=others,
            recording=recording,
        )
        for start, end in cut
    ]


def _assign(found: dict[str, list[Utterance]], seed: int) -> dict[str, str]:
    """Hold out titles for test, then for dev, while training keeps every instrument.

    Returns:
        The split of every title.
    """
    assigned = dict.fromkeys(found, "train")
    parts = {title: {one.speaker for one in found[title]} for title in found}
    left = Counter(instrument for title in parts for instrument in parts[title])
    order = splits.shuffled(found, seed, INFO.name)
    for split, share in (("test", splits.TEST_SHARE), ("dev", splits.DEV_SHARE)):
        wanted = max(1, round(share * len(found)))
        for title in order:
            if wanted and assigned[title] == "train" and all(left[one] > 1 for one in parts[title]):
                assigned[title] = split
                left.subtract(parts[title])
                wanted -= 1
    return assigned
