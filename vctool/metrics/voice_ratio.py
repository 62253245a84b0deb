"""Voice ratio: whether spectra are likelier the target's or the source's, by mixtures of Gaussians.

A speaker verifier of the old kind (Reynolds, Quatieri and Dunn, 2000): one mixture of diagonal
Gaussians on the mel-cepstra c1..c24 of each speaker's training recordings, and the mean over an
output's sounding frames of the log-likelihood of the target's less that of the source's. It stands
beside the cosines of a network, which may steer a conversion and then cannot judge it; nothing is
trained against this one. It hears neither pitch nor level, and, taking every frame alone, not what
is said: one fixed envelope of the target's voice has 1.7 where its recordings have 5.1.
"""

import warnings
from typing import Any

import numpy as np

from vctool.metrics.base import Group, Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.voice_analysis import ORDER, VoiceAnalysis

COMPONENTS = 16
"""Gaussians of a voice."""
MOST_FRAMES = 20000
"""Frames that a voice is estimated from, drawn among those of its recordings."""
MOST = 10.0
"""A frame counts at most this much for either voice [nats], so that odd ones do not decide."""
LEAST_VARIANCE = 1e-4
"""Added to every variance."""

TITLE = "voice ratio"
MEASURES = {
    "voice_ratio": Measure(
        "voice ratio",
        "nats",
        "higher",
        "log-likelihood of a frame's spectrum in the target's voice less in the source's, by "
        "mixtures of Gaussians that nothing is trained against",
        overview=True,
    )
}
BOARDS = {"voices": Stand(35)}
ANALYSIS = VoiceAnalysis
NEEDS = ("reference", "source_reference")
PACKAGES = ("scikit-learn",)
SETTINGS = (
    f"{COMPONENTS} diagonal Gaussians on c1..c{ORDER} of the sounding frames of each speaker's "
    f"training recordings; mean over an output's sounding frames, each within {MOST:g} nats of 0"
)


def measure(row: Row[VoiceAnalysis]) -> dict[str, Pooled]:
    """Pool the ratios of a system's utterances: their mean."""
    reference, source = row.reference, row.source_reference
    assert reference is not None and source is not None
    target = reference.once("voice mixture", lambda: fit(reference, row.seed))
    other = source.once("voice mixture", lambda: fit(source, row.seed))
    ratios = []
    for one in row.outputs.analyses:
        frames = target.score_samples(one.shape) - other.score_samples(one.shape)
        ratios.append(np.clip(frames, -MOST, MOST).mean())
    return {"voice_ratio": ratio(np.array(ratios), np.ones(len(ratios)))}


def fit(group: Group[VoiceAnalysis], seed: int) -> Any:
    """Estimate the mixture of a voice from its recordings: sklearn's `GaussianMixture`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    frames = np.concatenate([one.shape for one in group.analyses])
    rng = np.random.default_rng([seed, 7])
    frames = frames[rng.permutation(len(frames))[:MOST_FRAMES]]
    mixture = GaussianMixture(
        min(COMPONENTS, len(frames)),
        covariance_type="diag",
        reg_covar=LEAST_VARIANCE,
        init_params="k-means++",
        random_state=seed,
    )
    with warnings.catch_warnings():
        # a mixture that still gains a little per iteration is as good a voice
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(frames)
