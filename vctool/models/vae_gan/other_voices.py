"""Make training clips of a voice sound like other voices to the encoder.

A decoder meets the codes of all voices, but has the right answer only for its own. Where its own
clips are encoded with moved formants and pitch, it learns to decode what unlike voices say.
"""

import torch
from torch import Tensor, nn

from vctool.data.sampling import keyed_uniform
from vctool.features.settings import FeatureConfig
from vctool.features.warping import FrequencyWarp
from vctool.models.vae_gan.streams import Harmonics

DEPTH_DB = 12.0
"""How deep the valleys between harmonics are [dB]; where mel bins are wider, they are shallower."""


class OtherVoices(nn.Module):
    """Move the harmonics, then all frequencies, of every clip by amounts drawn from its key.

    Args:
        features: the feature settings.
        warp: largest relative change of frequencies; 0 for none.
        shift: largest shift of the harmonics alone [semitones]; 0 for none.
    """

    def __init__(self, features: FeatureConfig, warp: float, shift: float) -> None:
        super().__init__()
        self.warp = FrequencyWarp(features, warp) if warp else None
        self.harmonics = Harmonics(features) if shift else None
        self.shift, self.top_db = shift, features.top_db
        self.per_bel = 20.0 / features.mel_power  # of the bins' own power

    def forward(self, mel: Tensor, f0: Tensor | None, key: Tensor) -> Tensor:
        """Return how other voices would have said normalised log-mel (B, n_mels, F).

        Args:
            mel: the clips.
            f0: (B, F) [Hz], 0 where unvoiced; needed where harmonics are moved.
            key: (B,) int64, what the amounts are drawn from.
        """
        if self.harmonics is not None:
            assert f0 is not None, "moved harmonics need F0"
            drawn = 2.0 * keyed_uniform(key, (1,), 3) - 1.0
            moved = f0 * torch.exp2(self.shift / 12.0 * drawn)
            change = self._comb(moved) - self._comb(f0)
            change = change - change.mean(dim=1, keepdim=True)  # loudness is another matter
            mel = (mel + change).clamp(min=0.0) * (mel > 0)  # what is silent stays so
        if self.warp is not None:
            mel = self.warp(mel, keyed_uniform(key, (1,), 2)[:, 0])
        return mel

    def _comb(self, f0: Tensor) -> Tensor:
        """Return the valleys between harmonics: (B, n_mels, F), in units of `top_db`."""
        assert self.harmonics is not None
        level = self.harmonics(f0)[:, :-2] * self.per_bel
        return level.clamp(min=-DEPTH_DB) / self.top_db
