"""Sound in and out: any file that libsndfile reads becomes mono float32; mono PCM 16 is written.

Samples are floats in [-1, 1] (float files may exceed it). Lengths are those of the decoded
samples, never of the header, because MP3 headers overstate them. A file that is missing, empty,
truncated, not audio, or holds NaN or infinity is an `AudioError` that names it. Files that are
merely odd (8 bit, 192 kHz, silent, a hundredth of a second) are returned as they are: whether they
are of use is the caller's judgement.
"""

import contextlib
import logging
import math
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from vctool.audio.containers import opened, refuse_truncated
from vctool.audio.downmix import Downmix, DownmixMeter, told
from vctool.audio.loudness import LevelMeter
from vctool.errors import AudioError

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff")
"""Endings, in lower case, by which files in folders are taken for audio."""

END_SLACK = 0.05
"""How far beyond the end of a file a segment may reach before it is an error [s]."""

FULL_SCALE = 0.99
"""Magnitude from which a sample counts as at full scale; 8 bits reach 0.992."""

LARGEST = 1e10
"""Magnitude beyond which a float sample is no sound; 32-bit integers as floats reach 2.1e9."""

RATES = (1000, 1_000_000)
"""Lowest and highest sampling rate that a header is believed [Hz]."""

_CHUNK = 1 << 18  # samples decoded at once: 1 MiB per channel
_KEPT = 4  # chunks that a file without seeking keeps, so that segments may overlap

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AudioInfo:
    """What a file holds."""

    rate: int
    """Sampling rate [Hz]."""
    channels: int
    """Number of channels."""
    samples: int
    """Length of one channel [samples]; `info` takes it from the header, `measure` decodes."""
    subtype: str
    """Encoding, as libsndfile names it, such as `PCM_16`."""
    peak: float = math.nan
    """Largest magnitude of the mono signal; NaN where only the header was read."""
    level: float = math.nan
    """Active level of the mono signal [dB of full scale]; NaN where only the header was read."""
    clipped: float = math.nan
    """Share of the samples at full scale beside another there; NaN as above."""

    @property
    def seconds(self) -> float:
        """Duration [s]."""
        return self.samples / self.rate


def info(path: Path) -> AudioInfo:
    """Read a file's header only.

    Raises:
        AudioError: the file is missing, empty, truncated or not audio.
    """
    with _open(path) as file:
        return AudioInfo(file.samplerate, file.channels, file.frames, file.subtype)


def measure(path: Path, *, channel: int | None = None) -> AudioInfo:
    """Decode a whole file in bounded memory: its true length, peak, active level and clipping.

    Args:
        path: the file.
        channel: 0-based channel to measure; the mean of all where not given.

    Raises:
        AudioError: as `read`.
    """
    with _open(path) as file:
        meter, peak, samples, clipped = LevelMeter(file.samplerate), 0.0, 0, 0
        flat_top = _equal_beside if file.subtype in ("FLOAT", "DOUBLE") else _beside
        for block in _decode(file, path, channel, 0, None):
            meter.add(block)
            size = np.abs(block)
            peak = max(peak, float(np.max(size)))
            samples += len(block)
            clipped += flat_top(size)
        return AudioInfo(
            file.samplerate,
            file.channels,
            samples,
            file.subtype,
            peak,
            meter.level_db,
            clipped / max(1, samples),
        )


def _beside(size: np.ndarray) -> int:
    """Count the magnitudes, (T,), at full scale that have a neighbour there: peaks cut flat."""
    at_rail = size >= FULL_SCALE
    return _paired(at_rail, at_rail[1:] & at_rail[:-1])


def _equal_beside(size: np.ndarray) -> int:
    """Count those whose neighbour is the same: floats have room above full scale, and use it."""
    at_rail = size >= FULL_SCALE
    return _paired(at_rail, at_rail[1:] & (size[1:] == size[:-1]))


def _paired(at_rail: np.ndarray, pairs: np.ndarray) -> int:
    """Count the samples, of (T,) at the rail, in pairs (T - 1,) of neighbours."""
    if not at_rail.any():
        return 0
    paired = np.zeros(len(at_rail), bool)
    paired[1:] |= pairs
    paired[:-1] |= pairs
    return int(np.count_nonzero(paired))


