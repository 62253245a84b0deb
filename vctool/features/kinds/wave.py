"""`wave`: the sound itself; every frame holds the samples around its centre, and no other's."""

from typing import TYPE_CHECKING, Any

from vctool.features.base import F0Range, FeatureKind

if TYPE_CHECKING:
    import numpy as np

    from vctool.features.excerpt import Excerpt
    from vctool.features.settings import FeatureConfig


class Kind(FeatureKind):
    """Sound in frames that touch; see `features.framing`."""

    def width(self, config: "FeatureConfig") -> int:
        """Return the samples of a frame."""
        return config.hop_length

    def extract(self, part: "Excerpt", known: Any, f0_range: F0Range) -> "np.ndarray":
        """Return (F, hop_length) float32."""
        from vctool.features import framing

        return framing.frame(part.wave, part.config)

    def stretch(
        self, values: "np.ndarray", positions: "np.ndarray", config: "FeatureConfig"
    ) -> "np.ndarray":
        """Stretch the sound at its own pitch: samples of two frames have no mean."""
        from vctool.features import framing

        return framing.stretch(values, positions, config)
