"""VocalSet (Wilkins et al. 2018): twenty professional singers, many techniques, 44.1 kHz.

Scales, arpeggios, long tones and three songs, `<singer>/<context>/<technique>/*.wav`, without
accompaniment. What is filed under the technique `spoken` is the songs' words read out, and speech.
The publisher lists five singers for test; validation takes some of the other fifteen. Singers are
named after their folders, as some files carry another singer's number.
"""

from collections.abc import Sequence
from pathlib import Path

from vctool.acquisition import splits
from vctool.acquisition.archive import Archive
from vctool.acquisition.clips import (
    absent,
    by_speaker,
    clip,
    first_found,
    into_splits,
    measured,
    read_text,
)
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Report, finish
from vctool.acquisition.survey import word
from vctool.data.datadir import Utterance

INFO = CorpusInfo(
    name="vocalset",
    title="VocalSet 1.1",
    hours=10.1,  # the publication
    licence="CC BY 4.0",
    homepage="https://zenodo.org/records/1442513",
    rate=44100,
    layout="VocalSet/{FULL,data_by_singer}/<singer>/<context>/<technique>/*.wav",
    archives=(
        Archive(
            "https://zenodo.org/records/1442513/files/VocalSet11.zip",
            bytes=2_077_243_579,
            checksum="md5:0c09396242f946e7111ad7d8fc649b81",
            source="the Zenodo record",
        ),
    ),
)

FOLDERS = ("FULL", "data_by_singer")
"""What versions 1.1 and 1.2 call the folder of the singers; the first that is there is taken."""

TEST_LIST = "test_singers_technique.txt"
"""The publisher's file that names the singers for test."""

SPOKEN = "spoken"
"""The technique that is not singing."""


def find(downloads: Path) -> Path:
    """Return the folder that holds `FULL` or `data_by_singer`.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, (f"{folder}/*male*/*/*/*.wav" for folder in FOLDERS))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs, disjoint by singer.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    files = first_found(source, FOLDERS, "*male*/*/*/[!.]*.wav")
    if not files:
        absent(source, INFO)
    clips = []
    for file in files:
        singer, context, technique = file.parts[-4:-1]
        name = "_".join(map(word, (context, technique, file.stem)))
        domain = "speech" if technique == SPOKEN else "singing"
        clips.append(clip(file, singer, name, domain=domain))
    utterances, rejected = measured(clips, INFO, nj=nj)
    assigned, disjoint_by = _assign(utterances, source, seed)
    found = into_splits(utterances, lambda one: assigned[one.id])
    return finish(INFO.name, out, found, disjoint_by=disjoint_by, rejected=rejected)


def _assign(utterances: Sequence[Utterance], source: Path, seed: int) -> tuple[dict[str, str], str]:
    """Return the split of every utterance, and what the splits are disjoint by."""
    sexes = {one.speaker: one.speaker.rstrip("0123456789") for one in utterances}
    table = source / TEST_LIST
    tested = set(read_text(table).split()) & set(sexes) if table.is_file() else set()
    if not tested:
        return by_speaker(utterances, seed, INFO.name, sexes=sexes)
    rest = {singer: sex for singer, sex in sexes.items() if singer not in tested}
    order = splits.alternating(rest, seed, INFO.name)
    dev = order[: max(1, round(splits.DEV_SHARE * len(order)))]
    chosen = dict.fromkeys(rest, "train") | dict.fromkeys(dev, "dev")
    chosen |= dict.fromkeys(tested, "test")
    return {one.id: chosen[one.speaker] for one in utterances}, "singer (test is the publisher's)"
