"""Frechet distance of a system's outputs to real singing, on a small, stated feature.

Feature, of every window of 1 s (step 0.5 s) in which 30 % of the frames sound: mean and standard
deviation of the cepstra c1..c12 over its sounding frames (the envelope, 24), and of its F0 (the
melody, 6) the median, the spread, the logarithm of its speed, the voiced share, the held share
and the logarithm of the mean note length. Level is in neither. Each dimension is standardised by
the reference, covariances are shrunk towards the identity by `SHRINKAGE` (Frechet distance:
Dowson and Landau 1982). The value is the squared distance, as FID and FAD report it.

The distance of finite samples is too large, the more so the smaller they are: real singing lies
6.6 from real singing with 6 clips and 1.5 with 36. So all rows are thinned to one number of
windows. And it is the distance from *these* singers: where the reference has several with
recordings enough, each of them is measured against the others (`left_out`), and intervals draw
singers, not clips.
"""

import math
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
SHARE = 0.75
"""Windows of every row, as a share of the reference's; rows have that many or a few less."""
ENOUGH = 2
"""Windows of a singer that is left out, at least, as a multiple of the feature's dimension."""
ENVELOPE = slice(0, 2 * CEPSTRA)
MELODY = slice(2 * CEPSTRA, 2 * CEPSTRA + 6)
EVERYTHING = slice(0, MELODY.stop)
PARTS = {"distance": EVERYTHING, "distance_envelope": ENVELOPE, "distance_melody": MELODY}
"""What of the feature every column compares."""

TITLE = "distance"
MEASURES = {
    "distance": Measure(
        "distance",
        "",
        "lower",
        "squared Frechet distance to real singing",
        of_set=True,
        bounds=(0.0, math.inf),
    ),
    "distance_envelope": Measure(
        "of envelope",
        "",
        "lower",
        "the same, of the cepstra alone",
        of_set=True,
        bounds=(0.0, math.inf),
    ),
    "distance_melody": Measure(
        "of melody",
        "",
        "lower",
        "the same, of the F0 features alone",
        of_set=True,
        bounds=(0.0, math.inf),
    ),
}
BOARDS = {"singing": Stand(20)}
ANALYSIS = Analysis
NEEDS = ("reference",)
SETTINGS = (
    "squared Frechet distance, per 1 s window (step 0.5 s): mean and deviation of "
    f"c1-c{CEPSTRA}, and 6 features of F0; dimension {EVERYTHING.stop}; standardised by half A; "
    f"covariances shrunk by {SHRINKAGE:g} towards the identity; all rows thinned to one number of "
    "windows; intervals draw utterances, and the singers of half A"
)


def measure(row: Row[Analysis]) -> dict[str, Pooled]:
    """Pool a system's distances to the reference: of all features, envelope and melody."""
    reference = reference_of(row)
    return {name: reference.distance(row.outputs.analyses, part) for name, part in PARTS.items()}


def reference_of(row: Row[Analysis]) -> "Reference":
    """Return the distribution of a row's reference, estimated once."""
    group = row.reference
    assert group is not None
    return group.once("windows", lambda: Reference.of(group.analyses, row.reference_singers))