def read(
    path: Path,
    rate: int | None = None,
    *,
    channel: int | None = None,
    start: float | None = None,
    end: float | None = None,
) -> tuple[np.ndarray, int]:
    """Read a file, or a stretch of it, as mono.

    Args:
        path: the file.
        rate: sampling rate to resample to [Hz]; the file's own where not given.
        channel: 0-based channel to take; the mean of all where not given.
        start: beginning of the stretch [s].
        end: end of the stretch [s].

    Returns:
        The wave, (T,) float32, with `T = resampled_length(...)` of the samples read, and its rate.

    Raises:
        AudioError: the file is missing, empty, truncated, not audio, holds NaN or infinity, has no
            such channel, or ends more than `END_SLACK` before `end`.
    """
    with _open(path) as file:
        first = round((start or 0.0) * file.samplerate)
        last = None if end is None else round(end * file.samplerate)
        if first < 0 or (last is not None and last <= first):
            raise AudioError(f"{path}: {start} s to {end} s is not a stretch of time")
        blocks = list(_decode(file, path, channel, first, last))
        got = sum(map(len, blocks))
        wanted = 1 if last is None else last - first - round(END_SLACK * file.samplerate)
        if got < max(wanted, 1):
            held = file.frames / file.samplerate
            until = "its end" if end is None else f"{end} s"
            raise AudioError(f"{path}: holds {held:.2f} s, wanted {start or 0.0} s to {until}")
        own_rate = file.samplerate
    wave = np.concatenate(blocks)
    return (wave, own_rate) if rate is None else (resample(wave, own_rate, rate), rate)


def read_blocks(
    path: Path, rate: int | None = None, *, samples: int, channel: int | None = None
) -> Iterator[np.ndarray]:
    """Read a file of any length in bounded memory, resampled as one stream, without seams.

    Args:
        path: the file.
        rate: sampling rate to resample to [Hz]; the file's own where not given.
        samples: length of every block but the last, at the new rate.
        channel: 0-based channel to take; the mean of all where not given.

    Yields:
        Blocks, (samples,) float32, the last one shorter; joined they are what `read` returns.

    Raises:
        AudioError: as `read`.
    """
    assert samples > 0, samples
    held: list[np.ndarray] = []
    for piece in _resampled_pieces(path, rate, channel):
        held.append(piece)
        if sum(map(len, held)) >= samples:
            joined = np.concatenate(held)
            whole = len(joined) // samples * samples
            yield from joined[:whole].reshape(-1, samples)
            held = [joined[whole:]]
    rest = np.concatenate(held)
    if len(rest):
        yield rest


def _resampled_pieces(path: Path, rate: int | None, channel: int | None) -> Iterator[np.ndarray]:
    """Yield resampled pieces of uneven length, `resampled_length(...)` samples in all."""
    with _open(path) as file:
        own_rate, new_rate = file.samplerate, rate or file.samplerate
        blocks = _decode(file, path, channel, 0, None)
        if own_rate == new_rate:
            yield from blocks
            return
        stream = soxr.ResampleStream(own_rate, new_rate, 1, dtype="float32")
        taken = given = 0
        for block in blocks:
            taken += len(block)
            piece = stream.resample_chunk(block)
            given += len(piece)
            yield piece
        due = resampled_length(taken, own_rate, new_rate) - given
        yield _set_length(stream.resample_chunk(np.empty(0, np.float32), last=True), due)


