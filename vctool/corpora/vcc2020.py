"""VCC2020 (Zhao et al. 2020): fourteen speakers of four languages, 24 kHz, with text.

Four sources `SE*` and four targets `TE*` read English; for the cross-lingual task, the targets
`TF*`, `TG*` and `TM*` read Finnish, German and Mandarin. A sentence's name begins with its
language. Sources and English targets share 20 of their 70 training sentences. 25 evaluation
sentences, those of the targets in `vcc2020_database_groundtruth`, are for scoring and never trained
on. Sentences for validation come out of the training ones.
"""

import re
from pathlib import Path

from vctool.acquisition import challenge
from vctool.acquisition.archive import Archive
from vctool.acquisition.clips import read_text
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Report

_PARTS = (
    "training_source",
    "training_target_task1",
    "training_target_task2",
    "evaluation",
    "groundtruth",
    "transcriptions",
)

INFO = CorpusInfo(
    name="vcc2020",
    title="VCC2020 (Voice Conversion Challenge 2020)",
    hours=1.6,
    hours_estimated=True,
    licence="ODbL 1.0 (database), DbCL 1.0 (contents)",
    licence_source="COPYING in the README of the publisher's repository",
    homepage="https://github.com/nii-yamagishilab/VCC2020-database",
    rate=24000,
    layout="VCC2020/{source,target_task1,target_task2,vcc2020_database_evaluation,"
    "vcc2020_database_groundtruth}/<speaker>/<language><five digits>.wav",
    archives=tuple(
        Archive(
            "https://github.com/nii-yamagishilab/VCC2020-database/raw/master/"
            f"vcc2020_database_{part}.zip",
            source="the publisher's repository, which states no checksums",
        )
        for part in _PARTS
    ),
)

LAYOUT = challenge.Layout(
    training=("source", "target_task1", "target_task2"),
    scored=("vcc2020_database_evaluation", "vcc2020_database_groundtruth"),
    speaker=r"[ST][EFGM][FM]\d",
    learnt=r"[EFGM][12]\d{4}",
    held=r"[EFGM]3\d{4}",
)

_LINE = re.compile(r"(?P<sentence>[EFGM]\d{5})(?:\.wav)?[\s:,]+(?P<text>\S.*)")


def find(downloads: Path) -> Path:
    """Return the folder that holds the folders of sources and targets.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, ("source/SE*/E*.wav", "target_task[12]/T*/*.wav"))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs: train and dev from the training sentences, test from the evaluation.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    return challenge.prepare(source, out, INFO, LAYOUT, _texts(source), seed=seed, nj=nj)


def _texts(source: Path) -> dict[str, str]:
    """Read the transcripts, `<sentence> <Words>` lines, of all languages."""
    files = sorted((source / "vcc2020_database_transcriptions").rglob("*.txt"))
    lines = [line.strip() for file in files for line in read_text(file).splitlines()]
    return {m["sentence"]: m["text"] for m in map(_LINE.fullmatch, lines) if m}
