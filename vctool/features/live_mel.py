"""Log-mel spectrograms of sound that is still arriving: those of `features.mel`, frame by frame.

There is no floor below the loudest frame (`top_db`), which only whole recordings have. All is
computed in float64 and rounded once, so that a frame is the same to the bit whatever frames come
beside it, and whatever computes it: pitch is decided by these values.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vctool.features.mel import AMIN, mel_filterbank
from vctool.features.settings import FeatureConfig
from vctool.nn.fourier import Transform, framed


class LiveMel(nn.Module):
    """Sound to log-mel, hop by hop; what it remembers is `memory`.

    With hop t comes frame t + 1 - `delay`, centred on the first sample of the hop of that number;
    frames below 0 are of the silence before the sound.

    Args:
        features: the feature settings, of an even `n_fft`.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, features: FeatureConfig) -> None:
        super().__init__()
        self.hop, self.power = features.hop_length, features.mel_power
        left = (features.n_fft - features.window) // 2
        self.before = features.n_fft // 2 - left
        """Samples of a frame's window before its centre."""
        self.delay = -(-(features.window - self.before) // self.hop)
        """Hops from a frame's centre to the end of its window, the last one whole."""
        self.hops = self.delay - (-self.before // self.hop)
        self.transform = Transform(features.n_fft)
        window = torch.hann_window(features.window, dtype=torch.float64)
        self.register_buffer("window", window, persistent=False)
        filters = mel_filterbank(features).double().T.contiguous()
        self.register_buffer("filters", filters, persistent=False)

    @property
    def memory(self) -> dict[str, Tensor]:
        """What is remembered before the first hop."""
        return {"heard": torch.zeros(1, self.hops - 1, self.hop)}

    def places(self, start: Tensor, samples: int) -> Tensor:
        """Return the numbers of the frames of a chunk, (F,) int64.

        Args:
            start: (1,) int64, samples before the chunk.
            samples: in it.
        """
        at = start + torch.arange(samples, device=start.device)
        return at[:: self.hop] // self.hop + (1 - self.delay)

    def forward(
        self, wave: Tensor, memory: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return log-mels of a chunk, and what to remember.

        Args:
            wave: (B, F * hop).
            memory: as `memory` is, by name.

        Returns:
            (B, F, n_mels) float32 [dB], and the next memory.
        """
        hops = torch.cat([memory["heard"], wave.reshape(len(wave), -1, self.hop)], dim=1)
        begin = (self.hops - self.delay) * self.hop - self.before
        frames = framed(hops, self.hops)[..., begin : begin + len(self.window)]
        late = self.transform.length - len(self.window)
        padded = nn.functional.pad(frames.double() * self.window, (0, late))
        real, imaginary = self.transform(padded)
        power = real.square() + imaginary.square()
        if self.power == 1:
            mel = (power.clamp_min(AMIN * AMIN).sqrt() @ self.filters).square()
        else:
            mel = power @ self.filters
        # not `log10`, whose constant is float32 once it is exported
        level = (10.0 / math.log(10.0)) * torch.log(mel.clamp_min(AMIN))
        return level.float(), {"heard": hops[:, 1 - self.hops :]}
