"""DNSMOS: naturalness as a network predicts it from listeners' ratings.

DNSMOS P.835 (Reddy, Gopal and Cutler, 2022: overall, signal, background) and DNSMOS P.808 (2021) on
a scale of 1 to 5, from the package speechmos, in which the networks ship. They were trained on
noise suppression, not on conversion: they hear noise and clipping, hardly blur or a narrow band,
and not a wrong voice. Longer
waves than the networks' 9.01 s are the mean of windows every second. Shorter ones are looped to one
window; the package doubles them until they are longer and takes windows of that, which is up to
nine times the work for the same sound and values within 0.02.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.levelled import LEVEL_DB, levelled
from vctool.metrics.pitch import RATE
from vctool.metrics.unavailable import MetricUnavailable
from vctool.numba_cache import ensure_writable

TITLE = "DNSMOS"
MEASURES = {
    "dnsmos_overall": Measure(
        "DNSMOS",
        "MOS",
        "higher",
        "predicted overall quality: noise and clipping; hardly blur or a narrow band",
        gap=False,
        overview=True,
    ),
    "dnsmos_signal": Measure("SIG", "MOS", "higher", "predicted quality of the speech", gap=False),
    "dnsmos_background": Measure("BAK", "MOS", "higher", "predicted absence of noise", gap=False),
    "dnsmos_p808": Measure("P.808", "MOS", "higher", "predicted opinion of listeners", gap=False),
}
BOARDS = {"voices": Stand(80), "vocoders": Stand(50)}
PACKAGES = ("speechmos", "onnxruntime")

COLUMNS = tuple(MEASURES)
"""What is predicted, in order."""

SAMPLES = int(9.01 * RATE)
"""What the networks hear at once [samples]."""

SETTINGS = (
    f"DNSMOS P.835 and P.808 of speechmos, 16 kHz, active level {LEVEL_DB:g} dB, looped to 9.01 s"
)
"""What these values depend on, for the line under their table."""


def measure(row: Row) -> dict[str, Pooled]:
    """Pool a system's predicted opinions, those that are remembered not predicted again."""
    predictor = row.once("opinion predictor", OpinionPredictor)
    outputs = row.outputs
    return pooled(row.recall(judge(), outputs.waves, outputs.rate, predictor.predict_all))


class OpinionPredictor:
    """Predicts listeners' opinions, on the CPU.

    Raises:
        MetricUnavailable: speechmos or onnxruntime is not installed.
    """

    def __init__(self) -> None:
        ensure_writable()  # speechmos imports librosa
        try:
            import onnxruntime
            from speechmos import dnsmos
        except ImportError as error:
            raise MetricUnavailable(
                "naturalness", f"{error.name}", "local/setup.sh --eval"
            ) from None
        options = onnxruntime.SessionOptions()
        # Threads of one small network wait for each other; `predict_all` has its own.
        options.intra_op_num_threads = options.inter_op_num_threads = 1

        def network(name: str) -> Any:
            path = Path(dnsmos.__file__).parent / "dnsmos_models" / name
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        # Built by hand: speechmos' own constructor takes every core.
        self._model = dnsmos.DNSMOS.__new__(dnsmos.DNSMOS)
        self._model.onnx_sess = network("sig_bak_ovr.onnx")
        self._model.p808_onnx_sess = network("model_v8.onnx")

    def predict(self, wave: np.ndarray, rate: int) -> np.ndarray:
        """Predict opinions of a wave (T,), T >= 1, of any rate and level.

        Returns:
            (4,) in the order of `COLUMNS`, about 1 (bad) to 5 (excellent).
        """
        wave = levelled(wave, rate)
        found = self._model(np.resize(wave, max(SAMPLES, len(wave))), RATE, False)
        return np.array([found[name] for name in ("ovrl_mos", "sig_mos", "bak_mos", "p808_mos")])

    def predict_all(self, waves: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """Predict opinions of waves in order, in as many threads as torch may use: (N, 4)."""
        from vctool.threads import map_parts

        return np.stack(map_parts(lambda wave: self.predict(wave, rate), waves))


def judge() -> str:
    """Name everything that an opinion depends on besides the wave; speechmos is installed."""
    return f"naturalness, speechmos {version('speechmos')}: {SETTINGS}"


def pooled(opinions: np.ndarray) -> dict[str, Pooled]:
    """Pool a system's opinions (N, 4) by column: their means over utterances."""
    ones = np.ones(len(opinions))
    return {name: ratio(opinions[:, place], ones) for place, name in enumerate(COLUMNS)}
