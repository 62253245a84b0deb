"""Powers in mel bands, and curves over the bands at the bins between."""

import numpy as np
import torch
from torch import Tensor, nn

from vctool.features.mel import hz_to_mel, mel_filterbank, mel_frequencies
from vctool.features.settings import FeatureConfig


class MelBands(nn.Module):
    """The mean power of every mel band, each a triangle over its bins; it has no weights.

    Args:
        config: the feature settings; their `n_mels` does not count.
        bands: how many.
    """

    rows: Tensor
    between: Tensor

    def __init__(self, config: FeatureConfig, bands: int) -> None:
        super().__init__()
        same = config.model_copy(update={"n_mels": bands})
        filters = mel_filterbank(same)
        # a band that lies between two bins has none, and no power
        rows = filters / filters.sum(dim=1, keepdim=True).clamp(min=1e-9)
        self.register_buffer("rows", rows, persistent=False)
        centres = hz_to_mel(mel_frequencies(same)[1:-1])
        bins = hz_to_mel(np.arange(1 + same.n_fft // 2) * same.rate / same.n_fft)
        table = np.stack([np.interp(bins, centres, one) for one in np.eye(bands)], axis=1)
        self.register_buffer(
            "between", torch.from_numpy(table.astype(np.float32)), persistent=False
        )

    def forward(self, power: Tensor) -> Tensor:
        """Return the mean powers (B, M, F) of powers (B, K, F)."""
        mean: Tensor = self.rows @ power
        return mean

    def spread(self, values: Tensor) -> Tensor:
        """Interpolate values of the bands (B, M, F) linearly over mel: (B, K, F)."""
        return self.between @ values

    def curve(self, power: Tensor, floor: float) -> Tensor:
        """Interpolate the log10 of bands: powers (B, K, F) to their envelope, of that shape.

        Args:
            power: the powers.
            floor: added to them before the logarithm.
        """
        return self.spread(torch.log10(self(power) + floor))
