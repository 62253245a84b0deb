"""What is said, as phone posteriors hear it in an envelope: the loss that keeps the words.

Cycle and identity losses ask that what was said can be found again, not that it can be heard.
This one compares the phones of a fake with those of its source, both heard in the bands of WORLD's
envelope, so that pitch, voicing and the sound of a voice's noise have no part in it. The posteriors
are of English (`features.phones`); that both sides are heard alike matters, not the language.
"""

import torch
from torch import Tensor, nn

from vctool.features import phones
from vctool.models.vocal_cyclegan.streams import Layout

EVERY = 4
"""Of 100 frames a second, every fourth is heard: phones last longer, and it takes a fourth."""
HEARD = 0.5
"""Share of a clip that is heard, in its middle: clips begin anywhere, so every frame has its turn.
Half of the clip takes half of the time; cepstra are less the mean of all of it."""


class Hearing(nn.Module):
    """Hear phones in clips of bands.

    Args:
        layout: the voice's channels; bands come first.
        frame_rate: frames per second.
    """

    def __init__(self, layout: Layout, frame_rate: float) -> None:
        super().__init__()
        self.bands = layout.bands
        self.frame_rate = frame_rate
        matrix = phones.cepstra_of_bands(layout.frequencies[: layout.bands])
        self.register_buffer("matrix", matrix, persistent=False)

    matrix: Tensor

    def forward(self, bands: Tensor) -> Tensor:
        """Return log posteriors (B, N, phones) of (B, bands, F) [dB], 25 a second."""
        with torch.autocast(bands.device.type, enabled=False):
            cepstra = self._at_100(bands.float().transpose(1, 2) @ self.matrix)
            frames = cepstra.shape[1]
            skipped = int((1 - HEARD) / 2 * frames)
            middle = cepstra[:, skipped : frames - skipped]
            return phones.log_posteriors(middle, cepstra.mean(dim=1, keepdim=True), EVERY)

    def distance(self, made: Tensor, source: Tensor) -> Tensor:
        """Return the Kullback-Leibler divergence of phones [nat], the mean over all frames.

        Args:
            made: (B, C, F) [dB], bands first; the gradient goes through these.
            source: (B, C, F) [dB], bands first, which said the same.
        """
        with torch.no_grad():
            wanted = self(source[:, : self.bands])
        heard = self(made[:, : self.bands])
        return (wanted.exp() * (wanted - heard)).sum(dim=-1).mean()

    def _at_100(self, values: Tensor) -> Tensor:
        """Interpolate (B, F, D) linearly to 100 frames a second."""
        frames, step = values.shape[1], self.frame_rate * phones.HOP / phones.RATE
        count = 1 + int((frames - 1) / step + 1e-6)
        at = (torch.arange(count, device=values.device) * step).clamp_max(frames - 1)
        below = at.floor().long()
        above = (below + 1).clamp_max(frames - 1)
        share = (at - below).to(values.dtype)[:, None]
        return values[:, below] * (1 - share) + values[:, above] * share
