"""Baselines of voice conversion: simple formulas without learning.

Every formula is fitted on the two speakers' training recordings alone and applied to the source's
own wave (`vctool.vocoders.direct`), which sounds better than synthesis from coded features, so that
what vocoders cost is not taken for what a formula lacks. With the mean m and the standard
deviation s of the mel-cepstra c1..c24 over sounding frames (c0, the level, stays):

    pitch only      log-F0 carried to the target's mean and deviation; cepstra as they are
    mean-variance   (c - m_source) / s_source * s_target + m_target, and that pitch
    mean only       c - m_source + m_target, and that pitch
    half variance   the mean-variance transform with half the deviation, and that pitch: what is
                    left of a voice shrinks towards its mean, which lowers MCD and is heard as dull

Others are synthesised by WORLD, which leaves nothing of the source but what is coded:

    mean-variance, WORLD    the same features as mean-variance
    fixed envelope  m_target in every frame, and that pitch: a hum of the target's voice, which
                    says nothing; the source's level keeps its rhythm
    smeared envelope    the mean-variance transform, c0 too, averaged over `SMEAR_SECONDS`, and that
                    pitch: vowels and consonants run into one another

The log-F0 transform is that of Liu, Zhang and Yan (2007).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from vctool import audio
from vctool.cache import key_of
from vctool.evaluation.page.table import COPY
from vctool.features import stats, world
from vctool.features.base import F0Range
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats
from vctool.metrics.base import Each, serially
from vctool.vocoders.direct import modify

REAL = "target"
"""The row of the target's own recordings."""

FEATURES = FeatureConfig(
    rate=16000,
    hop_length=80,
    n_fft=1024,
    n_mels=80,
    f0_floor=60.0,
    f0_ceil=600.0,
    envelope_dim=25,
    envelope_coding="mcep",
)
"""Settings of the formulas: those of conf/features/16k_mcep.yaml, whatever a recipe uses, so that
baselines of different recipes are the same."""
GATE_DB = 40.0
"""Frames this far below a recording's loudest are silence, and in no statistics [dB]."""
PITCH, MEAN_VARIANCE, MEAN, HALF = "pitch only", "mean-variance", "mean only", "half variance"
CODED = "mean-variance, WORLD"
FIXED, SMEARED = "fixed envelope", "smeared envelope"
SMEAR_SECONDS = 0.6
"""What the smeared envelope is averaged over [s]: two to three syllables."""
SOURCE_RESYNTHESIS, TARGET_RESYNTHESIS = "source resynthesis", "target resynthesis"
SYSTEMS = {
    COPY: "the source as it is",
    PITCH: "the source with its log-F0 carried to the target's mean and deviation, on its own wave",
    MEAN_VARIANCE: "that, and each of the mel-cepstra c1..c24 carried to the target's mean and "
    "deviation: the formula to beat",
    MEAN: "that with the target's mean alone",
    HALF: "that with half of the target's deviation: games MCD by shrinking variance",
    CODED: "the mean-variance transform synthesised by WORLD: what coding a voice costs",
    FIXED: "the target's mean envelope throughout, at the source's level and that pitch, WORLD: a "
    "voice without words",
    SMEARED: f"the mean-variance transform averaged over {SMEAR_SECONDS:g} s, with that pitch, "
    "WORLD: words run together",
    SOURCE_RESYNTHESIS: "the source through WORLD's analysis and synthesis, unconverted",
    TARGET_RESYNTHESIS: "the target's recording of the sentence through it: what WORLD itself "
    "leaves of a perfect conversion",
    REAL: "the target's held-out recordings, as they are",
}
"""What every row of the table but the models' is."""


@dataclass(frozen=True)
class Speaker:
    """Statistics of a speaker for the formulas, from its training recordings."""

    f0: SpeakerStats
    """Mean and deviation of log-F0, and the range it is searched in."""
    mean: np.ndarray
    """(D - 1,) of the mel-cepstra c1.. over sounding frames."""
    deviation: np.ndarray
    """(D - 1,) standard deviation of the same."""

    @property
    def f0_range(self) -> F0Range:
        """The range that F0 is searched in."""
        return F0Range(self.f0.f0_floor, self.f0.f0_ceil)


@dataclass(frozen=True)
class Formula:
    """A source and a target, fitted."""

    source: Speaker
    target: Speaker


def fit(
    source: Sequence[np.ndarray], target: Sequence[np.ndarray], rate: int, each: Each = serially
) -> Formula:
    """Fit the formulas on recordings that are not scored.

    Args:
        source: of the source speaker, each (T,).
        target: of the target speaker, of any sentences.
        rate: of all recordings [Hz].
        each: applies a function to every wave, on processes where it has any.

    Raises:
        DataError: a speaker has no voiced frame.
    """
    return Formula(fit_speaker(source, rate, each), fit_speaker(target, rate, each))


