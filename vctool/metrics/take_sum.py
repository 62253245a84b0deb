"""What a take and its lead do when they sound together, at equal energy.

Two sounds that share no vibration add up in power: 3 dB more than either, the same in every band. A
sound and a copy of it that is a little late add up in amplitude, where they do not cancel: the sum
combs. The correlation over 400 ms tells the same before they are mixed: how much of the lead's
wave is still in the take, at whatever small delay.
"""

import numpy as np

from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.pitch import RATE, at_scoring_rate

WINDOW = 2048
"""Window of the spectra whose ripple is measured [samples at 16 kHz]: 128 ms."""
BAND_HZ = (100.0, 5000.0)
"""Where ripple is measured [Hz]."""
DEEPEST_DB = 40.0
"""In bins that are weaker than the strongest by more there is no ripple [dB]."""
CORRELATED_SECONDS = 0.4
"""Length over which waves are correlated [s]."""
REACH_SECONDS = 0.06
"""Largest delay at which they are compared [s]."""
ACTIVE_DB = 30.0
"""Stretches of the lead that are softer than its loudest by more are left out [dB]."""

SETTINGS = (
    "at 16 kHz, lead and take at equal energy; sum: its level over that of either; ripple: "
    "standard deviation over frequency of the sum's mean power spectrum over the sum of theirs, "
    f"{1000 * WINDOW / RATE:g} ms, {BAND_HZ[0]:g} to {BAND_HZ[1]:g} Hz, bins within "
    f"{DEEPEST_DB:g} dB; NCC: largest normalised correlation of {1000 * CORRELATED_SECONDS:g} ms "
    f"of the lead with the take up to {1000 * REACH_SECONDS:g} ms away, mean over the stretches "
    "that sound"
)
"""What these values depend on, for the line under their table."""

TITLE = "sum"
MEASURES = {
    "take_sum": Measure("sum", "dB", "real", "level of lead and take together", gap=False),
    "take_ripple": Measure("ripple", "dB", "real", "comb of lead and take together", gap=False),
    "take_ncc": Measure(
        "NCC 400 ms", "", "real", "correlation of lead and take over 400 ms", gap=False
    ),
}
BOARDS = {"doubles": Stand(20)}
NEEDS = ("sources",)


def measure(row: Row) -> dict[str, Pooled]:
    """Pool what takes do beside their leads: means over takes."""
    found = values(row)
    ones = np.ones(len(found))
    return {name: ratio(found[:, place], ones) for place, name in enumerate(MEASURES)}


def values(row: Row) -> np.ndarray:
    """Measure every take: (N, 3) sum [dB], ripple [dB], correlation; found once."""
    outputs, leads = row.outputs, row.sources
    assert leads is not None

    def find() -> np.ndarray:
        found = []
        for lead, take in zip(leads.waves, outputs.waves, strict=True):
            one, other = at_scoring_rate(lead, leads.rate), at_scoring_rate(take, outputs.rate)
            other = np.pad(other, (0, max(0, len(one) - len(other))))[: len(one)]
            found.append((*together(one, other), correlation(one, other)))
        return np.array(found)

    return outputs.once("sum", find)


def together(lead: np.ndarray, take: np.ndarray) -> tuple[float, float]:
    """Measure the sum of two waves (T,) at the scoring rate: its level [dB] and ripple [dB].

    A silent take adds nothing: 0 dB, no ripple.
    """
    energies = [float(np.sum(wave**2)) for wave in (lead, take)]
    if min(energies) == 0:
        return 0.0, 0.0
    one, other = (wave / np.sqrt(e) for wave, e in zip((lead, take), energies, strict=True))
    level = 10 * np.log10(max(float(np.sum((one + other) ** 2)), 1e-9))
    apart = _spectrum(one) + _spectrum(other)
    hz = np.arange(len(apart)) * RATE / WINDOW
    used = (hz > BAND_HZ[0]) & (hz < BAND_HZ[1]) & (apart > apart.max() * 10 ** (-DEEPEST_DB / 10))
    if not used.any():
        return level, 0.0
    share = _spectrum(one + other)[used] / apart[used]
    return level, float(np.std(10 * np.log10(np.maximum(share, 1e-9))))


def _spectrum(wave: np.ndarray) -> np.ndarray:
    """Return the mean power spectrum of a wave (T,): (1 + WINDOW // 2,)."""
    padded = np.pad(wave, (0, max(0, WINDOW - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[:: WINDOW // 4]
    power: np.ndarray = (np.abs(np.fft.rfft(frames * np.hanning(WINDOW))) ** 2).mean(axis=0)
    return power


def correlation(lead: np.ndarray, take: np.ndarray) -> float:
    """Return the mean over stretches of the largest normalised correlation, -1 to 1.

    Args:
        lead: (T,) at the scoring rate.
        take: (T,) the same.
    """
    count, reach = round(CORRELATED_SECONDS * RATE), round(REACH_SECONDS * RATE)
    lead = np.pad(lead, (0, max(0, count - len(lead))))
    starts = range(0, len(lead) - count + 1, count // 2)
    powers = np.array([float(np.mean(lead[start : start + count] ** 2)) for start in starts])
    around = np.pad(take, (reach, reach + max(0, len(lead) - len(take))))
    found = []
    for start, power in zip(starts, powers, strict=True):
        if power <= powers.max() * 10 ** (-ACTIVE_DB / 10):
            continue
        own = lead[start : start + count]
        other = around[start : start + count + 2 * reach]
        size = 1 << int(np.ceil(np.log2(len(own) + len(other))))
        products = np.fft.irfft(np.fft.rfft(other, size) * np.conj(np.fft.rfft(own, size)), size)
        sums = np.concatenate([[0.0], np.cumsum(other**2)])
        energies = (sums[count:] - sums[:-count]) * (own @ own)
        floor = 1e-9 * float(own @ own) ** 2
        found.append(np.max(products[: 2 * reach + 1] / np.sqrt(np.maximum(energies, floor))))
    return float(np.mean(found)) if found else 0.0
