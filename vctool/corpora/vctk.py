"""VCTK 0.92 (Yamagishi et al. 2019): 110 English speakers of many accents, 48 kHz FLAC, with text.

Every utterance was recorded by two microphones at once: this corpus is the first one's, `vctk_mic2`
the second one's. Speakers are held out whole, alternating between the sexes. Every speaker read
some 400 sentences, of which the first two dozen (the rainbow passage and an elicitation paragraph)
are the same for all; `vctk_parallel` holds those out instead, for conversion between speakers.
"""

import re
from pathlib import Path

from vctool.acquisition.archive import Archive
from vctool.acquisition.clips import (
    absent,
    by_speaker,
    clip,
    into_splits,
    measured,
    read_text,
    spoken,
)
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Rejected, Report, finish
from vctool.data.datadir import Utterance

INFO = CorpusInfo(
    name="vctk",
    title="VCTK 0.92 (microphone 1)",
    hours=41.6,
    hours_estimated=True,
    licence="CC BY 4.0",
    homepage="https://datashare.ed.ac.uk/handle/10283/3443",
    rate=48000,
    layout="VCTK-Corpus-0.92/wav48_silence_trimmed/<speaker>/<speaker>_<number>_mic<1 or 2>.flac",
    archives=(
        Archive(
            "https://datashare.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
            mirrors=(
                "https://datashare.is.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
            ),
            bytes=11_747_302_977,
            checksum="sha256:f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",
            source="torchaudio.datasets.vctk (checksum), the DataShare item's metadata (size)",
        ),
    ),
)

AUDIO, TEXT = "wav48_silence_trimmed", "txt"
"""The publisher's folders."""

_NAME = re.compile(r"(?P<speaker>[ps]\d+)_(?P<number>\d+)_mic[12]")


def find(downloads: Path) -> Path:
    """Return the folder that holds `wav48_silence_trimmed`.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, (f"{AUDIO}/*/*_mic[12].flac",))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs, disjoint by speaker.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    return one_microphone(source, out, INFO, microphone="1", seed=seed, nj=nj)


def one_microphone(
    source: Path, out: Path, info: CorpusInfo, *, microphone: str, seed: int, nj: int
) -> Report:
    """Write the data dirs of one microphone; speakers are held out whole.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    utterances, rejected = utterances_of(source, info, microphone=microphone, nj=nj)
    # one draw for both microphones, so that they can be compared
    everybody = {match["speaker"] for match in _named(source, "[12]").values()}
    chosen, disjoint_by = by_speaker(
        utterances, seed, INFO.name, sexes=_sexes(source), others=everybody
    )
    found = into_splits(utterances, lambda one: chosen[one.id])
    return finish(info.name, out, found, disjoint_by=disjoint_by, rejected=rejected)


def utterances_of(
    source: Path, info: CorpusInfo, *, microphone: str, nj: int
) -> tuple[list[Utterance], list[Rejected]]:
    """List what one microphone recorded, each with its words where there are any.

    Raises:
        DataError: there is nothing of this microphone.
    """
    named = _named(source, microphone)
    if not named:
        absent(source, info)
    clips = []
    for file, match in named.items():
        text = _text(source / TEXT / match["speaker"] / f"{match['speaker']}_{match['number']}.txt")
        clips.append(
            clip(file, match["speaker"], match["number"], text=text, sentence=spoken(text))
        )
    return measured(clips, info, nj=nj)


def _named(source: Path, microphone: str) -> dict[Path, re.Match[str]]:
    """List the files of a microphone, `1`, `2` or `[12]`, with the parts of their names."""
    files = sorted((source / AUDIO).glob(f"*/*_mic{microphone}.flac"))
    return {file: match for file in files if (match := _NAME.fullmatch(file.stem))}


def _text(file: Path) -> str:
    """Read a transcript; one speaker (p315) and some utterances have none."""
    return " ".join(read_text(file).split()) if file.is_file() else ""


def _sexes(source: Path) -> dict[str, str]:
    """Read the sex of every speaker, `ID AGE GENDER ACCENTS REGION` lines."""
    table = source / "speaker-info.txt"
    if not table.is_file():
        return {}
    rows = (line.split() for line in read_text(table).splitlines()[1:])
    return {row[0]: row[2] for row in rows if len(row) >= 3}