def fit_speaker(waves: Sequence[np.ndarray], rate: int, each: Each = serially) -> Speaker:
    """Fit a speaker on recordings (T,) that are not scored, at a rate [Hz].

    Raises:
        DataError: there is no voiced frame.
    """
    floor, ceil = stats.f0_range(each(partial(_wide_f0, rate=rate), waves), FEATURES)
    features = each(partial(take_apart, rate=rate, floor=floor, ceil=ceil), waves)
    return fit_features(features, floor, ceil)


def fit_features(features: Sequence[np.ndarray], floor: float, ceil: float) -> Speaker:
    """Estimate a speaker from features (F, D) as `features.world` with `FEATURES` gives them.

    Args:
        features: of every recording.
        floor: lower end of the range that F0 was searched in [Hz].
        ceil: upper end [Hz].

    Raises:
        DataError: no frame is voiced.
    """
    f0 = stats.estimate([one[:, 0] for one in features], floor, ceil)
    sounding = np.concatenate([world.split(one, FEATURES)[1][sounds(one)] for one in features])
    rest = sounding[:, 1:].astype(np.float64)
    return Speaker(f0, rest.mean(axis=0), np.maximum(rest.std(axis=0), 1e-6))


def sounds(features: np.ndarray) -> np.ndarray:
    """Mark the frames of (F, D) whose c0, the mean log amplitude, is not far below the loudest."""
    level = 20.0 / np.log(10.0) * features[:, 1]
    return np.asarray(level > level.max() - GATE_DB)


def _wide_f0(wave: np.ndarray, rate: int) -> np.ndarray:
    return world.estimate_f0(audio.resample(wave, rate, FEATURES.rate), FEATURES)


def take_apart(wave: np.ndarray, rate: int, floor: float, ceil: float) -> np.ndarray:
    """Analyse a wave (T,) at any rate by WORLD: (F, D) as `FEATURES` say."""
    return world.analyse(audio.resample(wave, rate, FEATURES.rate), FEATURES, floor, ceil)


