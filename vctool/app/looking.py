"""What the worker without a model does: measures recordings, draws, mixes, encodes, lists models.

It imports no torch, so that it is ready within a second. Everything goes through a recording block
by block: an hour takes the memory of a minute.
"""

import base64
import hashlib
import importlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from vctool import audio
from vctool.app.worker import Post
from vctool.audio.loudness import SILENT_SWING
from vctool.audio.tracks import CHUNK_SECONDS, SpoolTrack
from vctool.checkpoints import converting
from vctool.errors import AudioError, CheckpointError, DataError
from vctool.experiment import places
from vctool.experiment.recipe import ConvertConfig
from vctool.inference import demo as shipped
from vctool.inference import mixing

LONGEST = 4 * 3600.0
"""Longest recording that is taken [s]."""

DRAWN_SECONDS = 600.0
"""Longest recording whose spectrogram and F0 are drawn, and that is played from memory [s]."""

PEAKS, FEW_PEAKS = 1200, 400
"""Most columns of a waveform, large and small."""

COLUMNS, BANDS = 900, 96
"""Size of a spectrogram."""

LOWEST_HZ, HIGHEST_HZ = 50.0, 10000.0
"""Range of frequencies of a spectrogram; its bands are of one width on a scale of octaves."""

RANGE_DB = 75.0
"""Range of levels of a spectrogram, down from its loudest."""

F0_POINTS = 1500
"""Most points of a drawn F0."""

JUDGED_SECONDS = 60.0
"""Length of an output, from its begin, that is looked through for faults [s]."""


def answer(what: str, post: Post, **values: Any) -> Any:
    """Answer a question; see the functions of this module."""
    known: dict[str, Callable[..., Any]] = {
        "measure": measure,
        "look": look,
        "playable": playable,
        "mix": mix,
        "levels": levels,
        "encode": encode,
        "models": models,
        "vocoders": vocoders,
        "demo": demo,
        "experiments": experiments,
    }
    return known[what](**values)


def measure(path: str, kind: str) -> dict[str, Any]:
    """Decode a recording once, and say what it is like.

    Args:
        path: the file.
        kind: `voice`, `target` or `backing`.

    Returns:
        Length, rate, channels, level, F0, peaks, and what is to be said of it.

    Raises:
        AudioError: it cannot be read, or is too short to convert.
        DataError: it lasts more than `LONGEST`.
    """
    from vctool.acquisition import survey
    from vctool.features import reach
    from vctool.inference.limits import LEAST_SECONDS

    file = Path(path)
    head = audio.info(file)
    _require_length(_decoded_length(file, head.rate), file)
    info = audio.measure(file)
    if kind != "backing" and info.seconds < LEAST_SECONDS:
        raise AudioError(
            f"{file}: lasts {info.seconds:.3g} s; at least {LEAST_SECONDS:g} s are needed"
        )
    silent = info.swing < SILENT_SWING
    said, f0 = list[str](), None
    if silent:
        said.append("It is silent.")
    elif kind != "backing":
        start = next(audio.read_blocks(file, reach.RATE, samples=round(60 * reach.RATE)))
        certain = reach.certain_f0(start)
        if len(certain) >= 30:
            f0 = [round(float(one), 1) for one in np.percentile(certain, [5, 50, 95])]
    if reason := survey.unusable(info):
        said.append(f"Preparing it for training would leave it out: {reason}.")
    return {
        "seconds": info.seconds,
        "rate": info.rate,
        "channels": info.channels,
        "format": info.subtype,
        "level": None if silent else round(info.level, 1),
        "silent": silent,
        "f0": f0,
        "said": said,
        "peaks": [] if kind == "target" else peaks(file, info.samples, FEW_PEAKS),
        "long": info.seconds > DRAWN_SECONDS,
    }


def _decoded_length(file: Path, rate: int) -> float:
    """Return the decoded length, or what is beyond `LONGEST` of it [s]; headers are not trusted."""
    samples = 0
    for block in audio.read_blocks(file, samples=round(CHUNK_SECONDS * rate)):
        samples += len(block)
        if samples > LONGEST * rate:
            break
    return samples / rate


def _require_length(seconds: float, file: Path) -> None:
    if seconds > LONGEST:
        raise DataError(f"{file}: lasts more than {LONGEST / 3600:g} hours; cut it into parts")


