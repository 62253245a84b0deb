"""Flickr 8k Audio (Harwath and Glass 2015): 183 speakers who read captions of photos, 16 kHz.

40,000 recordings of five captions for each of 8,000 photos, of which `wav2spk.txt` names the
speakers, here `spk1` to `spk183`. The publisher's splits are by photo, and speakers are in all of
them. They and the words are in the captions' own corpus (`Flickr_8k.{train,dev,test}Images.txt` and
`Flickr8k.token.txt`); where these files do not lie beside the recordings, splits by photo in the
same proportions are drawn, and there is no text.
"""

import re
from pathlib import Path

from vctool.acquisition import splits
from vctool.acquisition.archive import Archive
from vctool.acquisition.clips import absent, clip, into_splits, measured, read_text
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import SPLITS, Rejected, Report, finish

INFO = CorpusInfo(
    name="flickr8k",
    title="Flickr 8k Audio Caption Corpus",
    hours=46.0,
    hours_estimated=True,
    licence="CC BY-SA",
    homepage="https://groups.csail.mit.edu/sls/downloads/flickraudio/",
    rate=16000,
    layout="flickr_audio/{wavs/<photo>_<caption>.wav,wav2spk.txt}",
    archives=(
        Archive(
            "https://groups.csail.mit.edu/sls/downloads/flickraudio/downloads/flickr_audio.tar.gz",
            checksum="md5:9d078f1f150c26e864aa64d1d733779a",
            about_bytes=4_200_000_000,
            source="the publisher's page",
        ),
    ),
)

HELD_OUT = 1 / 8
"""Share of the photos in each of dev and test, as in the publisher's 6000, 1000 and 1000."""

_NAME = re.compile(r"(?P<photo>\w+)_(?P<caption>\d)")


def find(downloads: Path) -> Path:
    """Return the folder that holds `wav2spk.txt`.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, ("wav2spk.txt",))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs, disjoint by photo.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    named = {
        file: match
        for file in sorted((source / "wavs").glob("*.wav"))
        if (match := _NAME.fullmatch(file.stem))
    }
    if not named or not (source / "wav2spk.txt").is_file():
        absent(source, INFO)
    speakers = _speakers(source / "wav2spk.txt")
    official = _official(source)
    left_out = {
        file: reason
        for file, match in named.items()
        if (reason := _reason(file.name in speakers, match["photo"], official))
    }
    texts = _texts(source)
    utterances, rejected = measured(
        (
            clip(file, speakers[file.name], file.stem, text=texts.get(file.stem))
            for file in named
            if file not in left_out
        ),
        INFO,
        nj=nj,
    )
    photos = {one.id: named[one.wav]["photo"] for one in utterances}
    drawn = official or splits.by_sentence(
        {"": photos.values()}, seed, INFO.name, test=HELD_OUT, dev=HELD_OUT
    )
    return finish(
        INFO.name,
        out,
        into_splits(utterances, lambda one: drawn[photos[one.id]]),
        disjoint_by="photo (the publisher's)" if official else "photo",
        rejected=[*rejected, *(Rejected(file, reason) for file, reason in left_out.items())],
    )


def _reason(has_speaker: bool, photo: str, official: dict[str, str]) -> str:
    """Say why a recording is left out; nothing where it is not."""
    if not has_speaker:
        return "has no speaker in wav2spk.txt"
    if official and photo not in official:
        return "its photo is in none of the publisher's splits"
    return ""


def _speakers(table: Path) -> dict[str, str]:
    """Read the speaker of every recording, `<file> <number>` lines."""
    rows = (line.split() for line in read_text(table).splitlines())
    return {row[0]: f"spk{row[1]}" for row in rows if len(row) == 2}


def _official(source: Path) -> dict[str, str]:
    """Read the publisher's split of every photo; nothing where its lists are not all there."""
    found: dict[str, str] = {}
    for split in SPLITS:
        lists = sorted(source.glob(f"**/Flickr_8k.{split}Images.txt"))
        if not lists:
            return {}
        found |= dict.fromkeys((Path(name).stem for name in read_text(lists[0]).split()), split)
    return found


def _texts(source: Path) -> dict[str, str]:
    """Read the captions, `<photo>.jpg#<caption><TAB><Words>` lines, by name of the recording."""
    found: dict[str, str] = {}
    for table in sorted(source.glob("**/Flickr8k.token.txt")):
        for line in read_text(table).splitlines():
            key, _, words = line.partition("\t")
            photo, _, caption = key.partition(".jpg#")
            found[f"{photo}_{caption}"] = " ".join(words.split())
    return found