def left_out(
    reference: "Reference", analyses: Sequence[Analysis], singers: Sequence[str]
) -> dict[str, Pooled]:
    """Measure every singer of the reference against the others; the mean over singers.

    Args:
        reference: of several singers.
        analyses: of recordings of theirs.
        singers: of each.

    Returns:
        The columns; none where singers are not known or one has too few windows.
    """
    if not reference.leaves_out:
        return {}
    found = {}
    for name, part in PARTS.items():
        totals = [_moments(windows[:, part]) for windows in reference.groups]
        others = np.stack([np.sum(totals, axis=0) - own for own in totals])
        size, rows = others.shape[1], []
        for place, singer in enumerate(reference.singers):
            own = [one for one, who in zip(analyses, singers, strict=True) if who == singer]
            for kept in reference.thinned(own, part):
                # every singer has columns of its own
                row = np.zeros((len(others), size))
                row[place] = _moments(kept)
                rows.append(row.ravel())

        def finish(drawn: np.ndarray, others: np.ndarray = others) -> np.ndarray:
            parts = drawn.reshape(len(drawn), *others.shape)
            apart = [
                frechet(parts[:, place], others[place : place + 1]) for place in range(len(others))
            ]
            sung = parts[:, :, 0].T > 0  # a draw may miss a singer
            return np.nanmean(np.where(sung, apart, np.nan), axis=0)

        found[name] = Pooled(np.stack(rows), finish)
    return found


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
    groups: tuple[np.ndarray, ...]
    """(W, D) standardised windows: of every singer, or of every recording."""
    singers: tuple[str, ...] = ()
    """Whose every group is; empty where groups are recordings."""

    @classmethod
    def of(cls, analyses: Sequence[Analysis], singers: Sequence[str] | None = None) -> "Reference":
        """Estimate the reference from recordings of real singing, and their singers if known."""
        rows = [windows(analysis) for analysis in analyses]
        whole = np.concatenate(rows)
        mean, scale = whole.mean(axis=0), whole.std(axis=0) + 1e-3
        standard = [(one - mean) / scale for one in rows]
        names = tuple(dict.fromkeys(singers or ()))
        if singers is None or len(names) < 2:
            return cls(mean, scale, tuple(standard))
        groups = (
            np.concatenate([one for one, who in zip(standard, singers, strict=True) if who == name])
            for name in names
        )
        return cls(mean, scale, tuple(groups), names)

    @property
    def count(self) -> int:
        """Number of windows."""
        return sum(map(len, self.groups))

    @property
    def leaves_out(self) -> bool:
        """Whether every singer has windows enough to be measured against the others."""
        fewest = min(map(len, self.groups))
        return bool(self.singers) and fewest >= ENOUGH * EVERYTHING.stop

    @property
    def quota(self) -> int:
        """Number of windows of every row."""
        most = round(SHARE * self.count)
        return min(most, *map(len, self.groups)) if self.leaves_out else most

    def thinned(self, analyses: Sequence[Analysis], part: slice) -> list[np.ndarray]:
        """Describe utterances by `quota` windows in all, evenly taken: (W, d) of each."""
        rows = [((windows(one) - self.mean) / self.scale)[:, part] for one in analyses]
        total = sum(map(len, rows))
        taken = np.linspace(0, total, min(total, self.quota), endpoint=False).astype(int)
        ends = np.cumsum([0, *map(len, rows)])
        return [
            one[taken[(taken >= begin) & (taken < end)] - begin]
            for one, begin, end in zip(rows, ends, ends[1:], strict=False)
        ]

    def distance(self, analyses: Sequence[Analysis], part: slice = EVERYTHING) -> Pooled:
        """Pool a system's windows by utterance, ready for the distance and its intervals."""
        sums = np.stack([_moments(one) for one in self.thinned(analyses, part)])
        against = np.stack([_moments(one[:, part]) for one in self.groups])
        size = sums.shape[1]
        return Pooled(sums, lambda drawn: frechet(drawn[:, :size], drawn[:, size:]), against)


def frechet(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return squared Frechet distances of normal distributions, covariances shrunk.

    Args:
        own: (R, 1 + d + d^2) counts, sums, and sums of products of d features.
        other: the same, or (1, 1 + d + d^2) for all.

    Returns:
        (R,), at least 0.
    """
    mean, covariance = _normal(own)
    centre, spread = _normal(other)
    values, vectors = np.linalg.eigh(spread)
    roots = (vectors * np.sqrt(np.maximum(values, 0.0))[:, None]) @ vectors.swapaxes(1, 2)
    inner = np.linalg.eigvalsh(roots @ covariance @ roots)
    traces = np.trace(covariance, axis1=1, axis2=2) + np.trace(spread, axis1=1, axis2=2)
    squared = np.square(mean - centre).sum(axis=1) + traces
    return np.asarray(np.maximum(squared - 2 * np.sqrt(np.maximum(inner, 0)).sum(axis=1), 0))


def _moments(rows: np.ndarray) -> np.ndarray:
    """Return count, sums and sums of products of rows (W, d), W >= 0: (1 + d + d^2,)."""
    return np.concatenate([[len(rows)], rows.sum(axis=0), (rows.T @ rows).ravel()])


def _normal(totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means (R, d) and shrunk covariances (R, d, d) of moments (R, 1 + d + d^2)."""
    dims = (math.isqrt(4 * totals.shape[1] - 3) - 1) // 2
    scaled = totals / np.maximum(totals[:, :1], 1)
    mean = scaled[:, 1 : 1 + dims]
    covariance = scaled[:, 1 + dims :].reshape(-1, dims, dims)
    covariance = covariance - mean[:, :, None] * mean[:, None, :]
    return mean, (1.0 - SHRINKAGE) * covariance + SHRINKAGE * np.eye(dims)
