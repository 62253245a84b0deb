"""VCC2016 (Toda et al. 2016): ten speakers who read the same English sentences, 16 kHz, no text.

Speakers `S*` were the challenge's sources, `T*` its targets. Every speaker read the 162 training
sentences, so training on all of them would be parallel. As CycleGAN-VC (Kaneko and Kameoka 2018)
does, sources keep the first 81 sentences and targets the other 81, so that nobody can be learnt
from a copy of what somebody else says; copies of the corpus that hold only these halves give the
same data dirs. Sentences for validation come out of the training ones. `evaluation_all`, parallel
over all speakers, is for scoring and never trained on: published results on this corpus exist
that did, so a file of one folder that turns up in the other is rejected.
"""

import re
from pathlib import Path

from vctool.acquisition import splits
from vctool.acquisition.archive import Archive
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import SPLITS, Rejected, Report, finish
from vctool.acquisition.survey import LONGEST, seconds, survey
from vctool.audio import AudioInfo
from vctool.data.datadir import Utterance
from vctool.errors import DataError

INFO = CorpusInfo(
    name="vcc2016",
    title="VCC2016 (Voice Conversion Challenge 2016)",
    hours=2.2,
    hours_estimated=True,
    licence="CC BY 4.0",
    homepage="https://doi.org/10.7488/ds/1575",
    rate=16000,
    layout="VCC2016/{vcc2016_training,evaluation_all}/<speaker>/<six digits>.wav",
    archives=tuple(
        Archive(
            f"https://datashare.ed.ac.uk/bitstream/handle/10283/2211/{name}.zip",
            "Edinburgh DataShare 10283/2211, which states no checksum",
            mirrors=(f"https://datashare.is.ed.ac.uk/bitstream/handle/10283/2211/{name}.zip",),
        )
        for name in ("vcc2016_training", "evaluation_all")
    ),
)

TRAINING, EVALUATION = "vcc2016_training", "evaluation_all"
"""The publisher's folders."""

LAST_OF_SOURCES = "100081"
"""Training sentences up to this one are for source speakers, later ones for targets."""

_SENTENCES = {TRAINING: re.compile(r"1\d{5}"), EVALUATION: re.compile(r"2\d{5}")}


def find(downloads: Path) -> Path:
    """Return the folder that holds the training and evaluation folders.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, (f"{TRAINING}/*/1?????.wav",))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs: train and dev from the training sentences, test from the evaluation.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    files = sorted(file for folder in _SENTENCES for file in (source / folder).glob("*/*.wav"))
    if not files:
        raise DataError(f"{source}: no VCC2016 there; expected {INFO.layout}")
    misplaced = [file for file in files if not _SENTENCES[_folder(file)].fullmatch(file.stem)]
    rejected = [
        Rejected(file, f"'{file.stem}' is no sentence of {_folder(file)}") for file in misplaced
    ]
    parallel = [file for file in files if file not in set(misplaced) and not _kept(file)]
    skipped = {*misplaced, *parallel}
    usable, unusable = survey(
        [file for file in files if file not in skipped], nj=nj, longest=LONGEST, rate=INFO.rate
    )
    held = _held_out(list(usable), seed)
    found: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    for file, measured in usable.items():
        split = "test" if _folder(file) == EVALUATION else "dev" if file.stem in held else "train"
        found[split].append(_utterance(file, measured))
    note = f"{len(parallel)} training recordings left out, so that sources and targets share none"
    return finish(
        INFO.name,
        out,
        found,
        disjoint_by="sentence",
        rejected=[*rejected, *unusable],
        notes=[note] if parallel else [],
    )


def _utterance(file: Path, measured: AudioInfo) -> Utterance:
    speaker = file.parent.name
    return Utterance(
        id=f"{speaker}-{file.stem}",
        speaker=speaker,
        domain="speech",
        wav=file,
        duration=seconds(measured),
        sentence=file.stem,
    )


def _folder(file: Path) -> str:
    return file.parent.parent.name


def _kept(file: Path) -> bool:
    """Tell whether a recording is of the half of the sentences that its speaker is to keep."""
    is_source, is_early = file.parent.name.startswith("S"), file.stem <= LAST_OF_SOURCES
    return _folder(file) == EVALUATION or is_source == is_early


def _held_out(files: list[Path], seed: int) -> set[str]:
    """Draw the sentences for validation: a tenth of every speaker's, the same for all speakers."""
    own: dict[str, list[str]] = {}
    for file in files:
        if _folder(file) == TRAINING:
            own.setdefault(file.parent.name, []).append(file.stem)
    drawn = splits.by_sentence(own, seed, INFO.name, test=0)
    return {sentence for sentence, split in drawn.items() if split == "dev"}
