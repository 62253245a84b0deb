"""Baselines of the transfer of timbre: formulas, a cheat, and the most that can be had.

    style copy       the style as it is: the right sound, and its own notes
    envelope swap    the content over its own smooth envelope, times the style's
    musaicing        the content rebuilt of the style's frames (Driedger, Prätzlich and Müller 2015)
    random grains    the style cut into pieces in a drawn order: the right sound, random notes

The envelope of a recording is the mean power spectrum of its sounding frames, smoothed over
frequency; swapping a recording's envelope for its own gives the recording.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import ShortTimeFFT

from vctool import audio
from vctool.evaluation.page.table import COPY
from vctool.metrics.base import Each, serially

REAL = "target"
"""The row of the target's own recordings."""
STYLE, SWAP, MUSAICING, GRAINS = "style copy", "envelope swap", "musaicing", "random grains"
RESYNTHESIS = "target resynthesis"
SYSTEMS = {
    COPY: "the content as it is",
    STYLE: "the style as it is: the right sound with its own notes",
    GRAINS: "the style in pieces of 0.2 s in a drawn order, as loud as the content: the right "
    "sound with random notes, a cheat",
    MUSAICING: "the content's magnitudes as a sum of few of the style's frames, with their phases",
    SWAP: "the content over its own smooth mean envelope, times the style's: the formula to beat",
    RESYNTHESIS: "the target through log-mel of 512 bins and Griffin-Lim",
    REAL: "the notes of the content by the instrument of the style",
}
"""What every row of the table but the models' is."""

WINDOW, HOP = 2000, 500
"""Of the formulas [samples at the recordings' rate]."""
SMOOTHED_HZ = 200.0
"""Standard deviation of the window over frequency that envelopes are smoothed by [Hz]."""
DEEPEST_DB = 80.0
"""An envelope lies no deeper than this below its highest point [dB]."""
GATE_DB = 40.0
"""Frames this far below a recording's loudest do not count for its envelope [dB]."""
GRAIN_SECONDS = 0.2
"""Length of the pieces of `random grains` [s]."""
ITERATIONS, POLYPHONY, CONTINUED, REPEATED = 12, 6, 3, 3
"""Of musaicing: updates, frames that sound at once, and half widths of the windows along the style
in which activations are smoothed, and along time in which one frame is not used again."""


def build(
    contents: Sequence[np.ndarray],
    styles: Sequence[np.ndarray],
    rate: int,
    seed: int = 0,
    each: Each = serially,
) -> dict[str, list[np.ndarray]]:
    """Make the waves of every baseline but the resynthesis, one per content.

    Args:
        contents: each (T,).
        styles: (N,) each (T',).
        rate: of all waves [Hz].
        seed: of the random grains.
        each: applies a function to every pair, on processes where it has any.
    """
    made = each(
        partial(_formulas, rate=rate), list(zip(contents, styles, range(len(styles)), strict=True))
    )
    waves: dict[str, list[np.ndarray]] = {COPY: list(contents), STYLE: list(styles)}
    for name in (GRAINS, MUSAICING, SWAP):
        waves[name] = [one[name] for one in made]
    return waves


def _formulas(item: tuple[np.ndarray, np.ndarray, int], rate: int) -> dict[str, np.ndarray]:
    content, style, number = item
    made = {
        GRAINS: grains(content, style, rate, number),
        MUSAICING: musaicing(content, style),
        SWAP: swap(content, style, rate),
    }
    level = audio.level_db(content, rate)
    return {name: audio.match_level(wave, rate, level) for name, wave in made.items()}


def swap(content: np.ndarray, style: np.ndarray, rate: int) -> np.ndarray:
    """Divide a content (T,) by its own smooth envelope and multiply it by the style's (T',).

    Returns:
        (T,) float32; the content itself where the two are the same recording.
    """
    transform = _transform(rate)
    ratio = envelope(style, rate) / envelope(content, rate)
    return _back(transform, _stft(transform, content) * np.sqrt(ratio)[:, None], len(content))


def envelope(wave: np.ndarray, rate: int) -> np.ndarray:
    """Return the smooth mean power spectrum of a wave (T,): (bins,), above 0, its mean 1."""
    power = np.abs(_stft(_transform(rate), wave)) ** 2
    level = power.sum(axis=0)
    sounding = level >= level.max() * 10 ** (-GATE_DB / 10)
    mean = power[:, sounding].mean(axis=1)
    smooth = gaussian_filter1d(mean, SMOOTHED_HZ / (rate / WINDOW), mode="nearest")
    floored = np.maximum(smooth, max(smooth.max() * 10 ** (-DEEPEST_DB / 10), 1e-20))
    return np.asarray(floored / floored.mean())


