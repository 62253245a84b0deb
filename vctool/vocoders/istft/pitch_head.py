"""F0 predicted from a mel spectrogram: classes of log-F0 per frame, and the best path through them.

Classes have blurred targets as in CREPE (Kim et al., 2018). The head has no voicing decision: it
gives an F0 in unvoiced frames too, so the track is unbroken. How much of a frame is voiced is left
to the vocoder's filters.
"""

import math
from typing import Self

import torch
from torch import Tensor, nn

from vctool.features.settings import FeatureConfig
from vctool.vocoders.istft.convnext import ConvNext
from vctool.vocoders.istft.settings import IstftConfig

REACH = 6
"""Classes that the track may move by from frame to frame."""
LEAP_COST = 0.6
"""Cost of moving by one class [nats]."""
AROUND = 4
"""Classes on either side of the best one over which log-F0 is averaged."""


class PitchHead(nn.Module):
    """Mel to classes of log-F0.

    Args:
        inputs: mel bins.
        width: channels.
        blocks: ConvNeXt blocks.
        floor: lowest F0 [Hz].
        ceil: highest F0 [Hz].
        cents: distance between classes [cents].
    """

    centres: Tensor

    def __init__(
        self, inputs: int, width: int, blocks: int, floor: float, ceil: float, cents: float
    ) -> None:
        super().__init__()
        self.step = cents * math.log(2) / 1200
        count = 1 + math.ceil(math.log(ceil / floor) / self.step)
        centres = math.log(floor) + self.step * torch.arange(count)
        self.register_buffer("centres", centres, persistent=False)
        self.body = ConvNext(inputs, width, blocks)
        self.score = nn.Linear(width, count)

    @classmethod
    def of(cls, config: IstftConfig, features: FeatureConfig) -> Self:
        """Build the head that a network's settings ask for."""
        return cls(
            features.n_mels,
            config.pitch_width,
            config.pitch_blocks,
            features.f0_floor,
            features.f0_ceil,
            config.pitch_cents,
        )

    def forward(self, mel: Tensor) -> Tensor:
        """Return the log probability of each class: (B, M, F) normalised mel to (B, F, C)."""
        scores = self.score(self.body(mel).transpose(1, 2))
        return torch.log_softmax(scores.float(), dim=-1)

    def loss(self, log_probability: Tensor, f0: Tensor) -> Tensor:
        """Return the cross entropy with F0 (B, F) [Hz], blurred by one class.

        Unvoiced frames add nothing to the sum, which is divided by the number of all frames.
        """
        voiced = f0 > 0
        at = torch.log(torch.where(voiced, f0, 1.0))
        away = (self.centres - at[..., None]) / self.step
        wanted = torch.softmax(-0.5 * away.square(), dim=-1)
        return -((wanted * log_probability).sum(dim=-1) * voiced).mean()

    def around(self, log_probability: Tensor, best: Tensor) -> Tensor:
        """Average log-F0 around the classes `best` (B, F): F0 (B, F) [Hz]."""
        near = torch.arange(-AROUND, AROUND + 1, device=best.device) + best[..., None]
        inside = (near >= 0) & (near < len(self.centres))
        near = near.clamp(0, len(self.centres) - 1)
        share = log_probability.gather(-1, near).exp() * inside
        log_f0 = (share * self.centres[near]).sum(dim=-1) / share.sum(dim=-1).clamp_min(1e-9)
        return torch.exp(log_f0.clamp(self.centres[0], self.centres[-1]))

    def framewise(self, log_probability: Tensor) -> Tensor:
        """Return the F0 (B, F) [Hz] of each frame's own best class."""
        return self.around(log_probability, log_probability.argmax(dim=-1))

    def track(self, log_probability: Tensor) -> Tensor:
        """Return the F0 (B, F) [Hz] along the most likely path, in unvoiced frames too."""
        return self.around(log_probability, self.path(log_probability))

    def path(self, log_probability: Tensor) -> Tensor:
        """Return the classes (B, F) of the most likely path by Viterbi, with a cost for leaps."""
        batch, frames, count = log_probability.shape
        moves = torch.arange(-REACH, REACH + 1, device=log_probability.device)
        cost = LEAP_COST * moves.abs()
        score = log_probability[:, 0]
        came = log_probability.new_zeros((batch, frames, count), dtype=torch.long)
        for frame in range(1, frames):
            padded = nn.functional.pad(score, (REACH, REACH), value=-torch.inf)
            best = (padded.unfold(1, 2 * REACH + 1, 1) - cost).max(dim=-1)
            came[:, frame] = best.indices - REACH
            score = best.values + log_probability[:, frame]
        path = torch.empty(batch, frames, dtype=torch.long, device=score.device)
        path[:, -1] = score.argmax(dim=-1)
        for frame in range(frames - 1, 0, -1):
            at = path[:, frame : frame + 1]
            path[:, frame - 1] = (at + came[:, frame].gather(1, at))[:, 0]
        return path
