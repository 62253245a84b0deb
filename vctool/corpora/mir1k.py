"""MIR-1K (Hsu and Jang 2010): amateurs singing Chinese pop songs to karaoke, 16 kHz stereo.

The left channel is the accompaniment, the right one the voice. Clips are named
`<singer>_<song>_<clip>.wav`; clips of a song repeat its melody, so none is held out alone: whole
singers are where there are eight or more, else one song of every singer.
"""

import re
from pathlib import Path

from vctool.acquisition.clips import by_singer
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import SPLITS, Rejected, Report, finish
from vctool.acquisition.survey import LONGEST, seconds, survey
from vctool.data.datadir import Utterance
from vctool.errors import DataError

INFO = CorpusInfo(
    name="mir1k",
    title="MIR-1K",
    hours=2.2,
    licence="for research; no licence is stated",
    homepage="https://sites.google.com/site/unvoicedsoundseparation/mir-1k",
    rate=16000,
    layout="MIR-1K/Wavfile/<singer>_<song>_<clip>.wav",
    non_commercial=True,
    consent=(
        "its makers' own address (http://mirlab.org/dataset/public/MIR-1K.rar) is gone and no "
        "licence is stated: ask at https://zenodo.org/records/3532216 for access, or judge for "
        "yourself of the copy at https://figshare.com/articles/dataset/MIR-1K_rar/5802891; unpack "
        "it with unar"
    ),
)

ACCOMPANIMENT, VOICE = 0, 1
"""What the left and the right channel hold."""

_NAME = re.compile(r"(?P<singer>[A-Za-z]+)_(?P<song>\d+)_(?P<clip>\d+)")


def find(downloads: Path) -> Path:
    """Return the folder that holds `Wavfile`.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, ("Wavfile/*_*_*.wav",))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs: voice, and the accompaniment that it was sung to.

    Raises:
        DataError: there is no usable clip, or too few for three splits.
    """
    files = sorted((source / "Wavfile").glob("*.wav"))
    if not files:
        raise DataError(f"{source}: no MIR-1K there; expected {INFO.layout}")
    named = {file: match for file in files if (match := _NAME.fullmatch(file.stem))}
    rejected = [
        Rejected(file, "not named <singer>_<song>_<clip>.wav")
        for file in files
        if file not in named
    ]
    # a mono file lacks the channel of the voice, and is rejected by that
    usable, unusable = survey(list(named), channel=VOICE, nj=nj, longest=LONGEST, rate=INFO.rate)
    utterances = [
        Utterance(
            id=f"{named[file]['singer']}-{named[file]['song']}_{named[file]['clip']}",
            speaker=named[file]["singer"],
            domain="singing",
            wav=file,
            duration=seconds(measured),
            channel=VOICE,
            accomp=(file,),
            accomp_channel=ACCOMPANIMENT,
        )
        for file, measured in usable.items()
    ]
    assigned, disjoint_by = by_singer({one.id: song(one) for one in utterances}, seed, INFO.name)
    return finish(
        INFO.name,
        out,
        {split: [one for one in utterances if assigned[one.id] == split] for split in SPLITS},
        disjoint_by=disjoint_by,
        rejected=[*rejected, *unusable],
    )


def song(utterance: Utterance) -> tuple[str, str]:
    """Return the singer and the song of a clip."""
    return utterance.speaker, utterance.id.removeprefix(f"{utterance.speaker}-").split("_")[0]
