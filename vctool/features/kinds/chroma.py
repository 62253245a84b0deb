"""`chroma`: the share of every pitch class."""

from typing import TYPE_CHECKING, Any

from vctool.features.base import F0Range, FeatureKind

if TYPE_CHECKING:
    import numpy as np

    from vctool.features.excerpt import Excerpt
    from vctool.features.settings import FeatureConfig


class Kind(FeatureKind):
    """Energy per pitch class; see `features.chroma`."""

    fields = ("rate", "hop_length", "chroma_n_fft")

    def width(self, config: "FeatureConfig") -> int:
        """Return 12."""
        from vctool.features import chroma

        return chroma.CLASSES

    def extract(self, part: "Excerpt", known: Any, f0_range: F0Range) -> "np.ndarray":
        """Return (F, 12) float32; every row sums to 1."""
        from vctool.features import chroma

        return chroma.chroma(part.wave, part.config)