def peaks(file: Path, samples: int, columns: int = PEAKS) -> list[int]:
    """Return lowest and highest sample of each column, by turns, in 1/127 of full scale."""
    rate = audio.info(file).rate
    wide = max(1, -(-samples // columns))
    found: list[int] = []
    blocks = max(1, round(CHUNK_SECONDS * rate) // wide) * wide
    for block in audio.read_blocks(file, samples=blocks):
        for start in range(0, len(block), wide):
            part = np.clip(block[start : start + wide], -1, 1)
            found += [round(127 * float(part.min())), round(127 * float(part.max()))]
    return found


def look(path: str, source: str) -> dict[str, Any]:
    """Draw an output and its source, and say what is wrong with the output.

    Returns:
        `output` and `source`, each with `peaks`, `image` (BANDS x COLUMNS levels, base64) and `f0`
        [Hz] where it is not too long; and `verdicts`.
    """
    made, own = Path(path), Path(source)
    return {
        "output": _drawn(made),
        "source": _drawn(own),
        "verdicts": verdicts(made, own),
        "bands": BANDS,
        "range": [LOWEST_HZ, HIGHEST_HZ],
    }


def _drawn(file: Path) -> dict[str, Any]:
    info = audio.measure(file)
    found: dict[str, Any] = {"seconds": info.seconds, "peaks": peaks(file, info.samples)}
    if info.seconds <= DRAWN_SECONDS:
        image = spectrogram(file, info.rate, info.samples)
        found["columns"] = image.shape[1]
        found["image"] = base64.b64encode(image.tobytes()).decode()
        found["f0"] = f0(file)
    return found


def spectrogram(file: Path, rate: int, samples: int) -> np.ndarray:
    """Return levels (BANDS, columns) uint8 of a recording: 0 is `RANGE_DB` below its loudest."""
    size = 2048 if rate > 24000 else 1024
    hop = max(size // 8, round(samples / (4 * COLUMNS)))
    edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1) * size / rate
    low = np.clip(np.floor(edges[:-1]).astype(int), 0, size // 2)
    high = np.clip(np.maximum(np.ceil(edges[1:]).astype(int), low + 1), 1, size // 2 + 1)
    audible = edges[:-1] < size / 2
    window = np.hanning(size)
    rows: list[np.ndarray] = []
    for frames in _frames(file, rate, size, hop):
        power = np.abs(np.fft.rfft(frames * window)) ** 2
        total = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power, axis=1)], axis=1)
        rows.append((total[:, high] - total[:, low]) / (high - low))
    bands = np.concatenate(rows)[: 1 + samples // hop]
    group = max(1, -(-len(bands) // COLUMNS))
    bands = np.maximum.reduceat(bands, np.arange(0, len(bands), group))
    db = 10 * np.log10(np.maximum(bands * audible, 1e-12))
    scaled = np.clip(1 + (db - db.max()) / RANGE_DB, 0, 1) * (db.max() > -90)
    return np.ascontiguousarray((255 * scaled).astype(np.uint8).T)


def _frames(file: Path, rate: int, size: int, hop: int) -> Iterator[np.ndarray]:
    """Yield (frames, size), centred on multiples of `hop`, some seconds at a time."""
    held = np.zeros(size // 2, np.float32)
    for block in audio.read_blocks(file, samples=round(CHUNK_SECONDS * rate)):
        held = np.concatenate([held, block])
        if len(held) >= size:
            yield np.lib.stride_tricks.sliding_window_view(held, size)[::hop]
            held = held[(1 + (len(held) - size) // hop) * hop :]
    held = np.concatenate([held, np.zeros(size, np.float32)])
    yield np.lib.stride_tricks.sliding_window_view(held, size)[::hop]


def f0(file: Path) -> list[int]:
    """Return F0 [Hz] at even steps over a recording, 0 where unvoiced."""
    from vctool.metrics import pitch

    parts = [
        pitch.track(block.astype(np.float64))[:-1]
        for block in audio.read_blocks(file, pitch.RATE, samples=30 * pitch.RATE)
    ]
    track = np.concatenate(parts)
    step = max(1, -(-len(track) // F0_POINTS))
    return [round(float(one)) for one in track[::step]]


def verdicts(made: Path, source: Path) -> list[str]:
    """Say what is wrong with an output, a sentence each; nothing of a sound one."""
    from vctool.metrics import sanity

    rate = audio.info(made).rate
    begin = round(JUDGED_SECONDS * rate)
    wave = next(audio.read_blocks(made, rate, samples=begin))
    own = next(audio.read_blocks(source, rate, samples=begin))
    said = sanity.oddities(wave, own)
    clipped = audio.measure(made).clipped
    if clipped > sanity.CLIPPED_SHARE and not any(one.startswith("clipped") for one in said):
        said.append(f"clipped: {100 * clipped:.1f} % of the samples")
    words = {
        "silent": "The result is silent although the recording is not",
        "clipped": "The result is clipped",
        "tonal": "The result is one tone throughout",
        "equal": "The result is a copy of the recording",
    }
    return [
        f"{words.get(one.split()[0].rstrip(':'), 'The result is odd')} ({one})." for one in said
    ]


def playable(path: str, out: str) -> None:
    """Write a recording as a browser plays it: WAV of 16 bits, one or two channels, to 48 kHz."""
    file = Path(path)
    info = audio.info(file)
    rate = min(info.rate, 48000) if info.rate >= 8000 else 8000
    sides: list[int | None] = [0, 1] if info.channels == 2 else [None]
    samples = round(CHUNK_SECONDS * rate)
    with audio.AudioWriter(Path(out), rate, len(sides)) as written:
        streams = [audio.read_blocks(file, rate, samples=samples, channel=one) for one in sides]
        for blocks in zip(*streams, strict=True):
            clipped = [np.clip(block, -1, 1) for block in blocks]
            written.write(np.stack(clipped, axis=1) if len(sides) == 2 else clipped[0])


def levels(voice: str, backing: str, offset: float) -> dict[str, float]:
    """Measure what a mix depends on: levels of a voice and of the backing under it [dB]."""
    with ExitStack() as stack:
        track, rate = _spooled(Path(voice), stack)
        opened = mixing.open_backing(Path(backing), rate, Path(voice).parent, stack)
        length = audio.resampled_length(track.samples, rate, opened.rate)
        chunk = round(CHUNK_SECONDS * opened.rate)
        sides = opened.under(length, offset)
        return {
            "voice": _level(track, rate),
            "backing": mixing.level_of(sides, opened.rate, chunk),
        }


def mix(
    voice: str, backing: str, out: str, offset: float, vocal_db: float, accomp_db: float
) -> None:
    """Mix an output with its backing, as `vctool convert --mix` does."""
    with ExitStack() as stack:
        track, rate = _spooled(Path(voice), stack)
        opened = mixing.open_backing(Path(backing), rate, Path(out).parent, stack)
        gains = mixing.Gains(vocal_db, accomp_db)
        made = mixing.Mix(opened, offset, gains)
        mixing.write_mix(Path(out), track, rate, _level(track, rate), 1.0, made)


def _spooled(file: Path, stack: ExitStack) -> tuple[SpoolTrack, int]:
    rate = audio.info(file).rate
    track = stack.enter_context(SpoolTrack(file.parent))
    for block in audio.read_blocks(file, rate, samples=round(CHUNK_SECONDS * rate)):
        track.append(block)
    return track, rate


def _level(track: SpoolTrack, rate: int) -> float:
    meter = audio.LevelMeter(rate)
    chunk = round(CHUNK_SECONDS * rate)
    for start in range(0, track.samples, chunk):
        meter.add(track.read(start, min(start + chunk, track.samples)))
    return meter.level_db


def encode(path: str, out: str) -> None:
    """Write a WAV file of 16 bits as FLAC, the same samples.

    Raises:
        AudioError: it cannot be written.
    """
    try:
        with soundfile.SoundFile(path) as read:
            form = {"format": "FLAC", "subtype": "PCM_16"}
            with soundfile.SoundFile(out, "w", read.samplerate, read.channels, **form) as written:
                while len(block := read.read(1 << 18, dtype="int16", always_2d=True)):
                    written.write(block)
    except (soundfile.SoundFileError, AssertionError):
        raise AudioError("The disk is full; the file was not written.") from None


def models(pinned: str | None) -> list[dict[str, Any]]:
    """List the models as they are now, with a key that names each in requests.

    Args:
        pinned: a model that is listed first wherever it lies, by its name or path, or None; it is
            told by `pinned`.
    """
    from vctool.tools import models as tool

    listed = tool.inventory()
    first: tool.Model | None = None
    if pinned is not None:
        try:
            first = tool.named(pinned)
        except CheckpointError:  # it was there when the server began, and is gone
            pass
        else:
            place = Path(first.path).resolve()
            first = next((one for one in listed if Path(one.path).resolve() == place), first)
            listed = [first, *(one for one in listed if one is not first)]
    return [one.plain() | {"key": key(one.path), "pinned": one is first} for one in listed]


def vocoders() -> list[dict[str, Any]]:
    """List what may be a trained vocoder, as it is now, with an id that names each in requests."""
    return [
        {"key": key(str(one.path)), "name": one.name, "path": str(one.path), "stamp": stamp}
        for one in places.vocoders()
        if (stamp := _stamp(one.path)) is not None
    ]


def _stamp(path: Path) -> float | None:
    """Return what changes when a vocoder does; None where it is not there."""
    try:
        folder = converting(path / "checkpoints") if path.is_dir() else path
        return None if folder is None else folder.stat().st_mtime
    except (OSError, CheckpointError):
        return None


def demo(voice: str, backing: str) -> dict[str, Any]:
    """Lay the sentence and the backing of `vctool convert --demo` down, and name its models.

    Args:
        voice: where the sentence goes.
        backing: where the backing goes.

    Returns:
        `names` of the recordings by their kind; `models`: keys of the two, in their order.
    """
    found = {"voice": (shipped.SENTENCE, voice), "backing": (shipped.BACKING, backing)}
    for source, made in found.values():
        shutil.copyfile(source, made)
    return {
        "names": {kind: source.name for kind, (source, _) in found.items()},
        "models": [key(str(one)) for one in (shipped.SINGER, shipped.VOICE)],
    }


def experiments() -> list[dict[str, Any]]:
    """List the experiments that were scored, and those that are in training, as they are now."""
    found: list[dict[str, Any]] = importlib.import_module("vctool.app.scored").listed()
    return found


def default_gains() -> dict[str, float]:
    """Return the gains of a mix where no recipe says others [dB]."""
    usual = ConvertConfig()
    return {"vocal": usual.vocal_gain_db, "accomp": usual.accomp_gain_db}


def key(path: str) -> str:
    """Return what stands for a path in requests."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:16]
