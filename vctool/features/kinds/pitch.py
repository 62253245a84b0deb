"""`pitch`: F0 alone, searched in the voice's own range; the same as the first column of `world`."""

from typing import TYPE_CHECKING, Any

from vctool.features.base import F0Range, FeatureKind

if TYPE_CHECKING:
    import numpy as np

    from vctool.features.excerpt import Excerpt
    from vctool.features.settings import FeatureConfig


class Kind(FeatureKind):
    """F0 [Hz], 0 where unvoiced, in a fraction of the time that `world` takes."""

    fields = ("rate", "hop_length", "f0_estimator", "f0_floor", "f0_ceil")
    in_voice_range = True
    f0_column = 0

    def width(self, config: "FeatureConfig") -> int:
        """Return 1."""
        return 1

    def extract(self, part: "Excerpt", known: Any, f0_range: F0Range) -> "np.ndarray":
        """Return (F, 1) float32 [Hz]."""
        return part.f0(f0_range)[:, None]
