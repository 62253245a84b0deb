"""The row `knn_vc`: what the target's recordings give a voice with nothing learnt.

A family that is trained has to be worth its training. Beside the formulas stands therefore what
`vctool convert --to recordings/` makes of the same sources, of `MOST_RECORDINGS` of the target's
training recordings. Like the formulas it is computed at their settings, whatever a recipe uses.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from vctool import audio, config
from vctool.config import build, read_yaml
from vctool.evaluation.voices.baselines import FEATURES, Speaker, finished
from vctool.features import world
from vctool.features.analysis import whole_features
from vctool.features.base import F0Range, Features
from vctool.features.excerpt import Excerpt
from vctool.metrics.base import Each, serially
from vctool.models import base
from vctool.models.base import Condition, Reference
from vctool.vocoders.direct import modify

FAMILY = "knn_vc"
"""The family, and the row's name."""
MOST_RECORDINGS = 40
"""Training recordings of the target that are searched: minutes, of which more hardly improve it."""
TOLD = (
    f"the source's own wave with the envelopes of nearest frames in {MOST_RECORDINGS} training "
    "recordings of the target at most, nothing learnt"
)
"""What the row is."""


def known_of(
    recordings: Sequence[np.ndarray], rate: int, voice: Speaker, each: Each = serially
) -> Reference:
    """Compute what the family keeps of a target.

    Args:
        recordings: of the target (T,), not scored; the first are taken.
        rate: of them [Hz].
        voice: the target, for its range of F0.
        each: applies a function to every wave, on processes where it has any.
    """
    one = partial(_features, rate=rate, f0_range=_range(voice))
    return _system().reference(each(one, list(recordings[:MOST_RECORDINGS])))


def build_row(
    sources: Sequence[np.ndarray],
    rate: int,
    voice: Speaker,
    known: Reference,
    each: Each = serially,
) -> list[np.ndarray]:
    """Convert sources (T,) of a speaker to a target that is known by recordings."""
    one = partial(_converted, rate=rate, f0_range=_range(voice), known=known)
    return each(one, list(sources))


def _converted(wave: np.ndarray, rate: int, f0_range: F0Range, known: Reference) -> np.ndarray:
    """Convert one wave (T,): (T,) float32 of the same level."""
    system = _system()
    source = _features(wave, rate, f0_range)
    made = system.convert(source, Condition(None, known, system.Options()), None)["world"]
    f0, envelope, _ = world.split(source["world"], FEATURES)
    pitch, wanted, _ = world.split(made, FEATURES)
    gain_db = world.envelope_gain_db(wanted - envelope, FEATURES)
    own = audio.resample(wave, rate, FEATURES.rate)
    sound = modify(own, FEATURES.rate, FEATURES.hop_length, f0, pitch, gain_db)
    return finished(sound, len(wave), rate, audio.level_db(wave, rate))


def _features(wave: np.ndarray, rate: int, f0_range: F0Range) -> Features:
    kinds = base.family(FAMILY).reads(None)
    return whole_features(
        Excerpt(audio.resample(wave, rate, FEATURES.rate), FEATURES), kinds, f0_range
    )


def _range(voice: Speaker) -> F0Range:
    return F0Range(voice.f0.f0_floor, voice.f0.f0_ceil)


def _system() -> base.System:
    """Build the family as its default conf has it; it has no weights."""
    tree = read_yaml(config.find(Path("conf") / FAMILY / "default.yaml"))
    cls = base.family(FAMILY)
    settings = build(cls.Config, tree.get("model", {}), f"conf/{FAMILY}/default.yaml model")
    context = base.Context(features=FEATURES, vocoder=tree["vocoder"], roles=())
    return cls(settings, context).eval()
