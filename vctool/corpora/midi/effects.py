"""Chains of audio effects, as Cífka et al. (2021) put on both recordings of an instrument.

None, one, two or three effects with probabilities .35, .4, .2 and .05, each at most once, in a
drawn order: overdrive of 10 to 40 dB, phaser, -3 dB and reverberation, or a tremolo of 1 to 15 Hz.
With numpy and scipy; what an effect sounds like is this module's own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve, lfilter, sosfilt

COUNTS = (0.35, 0.4, 0.2, 0.05)
"""Probabilities of none, one, two and three effects."""

VERSION = 1
"""Raised whenever the same chain gives other samples."""

_BLOCK = 32  # samples between which the phaser's sweep stands still


@dataclass(frozen=True)
class Effect:
    """One effect with its settings."""

    kind: str
    """`overdrive`, `phaser`, `reverb` or `tremolo`."""
    amount: float
    """Gain [dB], rate of the sweep [Hz], reverberation time [s], or rate [Hz]."""
    depth: float
    """Share of the effect in the output, 0 to 1."""


Chain = tuple[Effect, ...]
"""Effects in the order in which they are applied."""


def draw(rng: np.random.Generator, least: int = 0) -> Chain:
    """Draw a chain.

    Args:
        rng: what is drawn from.
        least: effects in it at least; the probabilities of longer chains keep their ratios.
    """
    shares = np.array(COUNTS)[least:]
    count = least + int(rng.choice(len(shares), p=shares / shares.sum()))
    ranges = {"overdrive": (10, 40), "phaser": (0.2, 1.5), "reverb": (0.3, 1.5), "tremolo": (1, 15)}
    kinds = rng.permutation(list(ranges))[:count].tolist()
    return tuple(
        Effect(kind, float(rng.uniform(*ranges[kind])), float(rng.uniform(0.4, 0.8)))
        for kind in kinds
    )


def apply(wave: np.ndarray, rate: int, chain: Chain) -> np.ndarray:
    """Apply a chain to a wave (T,) in -1..1: (T,) float32, at no particular level.

    The same chain does the same to every wave, and silence stays silence.
    """
    made = wave.astype(np.float64)
    for effect in chain:
        made = _KINDS[effect.kind](made, rate, effect)
    return made.astype(np.float32)


def _overdrive(wave: np.ndarray, rate: int, effect: Effect) -> np.ndarray:
    """Clip softly by a cubic; the dry sound stays below, and an offset is taken out."""
    driven = np.clip(wave * 10 ** (effect.amount / 20), -1.0, 1.0)
    clipped = 1.5 * driven - 0.5 * driven**3
    mixed = effect.depth * clipped + (1.0 - effect.depth) * wave
    return np.asarray(lfilter([1.0, -1.0], [1.0, -0.995], mixed))


def _phaser(wave: np.ndarray, rate: int, effect: Effect) -> np.ndarray:
    """Add what four all-passes of first order make, whose corners sweep from 200 to 2000 Hz."""
    centres = np.arange(_BLOCK // 2, len(wave) + _BLOCK, _BLOCK) / rate
    sweep = 0.5 - 0.5 * np.cos(2 * np.pi * effect.amount * centres)
    tangent = np.tan(np.pi * 200.0 * 10.0**sweep / rate)
    poles = (tangent - 1) / (tangent + 1)
    state, shifted = np.zeros((2, 2)), np.empty_like(wave)
    for number, pole in enumerate(poles[: -(-len(wave) // _BLOCK)].tolist()):
        # two of first order are one section of second order
        section = [pole**2, 2 * pole, 1.0, 1.0, 2 * pole, pole**2]
        part = slice(number * _BLOCK, (number + 1) * _BLOCK)
        shifted[part], state = sosfilt([section, section], wave[part], zi=state)
    return np.asarray(wave + effect.depth * shifted)


def _reverb(wave: np.ndarray, rate: int, effect: Effect) -> np.ndarray:
    """Add the sound of a room: noise that falls by 60 dB in the reverberation time."""
    time = np.arange(round(effect.amount * rate)) / rate
    room = np.random.default_rng(0).standard_normal(len(time)) * 10 ** (-3 * time / effect.amount)
    room *= np.sqrt(1.0 / np.sum(room**2))
    wet = fftconvolve(wave, room)[: len(wave)]
    return np.asarray(10 ** (-3 / 20) * (wave + effect.depth * wet))


def _tremolo(wave: np.ndarray, rate: int, effect: Effect) -> np.ndarray:
    """Let the level swing, beginning at its highest."""
    swing = 0.5 - 0.5 * np.cos(2 * np.pi * effect.amount * np.arange(len(wave)) / rate)
    return np.asarray(wave * (1.0 - effect.depth * swing))


_KINDS: dict[str, Callable[[np.ndarray, int, Effect], np.ndarray]] = {
    "overdrive": _overdrive,
    "phaser": _phaser,
    "reverb": _reverb,
    "tremolo": _tremolo,
}
