"""Lakh MIDI, full (Raffel 2016), rendered as Cífka et al. (2021) do for one-shot timbre.

Of every file one part is taken, not drums, and of it two stretches of eight seconds; another
instrument of its kind is drawn for it, and one of the named sound fonts plays both stretches, each
transposed by itself (see `vctool.corpora.midi.excerpts`). The speaker is the sound font with the
program, such as `fluidr3_p040`, the domain the program's name, such as `violin`; the two utterances
of a file share all of their ids but what follows the underscore at the end,
`fluidr3_p040-<file>_<milliseconds>`.

Songs whose part is the same in another key or tempo are in one split. Test is played with Timbres
Of Heaven, which nothing is trained on, where it is installed; the report says what is played with
what. Unlike in the publication no effects are rendered in, and Arachno is used only where it is
installed. All of it takes 60 GB and some days; any of the sixteen folders alone is a corpus too.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from vctool.acquisition import splits
from vctool.acquisition.archive import Archive
from vctool.acquisition.clips import absent, clip, into_splits, measured
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import SPLITS, Rejected, Report, finish
from vctool.cache import over
from vctool.corpora.midi import excerpts, rendering, score, soundfonts
from vctool.data.datadir import Utterance
from vctool.errors import AudioError, DataError

INFO = CorpusInfo(
    name="lakh",
    title="Lakh MIDI dataset (full)",
    hours=536.0,
    hours_estimated=True,
    licence="CC BY 4.0 (the collection; the songs are their authors')",
    homepage="https://colinraffel.com/projects/lmd/",
    rate=16000,
    layout="lmd_full/<0 to f>/<32 hexadecimal digits>.mid",
    archives=(
        Archive(
            "http://hog.ee.columbia.edu/craffel/lmd/lmd_full.tar.gz",
            source="muspy.datasets.lmd (address, size, checksum)",
            bytes=1_768_163_879,
            checksum="sha256:6fcfe2ac49ca08f3f214cec86ab138d4fc4dabcd7f27f491a838dae6db45a12b",
        ),
    ),
)

FONTS = (soundfonts.FLUID, soundfonts.TIMGM)
"""What training and validation are played with."""

FURTHER_FONT = soundfonts.ARACHNO
"""What they are played with too, where it is installed."""

TEST_FONT = soundfonts.TIMBRES
"""What test is played with, where it is installed."""

Fonts = tuple[tuple[str, Path], ...]
"""Names and files."""


def find(downloads: Path) -> Path:
    """Return the folder that holds `lmd_full`, or the sixteen folders themselves.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, ("lmd_full/[0-9a-f]/*.mid", f"[0-9a-f]/{'[0-9a-f]' * 32}.mid"))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Render two stretches of every file, and write their data dirs.

    Raises:
        DataError: there are no files, FluidSynth or a sound font is not installed, the disk is too
            small, or there is too little for three splits.
    """
    songs = files(source)
    if not songs:
        absent(source, INFO)
    rendering.program()
    fonts, notes = _fonts()
    assigned, rejected = _assign(songs, seed, nj)
    rendering.check_room(out, 2 * excerpts.STRETCH * len(assigned), INFO.rate)
    found: list[Utterance] = []
    for split in SPLITS:
        own = [file for file in songs if assigned.get(file) == split]
        for file, played in _play(own, seed, fonts[split], out / "rendered", nj):
            if "reason" in played:
                rejected.append(Rejected(file, played["reason"]))
            else:
                found += _utterances(file, played)
    usable, unusable = measured(found, INFO, nj=nj)
    whole, lonely = _pairs(usable)
    split_of = {file.stem: split for file, split in assigned.items()}
    return finish(
        INFO.name,
        out,
        into_splits(whole, lambda one: split_of[_pair(one).split("-", 1)[1]]),
        disjoint_by="song",
        rejected=[*rejected, *unusable, *lonely],
        notes=notes,
    )


def files(source: Path) -> list[Path]:
    """Return the songs of a folder that `find` has found, in order."""
    return sorted(source.glob("lmd_full/[0-9a-f]/*.mid")) or sorted(source.glob("[0-9a-f]/*.mid"))


def _fonts() -> tuple[dict[str, Fonts], list[str]]:
    """Find the sound fonts of every split, and tell what they are.

    Raises:
        DataError: one that is always used is not installed.
    """
    usual = [(font, soundfonts.require(font)) for font in FONTS]
    if (further := soundfonts.find(FURTHER_FONT)) is not None:
        usual.append((FURTHER_FONT, further))
    titles = " and ".join(font.title for font, _ in usual)
    training = tuple((font.name, path) for font, path in usual)
    if (own := soundfonts.find(TEST_FONT)) is not None:
        test: Fonts = ((TEST_FONT.name, own),)
        note = f"played with {titles}, test with {TEST_FONT.title}, which nothing is trained on"
    else:
        test = training
        note = (
            f"all played with {titles}: for a test with unheard timbres {TEST_FONT.remedy} "
            f"({TEST_FONT.title})"
        )
    return {"train": training, "dev": training, "test": test}, [note]


def _assign(files: Sequence[Path], seed: int, nj: int) -> tuple[dict[Path, str], list[Rejected]]:
    """Return the split of every file that can be used, and the others with the reason."""
    rejected: list[Rejected] = []
    first: dict[str, str] = {}
    songs: dict[Path, str] = {}
    look = partial(excerpts.fingerprint, seed=seed)
    purpose = f"fingerprint of excerpts, seed {seed}"
    for file, known in zip(files, over(files, look, purpose, nj), strict=True):
        if "reason" in known:
            rejected.append(Rejected(file, known["reason"]))
        else:
            songs[file] = first.setdefault(known["fingerprint"], file.stem)
    if len(first) < 4:
        why = f" ({rejected[0].file.name}: {rejected[0].reason})" if rejected else ""
        raise DataError(
            f"corpus {INFO.name}: {len(first)} usable songs cannot be divided into three splits"
            f"{why}; bring more of {INFO.layout}"
        )
    chosen = splits.by_group(dict.fromkeys(first.values(), ""), seed, INFO.name)
    return {file: chosen[song] for file, song in songs.items()}, rejected


def _play(
    files: Sequence[Path], seed: int, fonts: Fonts, folder: Path, nj: int
) -> list[tuple[Path, Mapping[str, Any]]]:
    """Render files, or recall that they are rendered.

    Raises:
        AudioError: the folder cannot be written to.
    """
    work = partial(excerpts.play, seed=seed, fonts=fonts, rate=INFO.rate, folder=folder)
    purpose = excerpts.purpose(seed, fonts, INFO.rate, folder)
    found = []
    for file, played in zip(files, over(files, work, purpose, nj), strict=True):
        if isinstance(played, AudioError):
            raise played
        # what is recalled may have been removed since
        found.append((file, played if excerpts.is_there(played) else work(file)))
    return found


def _utterances(file: Path, played: Mapping[str, Any]) -> list[Utterance]:
    """Describe the two stretches of a file."""
    speaker = f"{played['font']}_p{played['program']:03d}"
    domain = score.program_name(played["program"])
    return [
        clip(Path(wav), speaker, f"{file.stem}_{round(1000 * start):07d}", domain=domain)
        for start, wav in zip(played["starts"], played["wavs"], strict=True)
    ]


def _pair(utterance: Utterance) -> str:
    """Return what an utterance shares with the other one of its file."""
    return utterance.id.rsplit("_", 1)[0]


def _pairs(usable: Sequence[Utterance]) -> tuple[list[Utterance], list[Rejected]]:
    """Leave out stretches whose other one cannot be used."""
    sizes: dict[str, int] = {}
    for one in usable:
        sizes[_pair(one)] = sizes.get(_pair(one), 0) + 1
    whole = [one for one in usable if sizes[_pair(one)] == 2]
    lonely = [one for one in usable if sizes[_pair(one)] != 2]
    reason = "the other stretch of its file cannot be used"
    return whole, [Rejected(one.wav, reason) for one in lonely]
