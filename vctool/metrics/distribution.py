"""Frechet distance of a system's outputs to real singing, on a small, stated feature.

Feature, of every window of 1 s (step 0.5 s) in which 30 % of the frames sound: mean and standard
deviation of the cepstra c1..c12 over its sounding frames (the envelope, 24), and of its F0 (the
melody, 6) the median, the spread, the logarithm of its speed, the voiced share, the held share
and the logarithm of the mean note length. Level is in neither. Each dimension is standardised by
the reference, covariances are shrunk towards the identity by `SHRINKAGE` (Frechet distance:
Dowson and Landau 1982). The value is the squared distance, as FID and FAD report it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vctool.metrics.analysis import Analysis
from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled
from vctool.metrics.notes import held_frames
from vctool.metrics.pitch import F0_FLOOR, FRAME_RATE, to_semitones
from vctool.metrics.spectral import CEPSTRA, active

WINDOW, STEP = round(FRAME_RATE), round(FRAME_RATE / 2)
"""Length of a window and step between windows [frames]."""
MIN_ACTIVE = 0.3
"""Share of a window's frames that must sound."""
SHRINKAGE = 0.1
"""Weight of the identity in every covariance."""
ENVELOPE = slice(0, 2 * CEPSTRA)
MELODY = slice(2 * CEPSTRA, 2 * CEPSTRA + 6)
EVERYTHING = slice(0, MELODY.stop)

TITLE = "distance"
MEASURES = {
    "distance": Measure(
        "distance", "", "lower", "squared Frechet distance to real singing", of_set=True
    ),
    "distance_envelope": Measure(
        "of envelope", "", "lower", "the same, of the cepstra alone", of_set=True
    ),
    "distance_melody": Measure(
        "of melody", "", "lower", "the same, of the F0 features alone", of_set=True
    ),
}
BOARDS = {"singing": Stand(20)}
ANALYSIS = Analysis
NEEDS = ("reference",)
SETTINGS = (
    "squared Frechet distance, per 1 s window (step 0.5 s): mean and deviation of "
    f"c1-c{CEPSTRA}, and 6 features of F0; dimension {EVERYTHING.stop}; standardised by half A; "
    f"covariances shrunk by {SHRINKAGE:g} towards the identity"
)


def measure(row: Row[Analysis]) -> dict[str, Pooled]:
    """Pool a system's distances to the reference: of all features, envelope and melody."""
    reference = reference_of(row)
    return {
        "distance": reference.distance(row.outputs.analyses),
        "distance_envelope": reference.distance(row.outputs.analyses, ENVELOPE),
        "distance_melody": reference.distance(row.outputs.analyses, MELODY),
    }


def reference_of(row: Row[Analysis]) -> "Reference":
    """Return the distribution of a row's reference, estimated once."""
    group = row.reference
    assert group is not None
    return group.once("windows", lambda: Reference.of(group.analyses))


def windows(analysis: Analysis) -> np.ndarray:
    """Describe the sounding windows of one utterance: (W, 30), W >= 1.

    An utterance shorter than a window, or silent throughout, gives one window of all its frames,
    so that a system cannot hide an utterance by silencing it.
    """
    frames = len(analysis.f0)
    sounding = active(analysis.bands)
    starts = [
        start
        for start in range(0, max(frames - WINDOW, 0) + 1, STEP)
        if sounding[start : start + WINDOW].mean() >= MIN_ACTIVE
    ]
    pitch = to_semitones(analysis.f0)
    lowest = float(to_semitones(np.array([F0_FLOOR]))[0])
    usual = float(np.nanmedian(pitch)) if analysis.voiced else lowest
    held = held_frames(analysis.notes, frames)
    lengths = np.zeros(frames)
    for note in analysis.notes:
        lengths[note.start : note.stop] = note.seconds
    spans = [slice(start, start + WINDOW) for start in starts] or [slice(0, frames)]
    rows = []
    for span in spans:
        sound = analysis.cepstra[span][sounding[span]]
        melody = _melody(pitch[span], held[span], lengths[span], usual)
        rows.append(np.concatenate([sound.mean(axis=0), sound.std(axis=0), melody]))
    return np.stack(rows)


def _melody(pitch: np.ndarray, held: np.ndarray, lengths: np.ndarray, usual: float) -> np.ndarray:
    """Describe a window's F0; a window without voice sits at the utterance's usual pitch."""
    voiced = np.isfinite(pitch)
    if not voiced.any():
        return np.array([usual, 0.0, np.log(1.0), 0.0, 0.0, np.log(0.01)])
    steps = np.abs(np.diff(pitch))
    steps = steps[np.isfinite(steps)]
    speed = float(steps.mean()) * FRAME_RATE if steps.size else 0.0
    return np.array(
        [
            np.median(pitch[voiced]),
            pitch[voiced].std(),
            np.log(1.0 + speed),
            voiced.mean(),
            held[voiced].mean(),
            np.log(0.01 + lengths[voiced].mean()),
        ]
    )


@dataclass(frozen=True)
class Reference:
    """The distribution that outputs are compared with: real singing."""

    mean: np.ndarray
    """(D,) of the raw feature."""
    scale: np.ndarray
    """(D,) standard deviation of the raw feature."""
    covariance: np.ndarray
    """(D, D) of the standardised feature, not yet shrunk."""
    count: int
    """Number of windows."""

    @classmethod
    def of(cls, analyses: Sequence[Analysis]) -> "Reference":
        """Estimate the reference from recordings of real singing."""
        rows = np.concatenate([windows(analysis) for analysis in analyses])
        scale = rows.std(axis=0) + 1e-3
        covariance = np.cov((rows - rows.mean(axis=0)) / scale, rowvar=False, bias=True)
        return cls(rows.mean(axis=0), scale, covariance, len(rows))

    def distance(self, analyses: Sequence[Analysis], part: slice = EVERYTHING) -> Pooled:
        """Pool a system's windows by utterance, ready for the distance and its intervals."""
        rows = [((windows(one) - self.mean) / self.scale)[:, part] for one in analyses]
        dims = rows[0].shape[1]
        sums = np.stack(
            [np.concatenate([[len(x)], x.sum(axis=0), (x.T @ x).ravel()]) for x in rows]
        )
        root = _square_root(_shrink(self.covariance[part, part]))
        trace = float(np.trace(_shrink(self.covariance[part, part])))

        def finish(totals: np.ndarray) -> np.ndarray:
            count = totals[:, :1]
            mean = totals[:, 1 : 1 + dims] / count
            second = (totals[:, 1 + dims :] / count).reshape(-1, dims, dims)
            covariance = _shrink(second - mean[:, :, None] * mean[:, None, :])
            roots = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariance @ root), 0.0))
            traces = np.trace(covariance, axis1=1, axis2=2)
            squared = (mean**2).sum(axis=1) + trace + traces - 2.0 * roots.sum(axis=1)
            return np.asarray(np.maximum(squared, 0.0))

        return Pooled(sums, finish)


def _shrink(covariance: np.ndarray) -> np.ndarray:
    return (1.0 - SHRINKAGE) * covariance + SHRINKAGE * np.eye(covariance.shape[-1])


def _square_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)
