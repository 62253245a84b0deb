"""VCC2018 (Lorenzo-Trueba et al. 2018): twelve speakers of English, 22.05 kHz, with text.

Sources `VCC2S*1`, `VCC2S*2` and the four targets `VCC2T*` read the same 81 training sentences (the
hub task, parallel); sources `VCC2S*3` and `VCC2S*4` read 81 others (the spoke task, not parallel).
35 evaluation sentences are parallel over all, those of the targets in `vcc2018_reference`: they are
for scoring and never trained on. Sentences for validation come out of the training ones. The
publisher's readme states the licence, and that the corpus is based on another one, DAPS.
"""

from pathlib import Path

from vctool.acquisition import challenge
from vctool.acquisition.archive import Archive
from vctool.acquisition.clips import read_text
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Report

_ADDRESS = "https://datashare.ed.ac.uk/bitstream/handle/10283/3061/"
_SOURCE = "the recipes of crank and MaskCycleGAN-VC; no checksums were found"

INFO = CorpusInfo(
    name="vcc2018",
    title="VCC2018 (Voice Conversion Challenge 2018)",
    hours=1.4,
    hours_estimated=True,
    licence="CC BY 4.0",
    homepage="https://datashare.ed.ac.uk/handle/10283/3061",
    rate=22050,
    layout="VCC2018/vcc2018_{training,evaluation,reference}/VCC2<speaker>/<five digits>.wav",
    archives=(
        Archive(
            f"{_ADDRESS}vcc2018_database_training.zip", source=_SOURCE, about_bytes=117_000_000
        ),
        Archive(
            f"{_ADDRESS}vcc2018_database_evaluation.zip", source=_SOURCE, about_bytes=31_800_000
        ),
        Archive(f"{_ADDRESS}vcc2018_database_reference.zip", source=_SOURCE),
        Archive(
            f"{_ADDRESS}vcc2018_database_evaluation_transcriptions.tar.gz",
            source=_SOURCE,
            about_bytes=10_000,
        ),
    ),
)

LAYOUT = challenge.Layout(
    training=("vcc2018_training",),
    scored=("vcc2018_evaluation", "vcc2018_reference"),
    speaker=r"VCC2[ST][FM]\d",
    learnt=r"[12]\d{4}",
    held=r"3\d{4}",
)


def find(downloads: Path) -> Path:
    """Return the folder that holds the training and evaluation folders.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, ("vcc2018_training/VCC2*/*.wav",))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs: train and dev from the training sentences, test from the evaluation.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    return challenge.prepare(source, out, INFO, LAYOUT, _texts(source), seed=seed, nj=nj)


def _texts(source: Path) -> dict[str, str]:
    """Read the transcripts: a file a sentence, below the training folder and in `scripts`."""
    files = [
        *(source / "vcc2018_training" / "Transcriptions").rglob("*.txt"),
        *(source / "scripts").glob("*.txt"),
    ]
    return {file.stem: " ".join(read_text(file).split()) for file in files}
