"""`wave`: the waveform in non-overlapping frames, one hop of samples each."""

from typing import TYPE_CHECKING, Any

from vctool.features.base import F0Range, FeatureKind

if TYPE_CHECKING:
    import numpy as np

    from vctool.features.excerpt import Excerpt
    from vctool.features.settings import FeatureConfig


class Kind(FeatureKind):
    """Waveform in adjacent frames; see `features.framing`."""

    def width(self, config: "FeatureConfig") -> int:
        """Return the number of samples per frame, the hop."""
        return config.hop_length

    def extract(self, part: "Excerpt", known: Any, f0_range: F0Range) -> "np.ndarray":
        """Return (F, hop_length) float32."""
        from vctool.features import framing

        return framing.frame(part.wave, part.config)

    def stretch(
        self, values: "np.ndarray", positions: "np.ndarray", config: "FeatureConfig"
    ) -> "np.ndarray":
        """Stretch the sound by WSOLA and keep its pitch; waveforms cannot be interpolated."""
        from vctool.features import framing

        return framing.stretch(values, positions, config)
