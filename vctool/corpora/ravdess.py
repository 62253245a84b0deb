"""RAVDESS (Livingstone and Russo 2018): 24 actors who speak and sing the same two sentences.

File names hold seven numbers: modality (03 is sound alone), voice (01 speech, 02 song), emotion,
intensity, statement, repetition, actor. There is no accompaniment. With two statements in all, one
is for training and the other for scoring, and validation takes one emotion out of the training
statement: enough to see that a system runs, too little to judge it by.
"""

import re
from pathlib import Path

from vctool.acquisition import splits
from vctool.acquisition.archive import Archive
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import SPLITS, Report, finish
from vctool.acquisition.survey import LONGEST, seconds, survey
from vctool.data.datadir import Utterance
from vctool.errors import DataError

_RECORD = "https://zenodo.org/records/1188976"

INFO = CorpusInfo(
    name="ravdess",
    title="RAVDESS (speech and song, sound only)",
    hours=2.9,
    hours_estimated=True,
    licence="CC BY-NC-SA 4.0, non-commercial",
    homepage=_RECORD,
    rate=48000,
    layout="RAVDESS/Audio_{Speech,Song}_Actors_01-24/Actor_<number>/03-*.wav",
    archives=(
        Archive(
            f"{_RECORD}/files/Audio_Speech_Actors_01-24.zip",
            "zenodo record 1188976",
            bytes=208468073,
            checksum="md5:bc696df654c87fed845eb13823edef8a",
            into="Audio_Speech_Actors_01-24",
        ),
        Archive(
            f"{_RECORD}/files/Audio_Song_Actors_01-24.zip",
            "zenodo record 1188976",
            bytes=225505317,
            checksum="md5:5411230427d67a21e18aa4d466e6d1b9",
            into="Audio_Song_Actors_01-24",
        ),
    ),
    non_commercial=True,
)

DOMAINS = {"01": "speech", "02": "singing"}
"""Meaning of the second number of a file name."""

STATEMENTS = {"01": "KIDS ARE TALKING BY THE DOOR", "02": "DOGS ARE SITTING BY THE DOOR"}
"""Meaning of the fifth number."""

TRAIN_STATEMENT = "01"

_NAME = re.compile(
    r"03-(?P<voice>0[12])-(?P<emotion>\d\d)-\d\d-(?P<statement>0[12])-\d\d-(?P<actor>\d\d)"
)


def find(downloads: Path) -> Path:
    """Return the folder that holds the speech and song folders, or all actors' folders.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, ("Audio_S*/Actor_*/03-*.wav", "Actor_*/03-*.wav"))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs of both domains; nothing is trimmed.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    named = {
        file: match
        for file in sorted(source.rglob("03-*.wav"))
        if (match := _NAME.fullmatch(file.stem))
    }
    if not named:
        raise DataError(f"{source}: no RAVDESS there; expected {INFO.layout}")
    usable, rejected = survey(list(named), nj=nj, longest=LONGEST, rate=INFO.rate)
    dev = _dev_emotion({(m["voice"], m["emotion"]) for m in map(named.__getitem__, usable)}, seed)
    found: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    for file, measured in usable.items():
        match = named[file]
        speaker = f"actor{match['actor']}"
        if match["statement"] != TRAIN_STATEMENT:
            split = "test"
        else:
            split = "dev" if match["emotion"] == dev else "train"
        found[split].append(
            Utterance(
                id=f"{speaker}-{file.stem}",
                speaker=speaker,
                domain=DOMAINS[match["voice"]],
                wav=file,
                duration=seconds(measured),
                text=STATEMENTS[match["statement"]],
            )
        )
    return finish(
        INFO.name,
        out,
        found,
        disjoint_by="sentence (dev shares the one of train, by emotion)",
        rejected=rejected,
        notes=("two sentences in all: a smoke test, not a result",),
    )


def _dev_emotion(found: set[tuple[str, str]], seed: int) -> str:
    """Choose an emotion that is both spoken and sung, where there is one."""
    spoken, sung = ({emotion for v, emotion in found if v == voice} for voice in DOMAINS)
    return splits.shuffled((spoken & sung) or (spoken | sung), seed, INFO.name)[0]
