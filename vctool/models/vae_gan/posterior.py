"""The approximate posterior of a variational autoencoder (Kingma and Welling, 2014)."""

from typing import NamedTuple

import torch
from torch import Tensor

from vctool.data.sampling import keyed_normal

LARGEST_LOG_VARIANCE = 8.0
"""Bound on the magnitude of log-variances, so that no early step overflows."""


class Posterior(NamedTuple):
    """A diagonal Gaussian over the latent code of each clip."""

    mean: Tensor
    """(B, ...) float32."""
    log_variance: Tensor
    """(B, ...) float32, natural logarithm."""

    @classmethod
    def of(cls, mean: Tensor, log_variance: Tensor) -> "Posterior":
        """Take a network's two outputs, in any precision."""
        bound = LARGEST_LOG_VARIANCE
        return cls(mean.float(), bound * torch.tanh(log_variance.float() / bound))

    def sample(self, key: Tensor, salt: int) -> Tensor:
        """Draw a code for each clip, the same for the same key whatever batch it is in.

        Args:
            key: (B,) int64, one per clip.
            salt: tells apart the several draws of one clip.
        """
        noise = keyed_normal(key, tuple(self.mean.shape[1:]), salt)
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def divergence(self) -> Tensor:
        """Return the Kullback-Leibler divergence from the standard normal, per latent variable.

        0.5 (mean^2 + variance - 1 - log variance), the closed form of Kingma and Welling's
        appendix B, averaged over clips and variables [nat].
        """
        variance = torch.exp(self.log_variance)
        return 0.5 * (self.mean.square() + variance - 1.0 - self.log_variance).mean()
