"""DistillMOS: naturalness as a small network predicts it from listeners' ratings.

DistillMOS (Stahl and Gamper, 2025) has learnt to say what a network on XLS-R embeddings says, on a
scale of 1 to 5; its weights ship in the package. It tells conversions apart: on VCC2016 recordings
lie near 4.1, mean-variance transforms near 2.8, half variance near 1.5, and voices without words
near 1.1, where DNSMOS has 3.2 for recordings and 3.1 for half variance. It hears blur, noise,
clipping and a narrow band, though not how narrow; a buzzing excitation in some voices and not in
others; hardly a flat pitch; and neither whose voice it is nor which words are said.

It has heard no singing. On 24 clips of the four singers of MIR-1K that are at hand it orders real
singing (3.5), WORLD's resynthesis (0.29 lower, 95 % interval 0.15 to 0.41), envelopes blurred over
150 ms (0.48 lower), half variance (1.0 lower), a buzz (1.9) and low-passed noise (1.3), but singers
lie further apart (2.7 to 3.9) than WORLD's damage, one of them below her own resynthesis, and a
flattened pitch costs 0.1. DNSMOS sets the resynthesis above the singing and stays out.

Waves are padded to the network's 7.68 s, as the package does; what its convolutions make of the
padding is computed once. Longer waves are the mean of the fewest windows that cover them evenly;
the package takes windows that overlap by up to seven eighths, for several times the work.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from vctool.metrics.base import Measure, Row, Stand
from vctool.metrics.bootstrap import Pooled, ratio
from vctool.metrics.levelled import levelled
from vctool.metrics.unavailable import MetricUnavailable

TITLE = "DistillMOS"
MEASURES = {
    "distillmos": Measure(
        "DistillMOS",
        "MOS",
        "higher",
        "predicted naturalness: blur, noise, clipping, a narrow band, buzz in some voices; hardly "
        "a flat pitch",
        gap=False,
        overview=True,
    )
}
BOARDS = {
    "singing": Stand(
        70,
        {
            "distillmos": Measure(
                "DistillMOS",
                "MOS",
                "higher",
                "predicted naturalness, learnt on speech: orders singing in the mean alone",
                gap=False,
            )
        },
    ),
    "voices": Stand(75),
    "vocoders": Stand(45),
    "doubles": Stand(60),
}
PACKAGES = ("distillmos",)

SAMPLES = 122880
"""What the network hears at once [samples]: 7.68 s."""
COLUMN = 320
"""Samples from one column of what the convolutions find to the next."""
MARGIN = 16
"""Columns after the sound that it still reaches, through window, convolutions and reflection."""

SETTINGS = "DistillMOS, 16 kHz, peak 1; the mean of windows of 7.68 s, short waves padded"
"""What these values depend on, for the line under their table."""


def measure(row: Row) -> dict[str, Pooled]:
    """Pool a system's predicted naturalness, what is remembered not predicted again."""
    predictor = row.once("naturalness predictor", NaturalnessPredictor)
    outputs = row.outputs
    found = row.recall(judge(), outputs.waves, outputs.rate, predictor.predict_all)
    return {"distillmos": ratio(found[:, 0], np.ones(len(found)))}


class NaturalnessPredictor:
    """Predicts how natural listeners find a voice, on the CPU.

    Raises:
        MetricUnavailable: distillmos, or xls-r-sqa with its layers, is not installed.
    """

    def __init__(self) -> None:
        try:
            from distillmos import sqa
        except ImportError as error:
            raise MetricUnavailable(
                "DistillMOS", f"{error.name}", "local/setup.sh --eval"
            ) from None
        # loaded by hand: the package prints where from
        model: Any = sqa.ConvTransformerSQAModel(load_weights=False, segmenting_in_forward=False)
        stored = torch.load(sqa.DEFAULT_WEIGHTS_CHKPT, map_location="cpu", weights_only=True)
        model.load_state_dict(stored["model"])
        self._model = model.eval()
        with torch.no_grad():
            self._padding = self._model.cnn(torch.zeros(1, SAMPLES))

    @torch.no_grad()
    def predict(self, wave: np.ndarray, rate: int) -> np.ndarray:
        """Predict the naturalness of a wave (T,), T >= 1, of any rate and level.

        Returns:
            (1,) from about 1 (bad) to 5 (excellent).
        """
        sound = torch.from_numpy(levelled(wave, rate))
        count = -(-len(sound) // SAMPLES)
        starts = np.linspace(0, max(0, len(sound) - SAMPLES), count).astype(int)
        opinions = [self._window(sound[start : start + SAMPLES]) for start in starts]
        return np.array([np.mean(opinions)])

    def _window(self, sound: torch.Tensor) -> float:
        """Predict the naturalness of at most `SAMPLES` samples (T,)."""
        sound = sound / (sound.abs().max() + 1e-8)
        columns = -(-len(sound) // COLUMN) + MARGIN
        last = self._padding.shape[-1]
        samples = SAMPLES if columns + MARGIN >= last else (columns + MARGIN) * COLUMN
        padded = torch.nn.functional.pad(sound[None], (0, samples - len(sound)))
        heard = self._model.cnn(padded)
        if samples < SAMPLES:
            heard = torch.cat([heard[..., :columns], self._padding[..., columns:]], dim=-1)
        return 1 + 4 * float(self._model.transformer_pool_attn(heard.permute(0, 2, 1)))

    def predict_all(self, waves: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """Predict naturalness of waves in order, in as many threads as torch may use: (N, 1)."""
        from vctool.threads import map_parts

        return np.stack(map_parts(lambda wave: self.predict(wave, rate), waves))


def judge() -> str:
    """Name everything that a prediction depends on besides the wave; distillmos is installed."""
    return f"naturalness, distillmos {version('distillmos')}: {SETTINGS}"
