"""MUSDB18 (Rafii et al. 2017, 2019): 150 songs as stems, 44.1 kHz stereo, in two editions.

MUSDB18-HQ holds a folder of WAV files for every song; the compressed edition, one `.stem.mp4` file,
is decoded into the same layout beside the data dirs (see `vctool.acquisition.stems`), which needs
ffmpeg. The voice is `vocals.wav`, its accompaniment the sum of the other three stems, both mixed
down.
Songs are cut into segments where the voice sounds. The publisher's train and test songs stay
apart; validation takes some train songs, or the ends of songs where there are fewer than four.
"""

from collections.abc import Sequence
from pathlib import Path

from vctool.acquisition import activity, splits, stems
from vctool.acquisition.archive import Archive, Subset
from vctool.acquisition.clips import absent
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Rejected, Report, finish
from vctool.acquisition.survey import survey, word
from vctool.data.datadir import Utterance
from vctool.errors import DataError

_HQ, _COMPRESSED = "https://zenodo.org/records/3338373", "https://zenodo.org/records/1117372"

INFO = CorpusInfo(
    name="musdb18",
    title="MUSDB18 or MUSDB18-HQ",
    hours=9.8,
    hours_estimated=True,
    licence="academic use only; terms differ by song",
    homepage=_HQ,
    rate=44100,
    layout=(
        "MUSDB18-HQ/{train,test}/<artist> - <title>/{vocals,drums,bass,other}.wav, or "
        "MUSDB18/{train,test}/<artist> - <title>.stem.mp4"
    ),
    subsets=(
        Subset(
            "hq",
            (
                Archive(
                    f"{_HQ}/files/musdb18hq.zip",
                    "torchaudio.datasets.musdb_hq; rounded size: zenodo record 3338373",
                    about_bytes=22_700_000_000,
                    checksum=(
                        "sha256:baac80d0483c61d74b2e5f3be75fa557eec52898339e6aa45c1fa48833c5d21d"
                    ),
                    into="MUSDB18-HQ",
                ),
            ),
            hours=9.8,
        ),
        Subset(
            "compressed",
            (
                Archive(
                    f"{_COMPRESSED}/files/musdb18.zip",
                    "zenodo record 1117372",
                    bytes=4684228845,
                    checksum="md5:af06762477334799bfc5abf237648207",
                    into="MUSDB18",
                ),
            ),
            hours=9.8,
            default=False,
        ),
    ),
    non_commercial=True,
)

ACCOMPANIMENT = ("drums", "bass", "other")
"""The stems that are summed."""

DECODED = "decoded"
"""Folder of the songs of the compressed edition, beside the data dirs."""

_SPLITS = ("train", "test")

FEW_SONGS = 4
"""Below this many train songs, validation takes ends of songs instead of songs."""


def find(downloads: Path) -> Path:
    """Return the folder that holds `train` and `test`, of MUSDB18-HQ where both are there.

    Raises:
        DataError: there is none.
    """
    try:
        return locate(downloads, INFO, (f"{split}/*/vocals.wav" for split in _SPLITS))
    except DataError:
        return locate(downloads, INFO, (f"{split}/*{stems.SUFFIX}" for split in _SPLITS))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs of vocal segments; decode the songs first where they are compressed.

    Raises:
        DataError: there is no usable song, or too few for three splits, or the songs are
            compressed and ffmpeg is not installed.
    """
    tracks = [file for split in _SPLITS for file in sorted(source.glob(f"{split}/*/vocals.wav"))]
    damaged: list[Rejected] = []
    if not tracks:
        pattern = f"*{stems.SUFFIX}"
        files = [file for split in _SPLITS for file in sorted(source.glob(f"{split}/{pattern}"))]
        if not files:
            absent(source, INFO)
        folders, damaged = stems.decode(files, source, out / DECODED, nj=nj)
        tracks = [folder / "vocals.wav" for folder in folders]
    usable, rejected = survey(tracks, nj=nj)
    rejected += damaged
    complete = [track for track in usable if not (missing := _missing(track))]
    rejected += [
        Rejected(track, f"its song lacks {missing}")
        for track in usable
        if (missing := _missing(track))
    ]
    few = sum(track.parent.parent.name == "train" for track in complete) < FEW_SONGS
    # few songs are cut finely, so that the end of one can be held out
    longest = 2 * activity.SHORTEST if few else activity.LONGEST
    cuts = activity.segments_of(complete, longest=longest, nj=nj)
    rejected += [
        Rejected(track, "no phrase of the voice found") for track in cuts if not cuts[track]
    ]
    songs = {track: _segments(track, cut) for track, cut in cuts.items() if cut}
    train = [track for track in songs if track.parent.parent.name == "train"]
    dev = _validation(train, songs, seed)
    return finish(
        INFO.name,
        out,
        {
            "train": [one for track in train for one in songs[track] if one.id not in dev],
            "dev": [one for track in train for one in songs[track] if one.id in dev],
            "test": [one for track in songs if track not in train for one in songs[track]],
        },
        disjoint_by=(
            "song (the publisher's)"
            if len(train) >= FEW_SONGS
            else "song for test, time for dev (too few songs)"
        ),
        rejected=rejected,
    )


def _missing(track: Path) -> str:
    """Name the stems of a song that are not there."""
    names = [f"{stem}.wav" for stem in ACCOMPANIMENT]
    return " and ".join(name for name in names if not track.with_name(name).is_file())


def _segments(track: Path, cut: Sequence[tuple[float, float]]) -> list[Utterance]:
    """Make the utterances of one song."""
    artist, _, title = track.parent.name.partition(" - ")
    speaker = word(artist)
    recording = f"{speaker}-{word(title or artist)}"
    return [
        Utterance(
            id=f"{recording}_{round(1000 * start):07d}",  # milliseconds: sorts in time
            speaker=speaker,
            domain="singing",
            wav=track,
            duration=round(end - start, 6),
            start=start,
            end=end,
            accomp=tuple(track.with_name(f"{stem}.wav") for stem in ACCOMPANIMENT),
            recording=recording,
        )
        for start, end in cut
    ]


def _validation(train: list[Path], songs: dict[Path, list[Utterance]], seed: int) -> set[str]:
    """Choose the ids of the dev split among the train songs."""
    if len(train) >= FEW_SONGS:
        order = splits.shuffled((track.parent.name for track in train), seed, INFO.name)
        held = set(order[: max(1, round(splits.DEV_SHARE * len(order)))])
        return {one.id for track in train if track.parent.name in held for one in songs[track]}
    segments = [one for track in train for one in songs[track]]
    blocks = splits.by_block([one.duration for one in segments], seed, INFO.name, test=0)
    return {one.id for one, split in zip(segments, blocks, strict=True) if split == "dev"}
