"""Baselines of singing: no learning, no parameters fitted to data.

Copy, analysis and resynthesis, F0 snap (the formula to beat), drone (the cheat on chroma
agreement), a random real singing clip (the cheat on every distribution), and the same clip through
WORLD (what a vocoder costs).
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from vctool.evaluation.page.table import COPY
from vctool.metrics import harmony
from vctool.metrics.base import Each, serially
from vctool.metrics.pitch import F0_CEIL, F0_FLOOR, FRAME_RATE, to_semitones

STRONG = 3
"""Pitch classes of the accompaniment that F0 snap may rest on: as many as a triad has."""
HOLD_SECONDS = 0.25
"""F0 snap keeps a note at least this long, where the voice lasts."""
GLIDE_SECONDS = 0.04
"""Both formulas glide between notes over this time."""
RESYNTHESIS, SNAP, DRONE = "resynthesis", "F0 snap", "drone"
RANDOM, CODED = "random singing", "real singing, WORLD"
"""Rows, besides the copy."""
SILENT = np.full((1, 12), np.nan)
"""Chroma of no accompaniment."""


class WorldVoice(NamedTuple):
    """WORLD parameters of a voice, every 10 ms."""

    f0: np.ndarray
    """(F,) [Hz], 0 where unvoiced."""
    envelope: np.ndarray
    """(F, n_fft // 2 + 1) power."""
    aperiodicity: np.ndarray
    """(F, n_fft // 2 + 1)."""
    rate: int
    samples: int


def take_apart(wave: np.ndarray, rate: int) -> WorldVoice:
    """Analyse a wave (T,) by WORLD: DIO and StoneMask, CheapTrick, D4C."""
    import pyworld

    wave = np.ascontiguousarray(wave, dtype=np.float64)
    period = 1000.0 / FRAME_RATE
    f0, times = pyworld.dio(wave, rate, f0_floor=F0_FLOOR, f0_ceil=F0_CEIL, frame_period=period)
    f0 = pyworld.stonemask(wave, f0, times, rate)
    envelope = pyworld.cheaptrick(wave, f0, times, rate)
    aperiodicity = pyworld.d4c(wave, f0, times, rate)
    return WorldVoice(f0, envelope, aperiodicity, rate, len(wave))


def put_together(voice: WorldVoice, f0: np.ndarray) -> np.ndarray:
    """Synthesise a voice with another F0 (F,) [Hz]: (samples,) float32."""
    import pyworld

    wave = pyworld.synthesize(
        np.ascontiguousarray(f0), voice.envelope, voice.aperiodicity, voice.rate, 1000 / FRAME_RATE
    )
    return np.pad(wave[: voice.samples], (0, max(voice.samples - len(wave), 0))).astype(np.float32)


def resynthesise(wave: np.ndarray, rate: int) -> np.ndarray:
    """Analyse and synthesise a wave (T,) by WORLD, and nothing else."""
    voice = take_apart(wave, rate)
    return put_together(voice, voice.f0)


def snap(f0: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Hold F0 on the nearest of the accompaniment's strong pitch classes.

    Voiced stretches are cut into pieces of at least `HOLD_SECONDS`; each is held on the pitch
    nearest to its own median among the three strongest pitch classes that sound meanwhile.

    Args:
        f0: (F,) [Hz], 0 where unvoiced.
        chroma: (G, 12) of the accompaniment, looped or cut to F. Where it is silent, any
            semitone will do.
    """
    chroma = harmony.fit_frames(chroma, len(f0))
    pitch = to_semitones(f0)
    target = np.full(len(f0), np.nan)
    for start, stop in _stretches(f0 > 0):
        pieces = max(int((stop - start) / (HOLD_SECONDS * FRAME_RATE)), 1)
        edges = np.linspace(start, stop, pieces + 1).astype(int)
        for low, high in pairwise(edges.tolist()):
            sounding = chroma[low:high]
            classes = (
                harmony.strongest(sounding, STRONG)
                if harmony.has_sound(sounding)
                else np.arange(12)
            )
            target[low:high] = _nearest(float(np.median(pitch[low:high])), classes)
    return _glide(target)


def drone(f0: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Hold F0 on the accompaniment's strongest pitch class throughout, near the voice's median.

    Args:
        f0: (F,) [Hz], 0 where unvoiced.
        chroma: (G, 12) of the accompaniment; needs sound.
    """
    if not np.any(f0 > 0):
        return f0.copy()
    classes = harmony.strongest(harmony.fit_frames(chroma, len(f0)))
    pitch = to_semitones(f0)
    home = _nearest(float(np.nanmedian(pitch)), classes)
    return _glide(np.where(f0 > 0, home, np.nan))


def _nearest(pitch: float, classes: np.ndarray) -> float:
    """Return the pitch [MIDI] of one of the classes that is nearest to a pitch."""
    candidates = classes[:, None] + 12.0 * np.arange(11)
    return float(candidates.flat[np.argmin(np.abs(candidates - pitch))])


def _stretches(mask: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _glide(target: np.ndarray) -> np.ndarray:
    """Turn held pitches (F,) [MIDI, NaN unvoiced] into F0 [Hz], gliding within voiced stretches."""
    f0 = np.zeros(len(target))
    width = max(round(GLIDE_SECONDS * FRAME_RATE), 1)
    for start, stop in _stretches(np.isfinite(target)):
        padded = np.pad(target[start:stop], (width // 2, width - 1 - width // 2), mode="edge")
        smooth = np.convolve(padded, np.full(width, 1.0 / width), mode="valid")
        f0[start:stop] = 440.0 * 2.0 ** ((smooth - 69.0) / 12.0)
    return f0


def lengthen(voice: WorldVoice, time_map: np.ndarray) -> WorldVoice:
    """Stretch a voice in time.

    Args:
        voice: the voice.
        time_map: (K, 2) moments of the voice and of the result with the same sound [s].
    """
    samples = round(float(time_map[-1, 1]) * voice.rate)
    moments = np.arange(1 + int(samples / voice.rate * FRAME_RATE)) / FRAME_RATE
    at = np.interp(moments, time_map[:, 1], time_map[:, 0]) * FRAME_RATE
    nearest = np.minimum(np.rint(at).astype(int), len(voice.f0) - 1)
    return WorldVoice(
        voice.f0[nearest], voice.envelope[nearest], voice.aperiodicity[nearest], voice.rate, samples
    )


def formulas(
    item: tuple[np.ndarray, np.ndarray | None, np.ndarray | None], rate: int, resynthesise: bool
) -> dict[str, np.ndarray]:
    """Make the waves of the formulas for one source.

    Args:
        item: the source (T,); the chroma (G, 12) of its accompaniment, all NaN where that is
            silent, None where there is to be no drone; its time map, where the model lengthened it.
        rate: of the source [Hz].
        resynthesise: whether WORLD's resynthesis is wanted, which keeps the source's length.

    Returns:
        Waves by the names of their rows.
    """
    source, chroma, time_map = item
    voice = take_apart(source, rate)
    made = {RESYNTHESIS: put_together(voice, voice.f0)} if resynthesise else {}
    if time_map is not None:
        voice = lengthen(voice, time_map)
    made[SNAP] = put_together(voice, snap(voice.f0, SILENT if chroma is None else chroma))
    if chroma is not None:
        held = drone(voice.f0, chroma) if harmony.has_sound(chroma) else voice.f0
        made[DRONE] = put_together(voice, held)
    return made


def build(
    sources: Sequence[np.ndarray],
    rate: int,
    accomps: Sequence[np.ndarray] | None,
    singing: Sequence[np.ndarray],
    *,
    time_maps: Sequence[np.ndarray] | None = None,
    resynthesis: Sequence[np.ndarray] | None = None,
    seed: int = 0,
    each: Each = serially,
) -> dict[str, list[np.ndarray]]:
    """Make the waves of every baseline, one per source.

    Args:
        sources: speech, each (T,).
        rate: of all waves [Hz].
        accomps: the accompaniment of every source; without any, or where all are silent, F0 snaps
            to semitones and there is no drone.
        singing: real singing to draw clips from.
        time_maps: how the model lengthened every source, see `lengthen`; the formulas do the same.
        resynthesis: the sources through a recipe's own vocoder; WORLD's where not given.
        seed: of the draw.
        each: applies a function to every source, on processes where it has any.

    Returns:
        Waves of `copy`, `resynthesis`, `F0 snap`, `drone`, `random singing`, and of these clips
        through WORLD.
    """
    chromas: list[np.ndarray | None] = [None] * len(sources)
    if accomps is not None:
        found = each(partial(harmony.chroma, rate=rate), accomps)
        chromas = list(found) if any(map(harmony.has_sound, found)) else chromas
    maps = [None] * len(sources) if time_maps is None else list[np.ndarray | None](time_maps)
    one = partial(formulas, rate=rate, resynthesise=resynthesis is None)
    made = each(one, list(zip(sources, chromas, maps, strict=True)))
    waves = {COPY: list(sources)}
    waves[RESYNTHESIS] = [] if resynthesis is None else list(resynthesis)
    for name in made[0]:
        waves[name] = [those[name] for those in made]
    rng = np.random.default_rng(seed)
    clips = rng.choice(len(singing), len(sources), replace=len(singing) < len(sources))
    waves[RANDOM] = [singing[clip] for clip in clips]
    drawn = {int(clip): singing[clip] for clip in clips}
    coded = dict(
        zip(drawn, each(partial(resynthesise, rate=rate), list(drawn.values())), strict=True)
    )
    waves[CODED] = [coded[int(clip)] for clip in clips]
    return waves
