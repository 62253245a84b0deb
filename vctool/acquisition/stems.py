"""MUSDB18's `.stem.mp4` files as WAV: five AAC streams each, read by stempeg through ffmpeg.

The streams are the mixture, drums, bass, other and vocals, in this order. What the corpus is
prepared from, all but the mixture, is written once as mono PCM 16 in the layout of MUSDB18-HQ,
`<song>/<stem>.wav`. stempeg takes whatever ffmpeg gives, even nothing; here a stream that is
missing or ends before its time is an error.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vctool import audio, extras, workers
from vctool.acquisition.report import Rejected
from vctool.acquisition.room import room_for
from vctool.data.atomic import commit_text
from vctool.errors import DataError

STREAMS = {"drums": 1, "bass": 2, "other": 3, "vocals": 4}
"""Which stream holds what; 0 is the mixture."""

SUFFIX = ".stem.mp4"

GROWTH = 3
"""What is written is less than so many times the size of the stem files."""

SLACK = 0.1
"""How much shorter than stated a stream may be; the coder pads its ends [s]."""

_STAMP = "decoded.json"


def decode(
    files: Sequence[Path], source: Path, out: Path, *, nj: int = 1
) -> tuple[list[Path], list[Rejected]]:
    """Decode stem files, or what of them is not decoded yet.

    Args:
        files: stem files below `source`.
        source: folder of the corpus.
        out: gets `<song>/<stem>.wav`, at the same place as the song's file below `source`.
        nj: number of threads.

    Returns:
        The folders of the songs, and the files that cannot be used.

    Raises:
        DataError: ffmpeg is not installed, or the disk is too small.
    """
    require_ffmpeg()
    places = {file: out / file.relative_to(source).with_name(song(file)) for file in files}
    left = [file for file in files if not _is_done(file, places[file])]
    room_for(out, GROWTH * sum(file.stat().st_size for file in left), "decoding stems")
    with workers.threads(nj) as pool:
        reasons = dict(
            zip(left, pool.map(_decode, left, [places[file] for file in left]), strict=True)
        )
    done = [places[file] for file in files if not reasons.get(file)]
    return done, [Rejected(file, reason) for file, reason in reasons.items() if reason]


def song(file: Path) -> str:
    """Return the artist and title that a stem file is named after."""
    return file.name.removesuffix(SUFFIX)


def require_ffmpeg() -> None:
    """See that stempeg, ffmpeg, and ffprobe, which comes with it, are installed.

    Raises:
        DataError: one is not.
    """
    extras.require("stempeg", "corpora", f"{SUFFIX} files are decoded with it")
    for program in ("ffmpeg", "ffprobe"):
        if shutil.which(program) is None:
            raise DataError(
                f"{program}: not found on the path, and {SUFFIX} files are decoded with it; on "
                f"Debian and Ubuntu: apt-get install ffmpeg (MUSDB18-HQ, in WAV, needs none)"
            )


def _decode(file: Path, folder: Path) -> str:
    """Write the stems of one file; return why it cannot be used, or nothing."""
    import ffmpeg  # what stempeg runs ffmpeg with
    import stempeg

    try:
        found = stempeg.Info(str(file))
    except ffmpeg.Error as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        reason = lines[-1].removeprefix(f"{file}: ")
        return f"not a stem file that can be read ({reason})"
    if found.nb_audio_streams <= max(STREAMS.values()):
        return f"holds {found.nb_audio_streams} streams, wanted mixture and {', '.join(STREAMS)}"
    rate = int(found.sample_rate(0))
    for stem, stream in STREAMS.items():
        wave, _ = stempeg.read_stems(
            str(file), stem_id=stream, dtype=np.float32, ffmpeg_format="f32le", info=found
        )
        stated = found.duration(stream)
        if len(wave) < (stated - SLACK) * rate:
            return f"damaged: {len(wave) / rate:.1f} s of {stated:.1f} s of {stem} can be decoded"
        audio.write(folder / f"{stem}.wav", wave.mean(axis=1), rate)
    commit_text(folder / _STAMP, json.dumps(_state(file)))  # last, so all of it is there
    return ""


def _state(file: Path) -> dict[str, int]:
    found = file.stat()
    return {"size": found.st_size, "changed": found.st_mtime_ns}


def _is_done(file: Path, folder: Path) -> bool:
    """Tell whether a file's stems are there, and are of the file as it is."""
    stamp = folder / _STAMP
    return (
        all((folder / f"{stem}.wav").is_file() for stem in STREAMS)
        and stamp.is_file()
        and stamp.read_text("utf-8") == json.dumps(_state(file))
    )
