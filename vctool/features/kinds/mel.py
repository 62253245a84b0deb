"""`mel`: the log-mel spectrogram [dB], floored `top_db` below the maximum of the recording."""

from typing import TYPE_CHECKING

from vctool.features.base import F0Range, FeatureKind

if TYPE_CHECKING:
    import numpy as np

    from vctool.features.excerpt import Excerpt
    from vctool.features.settings import FeatureConfig


class Kind(FeatureKind):
    """Log-mel; see `features.mel`."""

    fields = ("rate", "n_fft", "hop_length", "n_mels", "f_min", "f_max", "top_db")
    later = {"win_length": None, "mel_power": 2}

    def width(self, config: "FeatureConfig") -> int:
        """Return the number of mel bins."""
        return config.n_mels

    def survey(self, part: "Excerpt", before: float | None) -> float:
        """Update the maximum of the log-mel [dB], which sets the floor."""
        from vctool.features import mel

        peak = float(part.once(mel.level).max())
        return peak if before is None else max(before, peak)

    def extract(self, part: "Excerpt", known: float, f0_range: F0Range) -> "np.ndarray":
        """Return (F, n_mels) float32 [dB]."""
        from vctool.features import mel

        return mel.floored(part.once(mel.level), known, part.config.top_db)
