"""Detect broken outputs: silent, one tone throughout, clipped, or equal to the input.

These are cheap checks of one wave, for warnings during training; they are not scores.
"""

import numpy as np

from vctool.audio import rms_db

SILENT_DB = -60.0
"""An output quieter than this is silent [dB of full scale]."""
DROP_DB = 40.0
"""So is one that is this much quieter than its source [dB]."""
CLIPPED_SHARE = 0.001
"""Share of samples at or beyond full scale above which an output is clipped."""
TONAL_SIMILARITY = 0.95
"""Mean cosine between frames' spectra and their mean above which an output is one tone. White
noise has sqrt(pi / 4) = 0.89, a tone or a drone 1; voices stay below 0.8."""
EQUAL_DB = 1.0
"""Mean distance of band levels below which an output is its input [dB]; two takes of one sentence
differ by 5 and more."""

_WINDOW = 1024  # samples: 23 to 64 ms over the rates in use
_BANDS = 40


def oddities(wave: np.ndarray, source: np.ndarray) -> list[str]:
    """Name what is wrong with an output, one line each; nothing for a sound one.

    Args:
        wave: (T,) the output, floats with full scale at 1, before it is clipped for writing.
        source: (T',) what it was made from, at the same rate and, to be recognised as equal, made
            by the same vocoder from unconverted features.

    Returns:
        Lines such as `silent: -93 dB`.
    """
    if not np.isfinite(wave).all():
        return [f"{np.count_nonzero(~np.isfinite(wave))} samples are not finite"]
    level, source_level = rms_db(wave), rms_db(source)
    if level < max(SILENT_DB, source_level - DROP_DB):
        # silence from silence is as it should be
        quiet = source_level < SILENT_DB
        return [] if quiet else [f"silent: {level:.0f} dB, its input has {source_level:.0f} dB"]
    found = []
    clipped = float(np.mean(np.abs(wave) >= 1.0))
    if clipped > CLIPPED_SHARE:
        found.append(f"clipped: {100 * clipped:.1f} % of the samples")
    steadiness = tonality(wave)
    if steadiness > TONAL_SIMILARITY:
        found.append(f"tonal: one tone throughout (similarity of frames {steadiness:.2f})")
    distance = band_distance(wave, source)
    if distance < EQUAL_DB:
        found.append(f"equal to its input: {distance:.2f} dB apart")
    return found


def tonality(wave: np.ndarray) -> float:
    """Return how similar the spectra of all frames are, 0 to 1.

    The mean, over frames within 30 dB of the loudest, of the cosine between a frame's magnitude
    spectrum and the mean of all of them, each of unit length; blind to level.
    """
    spectra = np.sqrt(_power(wave))
    length = np.linalg.norm(spectra, axis=1)
    units = spectra[length > length.max() / 10**1.5]
    units = units / np.linalg.norm(units, axis=1, keepdims=True).clip(1e-12)
    mean = units.mean(axis=0)
    return float((units @ mean).mean() / max(float(np.linalg.norm(mean)), 1e-12))


def band_distance(wave: np.ndarray, source: np.ndarray) -> float:
    """Return the mean distance of two waves' band levels over frames and bands [dB].

    Over frames in which either is within 30 dB of its loudest, after their mean levels are made
    equal; the shorter wave decides how much is compared.
    """
    one, other = _band_db(wave), _band_db(source)
    frames = min(len(one), len(other))
    one, other = one[:frames], other[:frames]
    loud = [levels.max(axis=1) > levels.max() - 30 for levels in (one, other)]
    difference = (one - other)[loud[0] | loud[1]]
    return float(np.abs(difference - np.median(difference)).mean())


def _power(wave: np.ndarray) -> np.ndarray:
    """Return the power spectrogram of half-overlapping Hann windows, (frames, bins)."""
    padded = np.pad(np.asarray(wave, np.float64), (0, max(0, _WINDOW - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[:: _WINDOW // 2]
    power: np.ndarray = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW))) ** 2
    return power


def _band_db(wave: np.ndarray) -> np.ndarray:
    """Return levels in bands whose widths grow with frequency, (frames, bands) [dB]."""
    edges = np.unique(np.geomspace(2, _WINDOW // 2, _BANDS).astype(int))
    power = np.add.reduceat(_power(wave), edges, axis=1)
    # a floor 80 dB below the loudest: what is below is rounding, and must not count as different
    return 10 * np.log10(np.maximum(power, max(float(power.max()) * 1e-8, 1e-20)))
