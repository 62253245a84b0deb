"""`world`: F0 [Hz], coded spectral envelope and coded aperiodicity [dB] of the WORLD vocoder."""

from typing import TYPE_CHECKING, Any

from vctool.features.base import F0Range, FeatureKind

if TYPE_CHECKING:
    import numpy as np

    from vctool.features.excerpt import Excerpt
    from vctool.features.settings import FeatureConfig


class Kind(FeatureKind):
    """WORLD's analysis; see `features.world` for the columns."""

    fields = (
        "rate",
        "hop_length",
        "f0_estimator",
        "f0_floor",
        "f0_ceil",
        "envelope_dim",
        "envelope_coding",
        "mcep_alpha",
    )
    later = {"bridge_f0": False}
    in_voice_range = True
    f0_column = 0

    def width(self, config: "FeatureConfig") -> int:
        """Return the number of columns: F0, the envelope's and the aperiodicity's."""
        from vctool.features import world

        return world.world_dim(config)

    def extract(self, part: "Excerpt", known: Any, f0_range: F0Range) -> "np.ndarray":
        """Return (F, D) float32."""
        from vctool.features import world

        return world.analyse_with(part.wave, part.config, part.once(world.find_f0, *f0_range))
