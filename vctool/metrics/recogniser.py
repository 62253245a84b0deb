"""pocketsphinx with its own en-us model, set up so that a wave's words depend on that wave alone.

Waves are brought to one level and dithered, because the front end fails on digital silence. The
decoder adapts to what it has heard, so every wave gets a fresh start and results do not depend on
the order.
"""

from typing import Any

import numpy as np

from vctool import audio
from vctool.metrics.unavailable import MetricUnavailable

RATE = 16000
"""Sampling rate of the recogniser's model [Hz]."""
LEVEL_DB = -23.0
"""Active level that waves are brought to [dB of full scale]."""
DITHER_DB = -54.0
"""Level of the white noise added [dB of full scale]."""


class Recogniser:
    """Recognises English.

    Args:
        metric: what it is wanted for, named where it is missing.
        seed: of the dither.
        options: of pocketsphinx; its large-vocabulary language model where there are none.

    Raises:
        MetricUnavailable: pocketsphinx is not installed.
    """

    def __init__(self, metric: str, seed: int = 0, **options: Any) -> None:
        try:
            import pocketsphinx
        except ImportError:
            raise MetricUnavailable(metric, "pocketsphinx", "pip install pocketsphinx") from None
        self.seed = seed
        self._decoder: Any = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL", **options)

    def recognise(self, wave: np.ndarray, rate: int) -> str:
        """Return the likeliest words; empty where none fit.

        Args:
            wave: (T,) samples in [-1, 1].
            rate: their rate [Hz].
        """
        wave = audio.resample(wave, rate, RATE) if len(wave) else np.zeros(RATE // 10, np.float32)
        wave = audio.match_level(wave, RATE, LEVEL_DB)
        noise = np.random.default_rng(self.seed).standard_normal(len(wave))
        dithered = np.clip(wave + 10 ** (DITHER_DB / 20) * noise, -1, 1)
        self._decoder.reinit_feat()  # else sums behind the cepstral mean stay from the last wave
        self._decoder.start_utt()
        samples = np.round(dithered * 32767).astype(np.int16).tobytes()
        self._decoder.process_raw(samples, no_search=False, full_utt=True)
        self._decoder.end_utt()
        best = self._decoder.hyp()
        return "" if best is None else str(best.hypstr)
