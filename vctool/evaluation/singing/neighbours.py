"""The row `knn_vc`: speech in the voices of the training singers, sung by a formula.

Nothing is learnt, and a model that is trained has to be worth its training. What
`vctool convert --to singing/ --pitch keep` gives has the singers' sound, and F0 snap gives it the
pitch of the accompaniment.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from vctool.evaluation.singing.baselines import SNAP, formulas
from vctool.evaluation.voices.baselines import FEATURES
from vctool.evaluation.voices.neighbours import FAMILY, MOST_RECORDINGS, build_row, known_of
from vctool.metrics import harmony
from vctool.metrics.base import Each, serially

TOLD = (
    f"the speech with the envelopes of nearest frames in {MOST_RECORDINGS} training recordings of "
    "singing at most, and F0 as in F0 snap, WORLD: nothing learnt"
)
"""What the row is."""

__all__ = ["FAMILY", "MOST_RECORDINGS", "TOLD", "sing"]


def sing(
    sources: Sequence[np.ndarray],
    rate: int,
    training: Sequence[np.ndarray],
    accomps: Sequence[np.ndarray] | None,
    *,
    time_maps: Sequence[np.ndarray] | None = None,
    each: Each = serially,
) -> list[np.ndarray]:
    """Make the row's waves, one per source.

    Args:
        sources: speech, each (T,).
        rate: of all waves [Hz].
        training: recordings of singing (T,) that are not scored.
        accomps: the accompaniment of every source; without any, F0 snaps to semitones.
        time_maps: how the model lengthened every source; see `baselines.lengthen`.
        each: applies a function to every wave, on processes where it has any.
    """
    known = known_of(training, rate, FEATURES.wide_range, each)
    spoken = build_row(sources, rate, FEATURES.wide_range, known, each, pitch="keep")
    chromas: list[np.ndarray | None] = [None] * len(spoken)
    if accomps is not None:
        chromas = list(each(partial(harmony.chroma, rate=rate), accomps))
    maps = [None] * len(spoken) if time_maps is None else list[np.ndarray | None](time_maps)
    one = partial(formulas, rate=rate, resynthesise=False)
    return [made[SNAP] for made in each(one, list(zip(spoken, chromas, maps, strict=True)))]
