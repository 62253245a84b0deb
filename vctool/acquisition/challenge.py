"""Corpora of the Voice Conversion Challenges: some folders for training, others for scoring.

A file is one sentence and named after it; all speakers who read a sentence have it under its name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vctool.acquisition import splits
from vctool.acquisition.clips import absent, clip, into_splits, measured
from vctool.acquisition.info import CorpusInfo
from vctool.acquisition.report import Rejected, Report, finish


@dataclass(frozen=True)
class Layout:
    """The folders of a challenge, each with a folder a speaker, and how what is in them is named.

    The three last fields are regular expressions.
    """

    training: tuple[str, ...]
    """Training folders."""
    scored: tuple[str, ...]
    """Folders for scoring only."""
    speaker: str
    """Pattern of the speakers' names."""
    learnt: str
    """Pattern of sentence names in the training folders."""
    held: str
    """Pattern of sentence names in the folders for scoring."""


def prepare(
    source: Path,
    out: Path,
    info: CorpusInfo,
    layout: Layout,
    texts: Mapping[str, str],
    *,
    seed: int,
    nj: int,
) -> Report:
    """Write the data dirs: train and dev from the training folders, test from the others.

    A file of one kind of folder whose name is the other kind's is rejected, so that nothing that
    is scored can be trained on.

    Args:
        source: the corpus's folder.
        out: folder that gets `train`, `dev` and `test`.
        info: the corpus.
        layout: its folders.
        texts: the words of every sentence, where known.
        seed: of the sentences for validation, the same for all speakers who read them.
        nj: number of threads.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    names = dict.fromkeys(layout.training, layout.learnt) | dict.fromkeys(
        layout.scored, layout.held
    )
    files = [
        file
        for folder in names
        for file in sorted((source / folder).glob("*/[!.]*.wav"))
        if re.fullmatch(layout.speaker, file.parent.name)
    ]
    if not files:
        absent(source, info)
    misplaced = {
        file for file in files if not re.fullmatch(names[file.parent.parent.name], file.stem)
    }
    utterances, rejected = measured(
        (
            clip(file, file.parent.name, file.stem, text=texts.get(file.stem), sentence=file.stem)
            for file in files
            if file not in misplaced
        ),
        info,
        nj=nj,
    )
    rejected += [
        Rejected(file, f"no sentence of {file.parent.parent.name}: '{file.stem}'")
        for file in sorted(misplaced)
    ]
    own: dict[str, list[str]] = {}
    for one in utterances:
        if one.wav.parent.parent.name in layout.training:
            own.setdefault(one.speaker, []).append(one.wav.stem)
    drawn = splits.by_sentence(own, seed, info.name, test=0)
    found = into_splits(utterances, lambda one: drawn.get(one.wav.stem, "test"))
    return finish(info.name, out, found, disjoint_by="sentence", rejected=rejected)
