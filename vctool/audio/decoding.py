"""Decoding with libsndfile, as one mono stream, after the checks that libsndfile leaves out."""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from vctool.audio import foreign
from vctool.audio.containers import opened, refuse_truncated
from vctool.audio.downmix import Downmix, DownmixMeter, told
from vctool.cache import state_of
from vctool.errors import AudioError

LARGEST = 1e10
"""Magnitude beyond which a float sample is no sound; 32-bit integers as floats reach 2.1e9."""

RATES = (1000, 1_000_000)
"""Lowest and highest sampling rate that a header is believed [Hz]."""

_CHUNK = 1 << 18  # samples decoded at once: 1 MiB per channel
_KEPT = 4  # chunks that a file without seeking keeps, so that segments may overlap

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def open_checked(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open for reading after the checks that libsndfile leaves out."""
    path = Path(path)
    with _refusing(path):
        if not path.is_file():
            what = "is not a file" if path.exists() else "no such file"
            raise AudioError(f"{path}: {what}; check the path")
        if path.stat().st_size == 0:
            raise AudioError(f"{path}: empty file; copy it again")
        # what ffmpeg makes of it stays as long as `held` does
        held = foreign.decoded(path, state_of(path)) if foreign.is_foreign(path) else None
        found = path if held is None else held.path
        refuse_truncated(found)
        file = opened(found)
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


def decode(
    file: soundfile.SoundFile, path: Path, channel: int | None, first: int, last: int | None
) -> Iterator[np.ndarray]:
    """Yield mono blocks, (T,) float32, of the samples from first to last at the file's rate."""
    if channel is not None and not 0 <= channel < file.channels:
        raise AudioError(f"{path}: has {file.channels} channels, wanted channel {channel}")
    mix = Downmix((0 if channel is None else channel,))
    if channel is None and file.channels > 1:
        mix = _downmix(path, state_of(path))
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
    key = path, state_of(path)
    if getattr(_open_forward, "key", None) != key:
        _open_forward.decoder = _Forward(path)
        _open_forward.key = key
    decoder: _Forward = _open_forward.decoder
    return decoder


@lru_cache(maxsize=4096)
def _downmix(path: Path, state: str | None) -> Downmix:
    """Go through a file of several channels once, as long as its state stays the same."""
    with open_checked(path) as file:
        meter = DownmixMeter(file.channels, file.samplerate)
        with contextlib.suppress(soundfile.SoundFileError):  # who reads the samples will say so
            for _, block in _blocks(file, 0):
                meter.add(block)
        choice = meter.downmix
        if choice.reason:
            logger.info("%s: %s", path, told(choice, file.channels))
    return choice
