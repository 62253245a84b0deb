"""LibriSpeech (Panayotov et al. 2015): read English speech, 16 kHz FLAC, with transcripts.

Where the folder holds the publisher's dev and test subsets, these are the splits. Otherwise whole
speakers are held out where there are eight or more, alternating between the sexes, and a block in
time of every speaker's reading where there are fewer.
"""

from pathlib import Path

from vctool.corpora.clips import by_speaker
from vctool.corpora.info import CorpusInfo, cannot_fetch, locate
from vctool.corpora.report import SPLITS, Report, finish
from vctool.corpora.survey import seconds, survey
from vctool.data.datadir import Utterance
from vctool.errors import DataError

INFO = CorpusInfo(
    name="librispeech",
    title="LibriSpeech",
    hours=982.0,
    licence="CC BY 4.0",
    homepage="https://www.openslr.org/12",
    rate=16000,
    layout="LibriSpeech/<subset>/<speaker>/<chapter>/<speaker>-<chapter>-<number>.flac",
)

_SUBSETS = ("train-*", "dev-*", "test-*")


def download(root: Path) -> Path:
    """Say that LibriSpeech must be brought along.

    Raises:
        DataError: always.
    """
    cannot_fetch(INFO)


def find(downloads: Path) -> Path:
    """Return the folder that holds `train-clean-100` or another subset.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, (f"{subset}/*/*/*-*-*.flac" for subset in _SUBSETS))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs of the subsets that are there.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    files = sorted(file for subset in _SUBSETS for file in source.glob(f"{subset}/*/*/*-*-*.flac"))
    if not files:
        raise DataError(f"{source}: no LibriSpeech there; expected {INFO.layout}")
    usable, rejected = survey(files, nj=nj)
    texts = _texts(source)
    utterances = [
        Utterance(
            id=file.stem,
            speaker=file.stem.split("-")[0],
            domain="speech",
            wav=file,
            duration=seconds(measured),
            text=texts.get(file.stem),
        )
        for file, measured in sorted(usable.items(), key=lambda item: item[0].stem)
    ]
    assigned, disjoint_by = _assign(utterances, source, seed)
    return finish(
        INFO.name,
        out,
        {split: [one for one in utterances if assigned[one.id] == split] for split in SPLITS},
        disjoint_by=disjoint_by,
        rejected=rejected,
    )


def _assign(utterances: list[Utterance], source: Path, seed: int) -> tuple[dict[str, str], str]:
    """Return the split of every utterance, and what the splits are disjoint by."""
    subsets = {one.id: one.wav.relative_to(source).parts[0].split("-")[0] for one in utterances}
    if set(subsets.values()) == set(SPLITS):
        return subsets, "speaker (the publisher's subsets)"
    return by_speaker(utterances, seed, INFO.name, sexes=_sexes(source))


def _texts(source: Path) -> dict[str, str]:
    """Read the transcripts, `<utterance> <WORDS>` lines, of all chapters."""
    found: dict[str, str] = {}
    for subset in _SUBSETS:
        for file in source.glob(f"{subset}/*/*/*.trans.txt"):
            rows = (line.split(" ", 1) for line in file.read_text("utf-8").split("\n") if line)
            found |= {row[0]: row[1].strip() for row in rows if len(row) == 2}
    return found


def _sexes(source: Path) -> dict[str, str]:
    """Read the sex of every reader from the corpus's own table, where it is there."""
    table = source / "SPEAKERS.TXT"
    if not table.is_file():
        return {}
    lines = table.read_text("utf-8", errors="replace").split("\n")
    rows = (line.split("|") for line in lines if not line.startswith(";"))
    return {row[0].strip(): row[1].strip() for row in rows if len(row) >= 2}
