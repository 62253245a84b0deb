"""Writes PCM 16, as WAV or FLAC, in files that are complete or not there at all."""

import contextlib
import logging
import os
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile

from vctool.durable import sync
from vctool.errors import AudioError
from vctool.temporary import beside

logger = logging.getLogger(__name__)

_WAV_LIMIT = 2**32 - 4096  # a RIFF chunk counts its bytes in 32 bits


class AudioWriter:
    """Writes PCM 16 bit by bit; the file appears under its name when it is complete.

    Used as a context manager. Until then, and after an error, nothing stands at `path` but what
    was there before. Samples outside [-1, 1] are clipped, never wrapped, and counted in a warning.

    Args:
        path: the file; FLAC if its name ends in .flac, else WAV.
        rate: its sampling rate [Hz].
        channels: their number, C.
        durable: wait, in the end, until it is on the disk; takes milliseconds.
    """

    def __init__(self, path: Path, rate: int, channels: int = 1, *, durable: bool = False) -> None:
        self.path = path
        self._durable = durable
        self.rate = rate
        self.channels = channels
        self.samples = 0
        self.clipped = 0
        self._beside = beside(path)
        self._flac = path.suffix.lower() == ".flac"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = soundfile.SoundFile(
                os.fsencode(self._beside),
                "w",
                rate,
                channels,
                subtype="PCM_16",
                format="FLAC" if self._flac else "WAV",
            )
        except (OSError, soundfile.SoundFileError) as error:
            self._discard()
            raise AudioError(f"{path}: cannot be written: {_reason(error, path.parent)}") from None

    def write(self, wave: np.ndarray) -> None:
        """Append samples, (T,) of one channel or (T, C), floats in [-1, 1].

        Raises:
            AudioError: the disk is full or the file would outgrow its format.
        """
        assert wave.shape[1:] == ((self.channels,) if self.channels > 1 else ()), wave.shape
        assert np.isfinite(wave).all(), f"{self.path}: NaN or infinity in the samples"
        size = 2 * self.channels * (self.samples + len(wave))
        if size > _WAV_LIMIT and not self._flac:
            raise AudioError(f"{self.path}: longer than a WAV file can be; convert it in parts")
        scaled = np.rint(np.asarray(wave, dtype=np.float64) * 32768)
        # +1.0 itself becomes 32767 and is no clipping worth a word
        self.clipped += int(np.count_nonzero(np.abs(scaled) > 32768))
        self.samples += len(wave)
        try:
            self._file.write(np.clip(scaled, -32768, 32767).astype(np.int16))
        except (OSError, AssertionError, soundfile.SoundFileError) as error:
            # soundfile asserts that all samples were taken, which a full disk does not do
            reason = _reason(error, self.path.parent)
            raise AudioError(f"{self.path}: cannot be written: {reason}") from None

    def __enter__(self) -> "AudioWriter":
        """Start writing."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put the complete file in its place, or remove the incomplete one."""
        try:
            self._file.close()
            if kind is None:
                if not self._complete():
                    raise AudioError(f"{self.path}: cannot be written: the disk is full")
                if self._durable:
                    sync(self._beside)
                os.replace(self._beside, self.path)
                if self._durable:
                    sync(self.path.parent)
        except (OSError, soundfile.SoundFileError) as failure:
            reason = _reason(failure, self.path.parent)
            raise AudioError(f"{self.path}: cannot be written: {reason}") from None
        finally:
            self._discard()
        if self.clipped:
            share = 100 * self.clipped / (self.samples * self.channels)
            logger.warning("%s: %.2g %% of the samples were clipped", self.path, share)

    def _complete(self) -> bool:
        """Tell whether all samples are in the file: a full disk is not always told at once."""
        if not self._flac:
            return self._beside.stat().st_size >= 2 * self.channels * self.samples
        with soundfile.SoundFile(os.fsencode(self._beside)) as written:
            if written.frames != self.samples:
                return False
            written.seek(max(0, self.samples - 1))
            return len(written.read(1)) == min(1, self.samples)

    def _discard(self) -> None:
        with contextlib.suppress(OSError):  # never there, already renamed, or its folder is a file
            self._beside.unlink()


def write(path: Path, wave: np.ndarray, rate: int) -> None:
    """Write a wave, (T,), floats in [-1, 1], as mono PCM 16, atomically.

    Raises:
        AudioError: the folder cannot be written to, or is full.
    """
    with AudioWriter(path, rate) as file:
        file.write(wave)


def _reason(error: BaseException, folder: Path) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if not os.access(folder, os.W_OK):
        return "no permission to write into its folder"
    return f"the disk is full or failing ({error or type(error).__name__})"
