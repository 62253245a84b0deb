"""Content as a sequence of vectors from a book: the published network.

After Cifka, Ozerov, Simsekli and Richard, "Self-supervised VQ-VAE for one-shot music style
transfer" (2021): convolutions that keep every fourth frame, the nearest vector of a book (van den
Oord et al., 2017), the last state of a recurrent network as style, and a decoder with both. The
book may also be learnt as running means, without gradients (appendix A.1 of van den Oord et al.).
"""

import logging
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vctool.data.sampling import keyed_uniform
from vctool.processes import mean_over_processes, process_count

logger = logging.getLogger(__name__)
SLOPE = 0.1
"""Of the leaky rectifiers."""
MOMENTUM = 0.1
"""Share of a batch in the running statistics that evaluation normalises by."""
DECAY = 0.99
"""Of the running means of a book."""
DEAD = 0.02
"""A code begins again where its running count of vectors is below this share of the mean."""
EVERY = 4
"""One of this many frames is coded."""
LEAST_STYLE = 4
"""Shortest style that the first layer takes [frames]."""


class Coded(NamedTuple):
    """Vectors and what the book makes of them, (B, C, N)."""

    vectors: Tensor
    nearest: Tensor
    """Rows of the book, without gradients to the vectors."""
    rows: Tensor
    """(B, N) int64, which rows."""

    @property
    def passed(self) -> Tensor:
        """The rows, with gradients passed straight through to the vectors."""
        return self.vectors + (self.nearest - self.vectors).detach()


class Book(nn.Module):
    """A book of vectors.

    Args:
        codes: how many.
        width: of each.
        learnt: `plain`, by gradient, or `ema`, as running means.
    """

    counts: Tensor
    sums: Tensor

    def __init__(self, codes: int, width: int, learnt: Literal["ema", "plain"]) -> None:
        super().__init__()
        self.learnt = learnt
        rows = torch.empty(codes, width)
        nn.init.kaiming_uniform_(rows, mode="fan_out")
        if learnt == "plain":
            self.rows = nn.Parameter(rows)
        else:
            self.register_buffer("rows", rows)
            self.register_buffer("counts", torch.ones(codes))
            self.register_buffer("sums", rows.clone())

    def forward(self, vectors: Tensor) -> Coded:
        """Find the nearest row of every vector (B, C, N)."""
        flat = vectors.detach().transpose(1, 2).flatten(0, 1).float()
        rows = self.rows.detach()
        # squared distance without the vector's own square, which is the same for every row
        distance = rows.square().sum(dim=1) - 2.0 * flat @ rows.T
        index = distance.argmin(dim=1).view(len(vectors), -1)
        return Coded(vectors, self.rows[index].transpose(1, 2), index)

    @torch.no_grad()
    def begin(self, vectors: Tensor) -> None:
        """Begin at vectors (B, C, N) drawn from a batch."""
        if self.learnt != "ema":
            return
        rows = self._drawn(vectors, torch.zeros(1, dtype=torch.int64, device=vectors.device))
        self.rows.copy_(rows)
        self.sums.copy_(rows)
        self.counts.fill_(1.0)

    @torch.no_grad()
    def follow(self, coded: Coded, key: Tensor) -> None:
        """Move the running means by a batch; codes that are hardly used begin again in it.

        Args:
            coded: of the batch.
            key: (B,) int64 seeds of its examples.
        """
        codes = len(self.rows)
        flat = coded.vectors.detach().transpose(1, 2).flatten(0, 1).float()
        which = functional.one_hot(coded.rows.flatten(), codes).to(flat.dtype)
        found = torch.cat([which.sum(dim=0)[:, None], which.T @ flat], dim=1)
        found = mean_over_processes(found) * process_count()
        self.counts.mul_(DECAY).add_(found[:, 0], alpha=1 - DECAY)
        self.sums.mul_(DECAY).add_(found[:, 1:], alpha=1 - DECAY)
        mean = self.counts.mean()
        dead = (self.counts < DEAD * mean)[:, None]
        again = mean_over_processes(self._drawn(coded.vectors, key[:1]))
        self.sums.copy_(torch.where(dead, again * mean, self.sums))
        self.counts.copy_(torch.where(dead[:, 0], mean, self.counts))
        self.rows.copy_(self.sums / self.counts[:, None].clamp(min=1e-6))

    def _drawn(self, vectors: Tensor, key: Tensor) -> Tensor:
        """Draw a vector (C,) of a batch for every row: (codes, C)."""
        flat = vectors.detach().transpose(1, 2).flatten(0, 1).float()
        place = (keyed_uniform(key, (len(self.rows),), 7)[0] * len(flat)).long()
        return flat[place]


class Usage(NamedTuple):
    """How a book is used."""

    used: int
    """Codes that occur."""
    codes: int
    perplexity: float
    """Exponential of the entropy of the codes [codes]."""

    @property
    def collapsed(self) -> bool:
        """Whether less than a tenth of the codes occurs."""
        return self.used < 0.1 * self.codes


