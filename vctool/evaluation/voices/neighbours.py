"""The row `knn_vc`: what the target's recordings give a voice with nothing learnt.

A family that is trained has to be worth its training. Beside the formulas stands therefore what
`vctool convert --to recordings/` makes of the same sources, of `MOST_RECORDINGS` of the target's
training recordings. Like the formulas it is computed at their settings, whatever a recipe uses.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from vctool import audio, config
from vctool.config import build, read_yaml
from vctool.evaluation.voices.baselines import FEATURES, finished
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
    recordings: Sequence[np.ndarray], rate: int, f0_range: F0Range, each: Each = serially
) -> Reference:
    """Compute what the family keeps of a target.

    Args:
        recordings: of the target (T,), not scored; the first are taken.
        rate: of them [Hz].
        f0_range: of the target.
        each: applies a function to every wave, on processes where it has any.
    """
    one = partial(_features, rate=rate, f0_range=f0_range)
    return _system().reference(each(one, list(recordings[:MOST_RECORDINGS])))


def build_row(
    sources: Sequence[np.ndarray],
    rate: int,
    f0_range: F0Range,
    known: Reference,
    each: Each = serially,
    **options: str | float,
) -> list[np.ndarray]:
    """Convert sources (T,) to a target that is known by recordings.

    Args:
        sources: of a speaker, or of several.
        rate: of them [Hz].
        f0_range: of theirs.
        known: as `known_of` gives it.
        each: applies a function to every wave, on processes where it has any.
        options: of a conversion, by their names in the family.
    """
    one = partial(_converted, rate=rate, f0_range=f0_range, known=known, options=options)
    return each(one, list(sources))


def _converted(
    wave: np.ndarray,
    rate: int,
    f0_range: F0Range,
    known: Reference,
    options: Mapping[str, str | float],
) -> np.ndarray:
    """Convert one wave (T,): (T,) float32 of the same level."""
    system = _system()
    source = _features(wave, rate, f0_range)
    chosen = build(system.Options, dict(options), FAMILY)
    made = system.convert(source, Condition(None, known, chosen), None)["world"]
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


def _system() -> base.System:
    """Build the family as its default conf has it; it has no weights."""
    tree = read_yaml(config.find(Path("conf") / FAMILY / "default.yaml"))
    cls = base.family(FAMILY)
    settings = build(cls.Config, tree.get("model", {}), f"conf/{FAMILY}/default.yaml model")
    context = base.Context(features=FEATURES, vocoder=tree["vocoder"], roles=())
    return cls(settings, context).eval()
