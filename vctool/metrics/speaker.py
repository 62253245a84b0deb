"""Speaker similarity: cosines of d-vectors, and the equal-error rate of a verifier.

The embedding is Resemblyzer's (the GE2E encoder of Wan et al., 2018, trained on LibriSpeech-other,
VoxCeleb 1 and 2); its weights ship in the package. It answers to the level of its input, so every
wave is brought to one level first. A voice is the centroid of its *training* recordings. The
encoder judges by spectrum and pitch together: a pitch shift alone moves its cosines, which is why
such a baseline stands beside every model.
"""

import warnings
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from vctool.metrics.base import Group, Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.levelled import LEVEL_DB, levelled
from vctool.metrics.unavailable import MetricUnavailable
from vctool.numba_cache import ensure_writable

DIM = 256
"""Dimensions of an embedding."""

SETTINGS = (
    f"Resemblyzer d-vectors at 16 kHz, active level {LEVEL_DB:g} dB, pauses trimmed; centroids of "
    "training recordings; equal-error rate of telling outputs from the target's own held-out "
    "recordings by their cosine to its centroid, 0.5 where they cannot be told apart"
)
"""What these values depend on, for the line under their table."""

TITLE = "speaker"
MEASURES = {
    "speaker_target": Measure(
        "to target", "cosine", "higher", "speaker embedding to the target's training centroid"
    ),
    "speaker_source": Measure(
        "to source", "cosine", "lower", "speaker embedding to the source's training centroid"
    ),
    "speaker_margin": Measure("margin", "cosine", "higher", "to target less to source"),
    "eer": Measure(
        "EER",
        "share",
        "higher",
        "error of telling outputs from the target's held-out recordings by their cosine to its "
        "centroid: 0.5 cannot be told apart",
        of_set=True,
    ),
}
BOARDS = {"voices": Stand(30)}
NEEDS = ("reference", "source_reference", "recordings")
PACKAGES = ("resemblyzer",)


def measure(row: Row) -> dict[str, Pooled]:
    """Pool a system's cosines to both voices, and the equal-error rate of a verifier."""
    encoder = row.once("speaker encoder", SpeakerEncoder)
    judge = f"speaker, Resemblyzer {version('resemblyzer')}: {SETTINGS}"
    reference, source, recordings = row.reference, row.source_reference, row.recordings
    assert reference is not None and source is not None and recordings is not None

    def embed(group: Group) -> np.ndarray:
        return row.recall(judge, group.waves, group.rate, encoder.embed_all)

    target = reference.once("centroid", lambda: centroid(embed(reference)))
    other = source.once("centroid", lambda: centroid(embed(source)))
    genuine = recordings.once("cosines", lambda: cosines(embed(recordings), target))
    embedded = embed(row.outputs)
    rate = {"eer": equal_error(cosines(embedded, target), genuine)}
    return pooled(embedded, target, other) | rate


class SpeakerEncoder:
    """Embeds voices, on the CPU.

    Raises:
        MetricUnavailable: Resemblyzer is not installed.
    """

    def __init__(self) -> None:
        ensure_writable()  # Resemblyzer imports librosa
        try:
            with warnings.catch_warnings():
                # Resemblyzer 0.1.4 takes scipy.ndimage's functions from where they once were.
                warnings.filterwarnings("ignore", r".*scipy\.ndimage.*", DeprecationWarning)
                import resemblyzer
                import resemblyzer.audio
        except ImportError as error:
            package = "Resemblyzer" if error.name == "resemblyzer" else f"{error.name}"
            raise MetricUnavailable("speaker", package, "local/setup.sh --eval") from None
        self._model = resemblyzer.VoiceEncoder("cpu", verbose=False).eval()
        self._trim = resemblyzer.audio.trim_long_silences

    def embed(self, wave: np.ndarray, rate: int) -> np.ndarray:
        """Embed a wave (T,) of any rate and level.

        Returns:
            (DIM,) float64 of length 1, no coordinate below 0. Zeros for a silent wave, so that
            its cosine to any voice is 0; a wave without detected speech is embedded whole.
        """
        wave = levelled(wave, rate)
        if not wave.any():
            return np.zeros(DIM)
        spoken = self._trim(wave)
        vector = self._model.embed_utterance(spoken if len(spoken) else wave)
        return np.asarray(vector, dtype=np.float64)

    def embed_all(self, waves: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """Embed waves in order, in as many threads as torch may use: (N, DIM)."""
        from vctool.threads import map_parts

        return np.stack(map_parts(lambda wave: self.embed(wave, rate), waves))


def centroid(embeddings: np.ndarray) -> np.ndarray:
    """Average the embeddings (N, DIM) of a voice: (DIM,), of length 1."""
    mean = embeddings.mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean))


def cosines(embeddings: np.ndarray, voice: np.ndarray) -> np.ndarray:
    """Compare embeddings (N, DIM), each of length 1 or 0, with a voice's centroid: (N,), 0..1."""
    return np.asarray(embeddings @ voice)


def pooled(embeddings: np.ndarray, target: np.ndarray, source: np.ndarray) -> dict[str, Pooled]:
    """Pool a system's cosines: their means over utterances.

    Args:
        embeddings: (N, DIM) of the system's outputs.
        target: (DIM,) centroid of the target's training recordings.
        source: (DIM,) centroid of the source's.

    Returns:
        `speaker_target`, `speaker_source`, and `speaker_margin`, the one less the other.
    """
    ones = np.ones(len(embeddings))
    to_target, to_source = cosines(embeddings, target), cosines(embeddings, source)
    return {
        "speaker_target": ratio(to_target, ones),
        "speaker_source": ratio(to_source, ones),
        "speaker_margin": ratio(to_target - to_source, ones),
    }


def equal_error(scores: np.ndarray, genuine: np.ndarray) -> Pooled:
    """Measure how badly a verifier tells a system's outputs from the target's own recordings.

    The verifier accepts what scores at least a threshold; at the threshold where it accepts the
    same share of outputs as it refuses of recordings, that share is the equal-error rate.

    Args:
        scores: (N,) cosine of every output to the target's centroid.
        genuine: (M,) the same of the target's held-out recordings.

    Returns:
        0 where every output is detected, 0.5 where outputs cannot be told from recordings, more
        where outputs are nearer to the centroid than recordings are. Intervals resample both.
    """
    thresholds = np.unique(np.concatenate([scores, genuine]))
    thresholds = np.append(thresholds, np.inf)
    accepted = (scores[:, None] >= thresholds).astype(float)
    refused = (genuine[:, None] < thresholds).astype(float)
    columns = 1 + len(thresholds)

    def finish(totals: np.ndarray) -> np.ndarray:
        outputs, recordings = totals[:, :columns], totals[:, columns:]
        missed = recordings[:, 1:] / recordings[:, :1]
        gap = outputs[:, 1:] / outputs[:, :1] - missed  # from 1 at the least threshold to -1
        after = np.argmax(gap <= 0, axis=1)
        rows = np.arange(len(gap))
        high, low = gap[rows, after - 1], gap[rows, after]
        share = high / (high - low)  # both rates are taken as straight between two thresholds
        before = missed[rows, after - 1]
        return np.asarray(before + share * (missed[rows, after] - before))

    def counted(events: np.ndarray) -> np.ndarray:
        return np.column_stack([np.ones(len(events)), events])

    return Pooled(counted(accepted), finish, counted(refused))
