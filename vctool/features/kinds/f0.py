"""`f0`: F0 of the first pass, searched in the wide range; it gives each voice's own range."""

from typing import TYPE_CHECKING, Any

from vctool.features.base import F0Range, FeatureKind

if TYPE_CHECKING:
    import numpy as np

    from vctool.features.excerpt import Excerpt
    from vctool.features.settings import FeatureConfig


class Kind(FeatureKind):
    """F0 [Hz], 0 where unvoiced, between the settings' `f0_floor` and `f0_ceil`."""

    fields = ("rate", "hop_length", "f0_estimator", "f0_floor", "f0_ceil")
    f0_column = 0

    def width(self, config: "FeatureConfig") -> int:
        """Return 1."""
        return 1

    def extract(self, part: "Excerpt", known: Any, f0_range: F0Range) -> "np.ndarray":
        """Return (F, 1) float32 [Hz]."""
        return part.f0(part.config.wide_range)[:, None]