def resampled_length(samples: int, rate: int, new_rate: int) -> int:
    """Return how many samples `resample` gives: the nearest whole number, at least one."""
    return max(1, (2 * samples * new_rate + rate) // (2 * rate))


def resample(wave: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Resample a wave, (T,), band-limited and without delay.

    Returns:
        The wave at the new rate, (`resampled_length(T, rate, new_rate)`,) float32.
    """
    wave = np.asarray(wave, dtype=np.float32)
    if rate == new_rate:
        return wave
    return _set_length(
        soxr.resample(wave, rate, new_rate), resampled_length(len(wave), rate, new_rate)
    )


def fit_length(wave: np.ndarray, samples: int, offset: int = 0) -> np.ndarray:
    """Loop or cut a wave, (T,), to a number of samples.

    Args:
        wave: the wave; not empty.
        samples: length wanted.
        offset: which of its samples comes first; negative counts back from its end.

    Returns:
        The fitted wave, (samples,).
    """
    assert len(wave) > 0, "an empty wave cannot be looped"
    start = offset % len(wave)
    if start + samples <= len(wave):
        return wave[start : start + samples]
    return np.take(wave, np.arange(start, start + samples), mode="wrap")


def list_audio(folder: Path, *, recursive: bool = True) -> list[Path]:
    """Find the audio files below a folder by their ending, sorted; hidden files are left out."""
    found = folder.rglob("*") if recursive else folder.glob("*")
    return sorted(
        path
        for path in found
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def _set_length(wave: np.ndarray, samples: int) -> np.ndarray:
    """Cut or zero-pad the end; resamplers may be one sample off."""
    return wave[:samples] if len(wave) >= samples else np.pad(wave, (0, samples - len(wave)))


@contextlib.contextmanager
def _open(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open for reading after the checks that libsndfile leaves out."""
    path = Path(path)
    with _refusing(path):
        if not path.is_file():
            what = "is not a file" if path.exists() else "no such file"
            raise AudioError(f"{path}: {what}; check the path")
        if path.stat().st_size == 0:
            raise AudioError(f"{path}: empty file; copy it again")
        refuse_truncated(path)
        file = opened(path)
        if not RATES[0] <= file.samplerate <= RATES[1]:
            raise AudioError(
                f"{path}: its header says {file.samplerate} Hz, which no recording has; "
                "export it again"
            )
    with file:
        yield file


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn what opening a file raises into an `AudioError`."""
    try:
        yield
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror}") from None
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        # TypeError: soundfile takes `.raw` for headerless samples and asks for their rate
        raise AudioError(f"{path}: not audio that can be read ({_brief(error)})") from None


def _brief(error: Exception) -> str:
    return str(error).rsplit(": ", 1)[-1].strip(" .")


def _decode(
    file: soundfile.SoundFile, path: Path, channel: int | None, first: int, last: int | None
) -> Iterator[np.ndarray]:
    """Yield mono blocks, (T,) float32, of the samples from first to last at the file's rate."""
    if channel is not None and not 0 <= channel < file.channels:
        raise AudioError(f"{path}: has {file.channels} channels, wanted channel {channel}")
    mix = Downmix((0 if channel is None else channel,))
    if channel is None and file.channels > 1:
        mix = _downmix(path, path.stat().st_size, path.stat().st_mtime_ns)
    position = min(first, file.frames)
    try:
        for position, block in _stretch(file, path, first, last):
            mono = mix.apply(block)
            # written so that NaN is refused as well
            if len(mono) and not np.abs(mono).max() <= LARGEST:
                raise AudioError(_no_sound(path, mono))
            yield np.ascontiguousarray(mono)
            position += len(block)
    except soundfile.SoundFileError as error:
        reason = _brief(error)
        raise AudioError(f"{path}: truncated or damaged ({reason}); copy it again") from None
    at_end = last is None or position < last
    if at_end and position < file.frames and not _overstates(file):
        raise AudioError(f"{path}: truncated: {position} of {file.frames} samples can be read")
    if position == 0:
        raise AudioError(f"{path}: holds no samples")


def _no_sound(path: Path, wave: np.ndarray) -> str:
    """Say what is wrong with samples, (T,), that are no sound."""
    if not np.isfinite(wave).all():
        return f"{path}: holds NaN or infinity; export it again"
    return f"{path}: holds a sample of {np.abs(wave).max():.2g}, which is no sound; export it again"


def _overstates(file: soundfile.SoundFile) -> bool:
    """Tell whether a file's header may promise more samples than it holds."""
    return file.format in ("MP3", "MPEG")


def _stretch(
    file: soundfile.SoundFile, path: Path, first: int, last: int | None
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield blocks (T, C) float32 from the sample `first` on, each with the place of its first."""
    if not first:
        blocks = _blocks(file, 0, last)
    # MP3 is decoded from its beginning: its seek points count the encoder's padding
    elif _overstates(file) or not file.seekable():
        blocks = _forward(path).blocks(first)
    else:
        blocks = _blocks(file, file.seek(min(first, file.frames)), last)
    for position, block in blocks:
        skipped = max(0, first - position)
        kept = block[skipped : None if last is None else max(0, last - position)]
        if len(kept):
            yield position + skipped, kept
        if last is not None and position + len(block) >= last:
            return


def _blocks(
    file: soundfile.SoundFile, position: int, last: int | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode on from where a file is: blocks (T, C) float32, each with the place of its first."""
    while last is None or position < last:
        count = _CHUNK if last is None else min(_CHUNK, last - position)
        block = file.read(count, dtype="float32", always_2d=True)
        if not len(block):
            return
        yield position, block
        position += len(block)


class _Forward:
    """A file that cannot be sought in, decoded once for all segments that come in their order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._restart()

    def _restart(self) -> None:
        self._kept: deque[tuple[int, np.ndarray]] = deque(maxlen=_KEPT)
        self._file = opened(self._path)
        self._next = _blocks(self._file, 0)

    def blocks(self, first: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield blocks from the one that holds the sample `first` to the end."""
        if self._kept and first < self._kept[0][0]:
            self._restart()
        yield from (entry for entry in tuple(self._kept) if entry[0] + len(entry[1]) > first)
        for entry in self._next:
            self._kept.append(entry)
            if entry[0] + len(entry[1]) > first:
                yield entry


_open_forward = threading.local()


def _forward(path: Path) -> _Forward:
    """Return the decoder of a file; this thread's last one where it is the same file still."""
    state = path.stat()
    key = path, state.st_size, state.st_mtime_ns
    if getattr(_open_forward, "key", None) != key:
        _open_forward.decoder = _Forward(path)
        _open_forward.key = key
    decoder: _Forward = _open_forward.decoder
    return decoder


@lru_cache(maxsize=4096)
def _downmix(path: Path, size: int, modified: int) -> Downmix:
    """Go through a file of several channels once; the file's size and time [ns] are its version."""
    with _open(path) as file:
        meter = DownmixMeter(file.channels, file.samplerate)
        with contextlib.suppress(soundfile.SoundFileError):  # who reads the samples will say so
            for _, block in _blocks(file, 0):
                meter.add(block)
        choice = meter.downmix
        if choice.reason:
            logger.info("%s: %s", path, told(choice, file.channels))
    return choice