def musaicing(content: np.ndarray, style: np.ndarray) -> np.ndarray:
    """Rebuild a content (T,) from the frames of a style (T',), as "Let it Bee" does.

    Activations of the style's magnitude frames are fitted to the content's by the updates of
    non-negative matrix factorisation; in each iteration a frame is kept from sounding again at
    once, few sound together, and neighbours in the style follow one another. The output is the
    activations times the style's complex frames.

    Returns:
        (T,) float32.
    """
    transform = _transform(1)
    goal, frames = (_stft(transform, wave) for wave in (content, style))
    target, basis = (np.abs(one).astype(np.float32) + 1e-8 for one in (goal, frames))
    norm = basis.sum(axis=0)
    basis, frames = basis / norm, frames / norm
    random = np.random.default_rng(0)
    active = random.random((basis.shape[1], target.shape[1])).astype(np.float32) * target.sum(0)
    for turn in range(ITERATIONS):
        share = (turn + 1) / ITERATIONS
        active *= basis.T @ (target / np.maximum(basis @ active, 1e-8))
        active = _unrepeated(active, share)
        active = _few(active, share)
        active = _continued(active)
    active *= basis.T @ (target / np.maximum(basis @ active, 1e-8))
    return _back(transform, frames @ active, len(content))


def _unrepeated(active: np.ndarray, share: float) -> np.ndarray:
    """Lessen what is not the strongest of a style's frame within a few frames of time."""
    from scipy.ndimage import maximum_filter1d

    highest = maximum_filter1d(active, 2 * REPEATED + 1, axis=1)
    return np.asarray(np.where(active < highest, active * (1.0 - share), active))


def _few(active: np.ndarray, share: float) -> np.ndarray:
    """Lessen what is not among the strongest few of a moment."""
    if len(active) <= POLYPHONY:
        return active
    least = np.partition(active, -POLYPHONY, axis=0)[-POLYPHONY]
    return np.asarray(np.where(active < least, active * (1.0 - share), active))


def _continued(active: np.ndarray) -> np.ndarray:
    """Sum along diagonals, on which the style's frames follow one another as they were played."""
    made = active.copy()
    for step in range(1, CONTINUED + 1):
        made[step:, step:] += active[:-step, :-step]
        made[:-step, :-step] += active[step:, step:]
    return made


def grains(content: np.ndarray, style: np.ndarray, rate: int, seed: int) -> np.ndarray:
    """Join pieces of a style (T',) in a drawn order, as loud in time as the content (T,)."""
    length = round(GRAIN_SECONDS * rate)
    fade = length // 4
    whole = np.pad(style, (0, max(0, length + fade - len(style))))
    random = np.random.default_rng([seed, 11])
    ramp = np.linspace(0.0, 1.0, fade, endpoint=False)
    window = np.concatenate([ramp, np.ones(length - fade), 1.0 - ramp])
    made = np.zeros(len(content) + length + fade)
    for start in range(0, len(content), length):
        at = int(random.integers(len(whole) - length - fade + 1))
        made[start : start + length + fade] += window * whole[at : at + length + fade]
    made = made[: len(content)]
    loud = [
        np.sqrt(gaussian_filter1d(one.astype(float) ** 2, 0.05 * rate)) for one in (content, made)
    ]
    return np.asarray(made * loud[0] / np.maximum(loud[1], 0.05 * loud[1].max() + 1e-9), np.float32)


def _transform(rate: int) -> ShortTimeFFT:
    return ShortTimeFFT(np.hanning(WINDOW + 1)[:-1], HOP, rate)


def _stft(transform: ShortTimeFFT, wave: np.ndarray) -> np.ndarray:
    """Transform a wave (T,), at least a window of it: (bins, frames)."""
    return np.asarray(transform.stft(np.pad(wave.astype(float), (0, max(0, WINDOW - len(wave))))))


def _back(transform: ShortTimeFFT, spectrum: np.ndarray, samples: int) -> np.ndarray:
    made = transform.istft(spectrum, k1=max(samples, WINDOW))
    return np.asarray(made[:samples], np.float32)
