"""`phones`: posteriors of the phones, by the Gaussians that pocketsphinx ships."""

from typing import TYPE_CHECKING

from vctool.features.base import F0Range, FeatureKind

if TYPE_CHECKING:
    import numpy as np

    from vctool.features.excerpt import Excerpt
    from vctool.features.settings import FeatureConfig


class Kind(FeatureKind):
    """Phone posteriors; see `features.phones`, whose `PHONES` names the columns."""

    def width(self, config: "FeatureConfig") -> int:
        """Return 40: the phones and silence."""
        from vctool.features import phones

        return len(phones.PHONES)

    def survey(
        self, part: "Excerpt", before: "tuple[int, np.ndarray] | None"
    ) -> "tuple[int, np.ndarray]":
        """Update count and sum of the cepstra, whose mean is removed."""
        from vctool.features import phones

        found = part.once(phones.of_wave)
        count, total = (0, 0.0) if before is None else before
        return count + len(found), total + found.sum(axis=0, dtype="float64")

    def extract(
        self, part: "Excerpt", known: "tuple[int, np.ndarray]", f0_range: F0Range
    ) -> "np.ndarray":
        """Return (F, 40) float32; every row sums to 1."""
        import torch

        from vctool.features import phones

        count, total = known
        mean = torch.from_numpy(total / count).float()[None]
        with torch.no_grad():
            found = phones.posteriors(torch.from_numpy(part.once(phones.of_wave)), mean)
        return phones.at_frames(found.numpy(), part.config, part.config.frames(len(part.wave)))
