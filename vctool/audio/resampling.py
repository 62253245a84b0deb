"""From one sampling rate to another: band-limited, without delay, at soxr's high quality."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr


def resampled_length(samples: int, rate: int, new_rate: int) -> int:
    """Return how many samples `resample` gives: the nearest whole number, at least one."""
    return max(1, (2 * samples * new_rate + rate) // (2 * rate))


def resample(wave: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Resample a wave, (T,).

    Returns:
        The wave at the new rate, (`resampled_length(T, rate, new_rate)`,) float32.
    """
    wave = np.asarray(wave, dtype=np.float32)
    if rate == new_rate:
        return wave
    return _set_length(
        soxr.resample(wave, rate, new_rate), resampled_length(len(wave), rate, new_rate)
    )


def resample_stream(blocks: Iterable[np.ndarray], rate: int, new_rate: int) -> Iterator[np.ndarray]:
    """Resample a sound that arrives in blocks, without seams and in bounded memory.

    Args:
        blocks: (T,) float32 each, of any length.
        rate: their sampling rate [Hz].
        new_rate: the rate wanted [Hz].

    Yields:
        Blocks of uneven length; joined they are what `resample` gives for all of it.
    """
    if rate == new_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, new_rate, 1, dtype="float32", quality="HQ")
    taken = given = 0
    for block in blocks:
        taken += len(block)
        piece = stream.resample_chunk(block)
        given += len(piece)
        yield piece
    rest = stream.resample_chunk(np.empty(0, np.float32), last=True)
    yield _set_length(rest, resampled_length(taken, rate, new_rate) - given)


def _set_length(wave: np.ndarray, samples: int) -> np.ndarray:
    """Cut or zero-pad the end; soxr may be one sample off."""
    return wave[:samples] if len(wave) >= samples else np.pad(wave, (0, samples - len(wave)))