def put_together(features: np.ndarray, samples: int, rate: int, level_db: float) -> np.ndarray:
    """Synthesise (F, D): (samples,) float32 at a rate and an active level [dB of full scale]."""
    length = -(-samples * FEATURES.rate // rate)
    return finished(world.synthesise(features, FEATURES, length), samples, rate, level_db)


def finished(wave: np.ndarray, samples: int, rate: int, level_db: float) -> np.ndarray:
    """Bring a wave (T,) at the formulas' rate to a rate, a length and an active level."""
    wave = audio.resample(wave, FEATURES.rate, rate)
    wave = np.pad(wave[:samples], (0, max(0, samples - len(wave)))).astype(np.float32)
    return audio.match_level(wave, rate, level_db)


def transform(features: np.ndarray, formula: Formula, name: str) -> np.ndarray:
    """Transform features (F, D) of the source to the target by one of the formulas."""
    source, target = formula.source, formula.target
    f0, envelope, noise = world.split(features, FEATURES)
    old, new = source.f0, target.f0
    pitch = stats.move_f0(f0, old.log_f0_mean, old.log_f0_std, new.log_f0_mean, new.log_f0_std)
    rest = envelope[:, 1:].astype(np.float64)
    from_mean, scale = rest - source.mean, target.deviation / source.deviation
    changed = {
        PITCH: rest,
        MEAN_VARIANCE: target.mean + scale * from_mean,
        MEAN: target.mean + from_mean,
        HALF: target.mean + 0.5 * scale * from_mean,
        FIXED: target.mean + 0.0 * from_mean,
        CODED: target.mean + scale * from_mean,
        SMEARED: target.mean + scale * from_mean,
    }[name]
    whole = np.concatenate([envelope[:, :1], changed], axis=1)
    return world.join(pitch, _smeared(whole) if name == SMEARED else whole, noise)


def _smeared(envelope: np.ndarray) -> np.ndarray:
    """Average frames (F, D) over `SMEAR_SECONDS` around each."""
    from scipy.ndimage import uniform_filter1d

    frames = round(SMEAR_SECONDS * FEATURES.frame_rate)
    return np.asarray(uniform_filter1d(envelope, frames, axis=0, mode="nearest"))


def formulas(
    item: tuple[np.ndarray, np.ndarray], formula: Formula, rate: int
) -> dict[str, np.ndarray]:
    """Make the waves (T,) of every formula for one source: its wave (T,) and features (F, D)."""
    wave, features = item
    level = audio.level_db(wave, rate)
    made = {
        name: finished(sound, len(wave), rate, level)
        for name, sound in _on_the_wave(wave, features, formula, rate).items()
    }
    for name in (CODED, FIXED, SMEARED):
        made[name] = put_together(transform(features, formula, name), len(wave), rate, level)
    return made


def _on_the_wave(
    wave: np.ndarray, features: np.ndarray, formula: Formula, rate: int
) -> dict[str, np.ndarray]:
    """Apply formulas to a wave (T,) itself: waves at the formulas' rate by name."""
    own = audio.resample(wave, rate, FEATURES.rate)
    frame = FEATURES.rate, FEATURES.hop_length
    f0, envelope, _ = world.split(features, FEATURES)
    pitch, _, _ = world.split(transform(features, formula, PITCH), FEATURES)
    # All have one pitch, which is moved once.
    made = {PITCH: modify(own, *frame, f0, pitch)}
    for name in (MEAN_VARIANCE, MEAN, HALF):
        _, wanted, _ = world.split(transform(features, formula, name), FEATURES)
        gain_db = world.envelope_gain_db(wanted - envelope, FEATURES)
        made[name] = modify(made[PITCH], *frame, f0, f0, gain_db)
    return made


def resynthesise(item: tuple[np.ndarray, np.ndarray], rate: int) -> np.ndarray:
    """Synthesise the features (F, D) of a wave (T,) as they are."""
    wave, features = item
    return put_together(features, len(wave), rate, audio.level_db(wave, rate))


class Resyntheses:
    """Recordings through the formulas' analysis and synthesis, each once for a speaker.

    Args:
        rate: of all recordings [Hz].
        each: applies a function to every wave, on processes where it has any.
    """

    def __init__(self, rate: int, each: Each = serially) -> None:
        self.rate = rate
        self.each = each
        self._features: dict[tuple[str, float, float], np.ndarray] = {}
        self._waves: dict[tuple[str, float, float], np.ndarray] = {}

    def features(self, waves: Sequence[np.ndarray], who: Speaker) -> list[np.ndarray]:
        """Analyse recordings (T,) of a speaker: (F, D) each, as `FEATURES` say."""
        ends = who.f0.f0_floor, who.f0.f0_ceil
        keys = [(key_of(wave, self.rate), *ends) for wave in waves]
        new = {
            key: wave for key, wave in zip(keys, waves, strict=True) if key not in self._features
        }
        one = partial(take_apart, rate=self.rate, floor=ends[0], ceil=ends[1])
        self._features |= zip(new, self.each(one, list(new.values())), strict=True)
        return [self._features[key] for key in keys]

    def waves(self, waves: Sequence[np.ndarray], who: Speaker) -> list[np.ndarray]:
        """Analyse and synthesise recordings (T,) of a speaker, and nothing else."""
        ends = who.f0.f0_floor, who.f0.f0_ceil
        keys = [(key_of(wave, self.rate), *ends) for wave in waves]
        features = self.features(waves, who)
        new = {
            key: pair
            for key, *pair in zip(keys, waves, features, strict=True)
            if key not in self._waves
        }
        made = self.each(partial(resynthesise, rate=self.rate), [(a, b) for a, b in new.values()])
        self._waves |= zip(new, made, strict=True)
        return [self._waves[key] for key in keys]


def build(
    sources: Sequence[np.ndarray],
    targets: Sequence[np.ndarray] | None,
    rate: int,
    formula: Formula,
    each: Each = serially,
    known: Resyntheses | None = None,
) -> dict[str, list[np.ndarray]]:
    """Make the waves of every baseline, one per source.

    Args:
        sources: each (T,).
        targets: the target's recordings of the same sentences, where there are any.
        rate: of all waves [Hz].
        formula: as `fit` gives.
        each: applies a function to every wave, on processes where it has any.
        known: remembers what pairs of speakers have in common.

    Returns:
        Waves by the names in `SYSTEMS`, but for the target itself.
    """
    known = known or Resyntheses(rate, each)
    features = known.features(sources, formula.source)
    one = partial(formulas, formula=formula, rate=rate)
    made = each(one, list(zip(sources, features, strict=True)))
    waves = {COPY: list(sources)}
    for name in made[0]:
        waves[name] = [those[name] for those in made]
    waves[SOURCE_RESYNTHESIS] = known.waves(sources, formula.source)
    if targets is not None:
        waves[TARGET_RESYNTHESIS] = known.waves(targets, formula.target)
    return waves
