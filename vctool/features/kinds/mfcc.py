"""`mfcc`: the 13 mel-cepstra that the phone posteriors are computed from."""

from typing import TYPE_CHECKING, Any

from vctool.features.base import F0Range, FeatureKind

if TYPE_CHECKING:
    import numpy as np

    from vctool.features.excerpt import Excerpt
    from vctool.features.settings import FeatureConfig


class Kind(FeatureKind):
    """pocketsphinx's mel-cepstra, c0 first, their mean not removed; see `features.phones`."""

    def width(self, config: "FeatureConfig") -> int:
        """Return 13."""
        from vctool.features import phones

        return phones.CEPSTRA

    def extract(self, part: "Excerpt", known: Any, f0_range: F0Range) -> "np.ndarray":
        """Return (F, 13) float32."""
        from vctool.features import phones

        found = part.once(phones.of_wave)
        return phones.at_frames(found, part.config, part.config.frames(len(part.wave)))