def usage(index: Tensor, codes: int) -> Usage:
    """Count which codes occur among indices of any shape."""
    counts = torch.bincount(index.flatten(), minlength=codes).double()
    share = counts[counts > 0] / counts.sum()
    entropy = float(-(share * share.log()).sum())
    return Usage(len(share), codes, float(torch.exp(torch.tensor(entropy))))


def tell_usage(index: Tensor, codes: int) -> None:
    """Log how a held-out batch uses the book, which may collapse unseen otherwise."""
    found = usage(index, codes)
    most = min(codes, index.numel())
    told = "codebook: %d of %d codes in %d frames, perplexity %.0f"
    values = found.used, found.codes, index.numel(), found.perplexity
    if found.used < 0.1 * most:
        logger.warning(told + ": less than a tenth of what there could be", *values)
    else:
        logger.info(told, *values)


class Residual(nn.Module):
    """Add what some layers make of their input."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, values: Tensor) -> Tensor:
        """(B, C, N) to the same."""
        made: Tensor = values + self.layers(values)
        return made


class OverTime(nn.Module):
    """A recurrent network over (B, C, N)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gru = nn.GRU(channels, channels, batch_first=True)

    def forward(self, values: Tensor) -> Tensor:
        """(B, C, N) to the same."""
        made: Tensor = self.gru(values.transpose(1, 2))[0].transpose(1, 2)
        return made


def _residual(width: int) -> Residual:
    return Residual(nn.BatchNorm1d(width), nn.LeakyReLU(SLOPE), nn.Conv1d(width, width, 1))


class VectorNetwork(nn.Module):
    """The whole network; at a width of 1024 with 2048 codes and 1025 bins, as published.

    Args:
        bins: of a spectrum.
        width: channels of every layer.
        codes: vectors in the book.
        learnt: how.
    """

    def __init__(self, bins: int, width: int, codes: int, learnt: Literal["ema", "plain"]) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(bins, width, 4, stride=2, padding=2),
            nn.BatchNorm1d(width),
            nn.LeakyReLU(SLOPE),
            nn.Conv1d(width, width, 4, stride=2, padding=2),
            _residual(width),
            nn.BatchNorm1d(width),
        )
        self.book = Book(codes, width, learnt)
        self.listener = nn.Sequential(
            nn.Conv1d(bins, width, LEAST_STYLE, stride=2),
            _residual(width),
            nn.BatchNorm1d(width),
            nn.LeakyReLU(SLOPE),
        )
        self.gru = nn.GRU(width, width, batch_first=True)

        def stage(inputs: int) -> list[nn.Module]:
            return [
                nn.BatchNorm1d(inputs),
                nn.LeakyReLU(SLOPE),
                nn.ConvTranspose1d(inputs, width, 1),
                Residual(nn.BatchNorm1d(width), nn.LeakyReLU(SLOPE), OverTime(width)),
                nn.BatchNorm1d(width),
                nn.LeakyReLU(SLOPE),
                nn.ConvTranspose1d(width, width, 4, stride=2, padding=2, output_padding=1),
            ]

        self.first = nn.Sequential(*stage(2 * width))
        self.second = nn.Sequential(
            *stage(2 * width),
            nn.BatchNorm1d(width),
            nn.LeakyReLU(SLOPE),
            nn.ConvTranspose1d(width, bins, 1),
            Residual(nn.BatchNorm1d(bins), nn.LeakyReLU(SLOPE), OverTime(bins)),
            nn.ReLU(),
        )

    @torch.no_grad()
    def begin(self, content: Tensor, style: Tensor) -> None:
        """Begin the book, and what evaluation normalises by, at a batch of spectra (B, K, F)."""
        mode, norms = self.training, [m for m in self.modules() if isinstance(m, nn.BatchNorm1d)]
        for norm in norms:
            norm.momentum = 1.0
        self.train()
        self.book.begin(self.encoder(content))
        self.decode(self.encode(content).nearest, self.listen(style), content.shape[2])
        for norm in norms:
            norm.momentum = MOMENTUM
        self.train(mode)

    def encode(self, spectra: Tensor) -> Coded:
        """Code spectra (B, K, F) at a quarter of their frames."""
        coded: Coded = self.book(self.encoder(spectra))
        return coded

    def listen(self, spectra: Tensor) -> Tensor:
        """Describe spectra (B, K, G), of at least `LEAST_STYLE` frames, by a vector (B, width)."""
        style: Tensor = self.gru(self.listener(spectra).transpose(1, 2))[1][-1]
        return style

    def decode(self, code: Tensor, style: Tensor, frames: int) -> Tensor:
        """Return spectra (B, K, frames) of codes (B, width, N) and a style (B, width)."""
        for stage in (self.first, self.second):
            told = style[:, :, None].expand(-1, -1, code.shape[2])
            code = stage(torch.cat([code, told], dim=1))
        return code[:, :, :frames]
