"""LJSpeech 1.1 (Ito and Johnson 2017): one woman who reads seven books, 24 h, 22.05 kHz, with text.

The publisher has no splits. Clips are named `LJ<section>-<number>` after fifty sections of the
books, and neighbours within a section go on with each other's sentence, so whole sections are held
out.
"""

import re
from pathlib import Path

from vctool.acquisition import splits
from vctool.acquisition.archive import Archive
from vctool.acquisition.clips import absent, clip, into_splits, measured, read_text
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Report, finish
from vctool.data.datadir import Utterance

INFO = CorpusInfo(
    name="ljspeech",
    title="LJSpeech 1.1",
    hours=23.9,
    licence="public domain",
    homepage="https://keithito.com/LJ-Speech-Dataset/",
    rate=22050,
    layout="LJSpeech-1.1/wavs/LJ<section>-<number>.wav",
    archives=(
        Archive(
            "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
            bytes=2_748_572_632,
            checksum="sha256:be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
            source="torchaudio.datasets.ljspeech (checksum), the server's answer (size)",
        ),
    ),
)

SPEAKER = "LJ"

_NAME = re.compile(r"LJ\d{3}-\d{4}")


def find(downloads: Path) -> Path:
    """Return the folder that holds `wavs`.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, ("wavs/LJ*-*.wav",))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs, disjoint by section.

    Raises:
        DataError: there is no usable clip, or too few for three splits.
    """
    texts = _texts(source / "metadata.csv")
    clips = [
        clip(file, SPEAKER, file.stem, text=texts.get(file.stem))
        for file in sorted((source / "wavs").glob("LJ*.wav"))
        if _NAME.fullmatch(file.stem)
    ]
    if not clips:
        absent(source, INFO)
    utterances, rejected = measured(clips, INFO, nj=nj)
    sections = {section(one) for one in utterances}
    if len(sections) >= splits.ENOUGH:
        drawn = splits.by_group(dict.fromkeys(sections, ""), seed, INFO.name)
        assigned = {one.id: drawn[section(one)] for one in utterances}
        disjoint_by = "section of a book"
    else:
        blocks = splits.by_block([one.duration for one in utterances], seed, INFO.name)
        assigned = dict(zip((one.id for one in utterances), blocks, strict=True))
        disjoint_by = f"block of reading time (only {len(sections)} sections)"
    found = into_splits(utterances, lambda one: assigned[one.id])
    return finish(INFO.name, out, found, disjoint_by=disjoint_by, rejected=rejected)


def section(utterance: Utterance) -> str:
    """Return the section of a book that a clip is from, such as `LJ001`."""
    return utterance.wav.stem.split("-")[0]


def _texts(table: Path) -> dict[str, str]:
    """Read the words, `<clip>|<as printed>|<numbers written out>` lines; the last is taken."""
    if not table.is_file():
        return {}
    rows = (line.split("|") for line in read_text(table).splitlines())
    return {row[0]: row[-1].strip() for row in rows if len(row) >= 2}
