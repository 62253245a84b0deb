"""Fit a linear map between two speakers from different sentences, by aligning frames.

INCA (Erro, Moreno and Bonafonte, 2010): pair every frame of either speaker with the nearest frame
of the other, fit a map to the pairs, convert by it, and pair again. Frames are compared together
with their neighbours in time, and the map reads them too, so that it is a filter. Least squares
shrinks what it cannot predict; every channel's deviation is therefore restored. The fit starts
from a warped frequency axis, as speakers differ most in vocal tract length (Eide and Gish, 1996).
"""

import hashlib
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vctool import cache
from vctool.features import search

VERSION = 1
"""Version of the fit; must change when its results do."""
TAPS = 5
"""Frames that the filter reads: the middle one and two on either side."""
SPACING = 4
"""Frames between taps."""
ITERATIONS = 16
"""Rounds of pairing and fitting; the distance falls by under 1 % a round after these."""
TRIAL_FRAMES, TRIAL_ITERATIONS = 2048, 5
"""Rounds for each of the starts that are tried."""
RIDGE = 0.3
"""Penalty on the map's distance from its start, relative to the mean power of a tap."""
PAIRED_RIDGE = 0.03
"""The same where pairs are known, which need less of it."""
ROWS = 512
"""Frames compared at once: larger tables go back to the system each time, which takes longer than
filling them."""


def apply(x: Tensor, weight: Tensor) -> Tensor:
    """Filter (B, D, F) with (D, D, TAPS) to (B, D, F); the first and last frames are repeated."""
    reach = SPACING * (TAPS // 2)
    return F.conv1d(F.pad(x, (reach, reach), mode="replicate"), weight, dilation=SPACING)


def identity(channels: int) -> Tensor:
    """Return the filter (D, D, TAPS) that changes nothing."""
    weight = torch.zeros(channels, channels, TAPS)
    weight[:, :, TAPS // 2] = torch.eye(channels)
    return weight


class Frames(NamedTuple):
    """Frames of one speaker to be aligned."""

    segments: Tensor
    """(N, D, F), normalised to mean 0 and deviation 1."""
    places: Tensor
    """(P, 2) index of segment and of frame."""

    def at(self, x: Tensor) -> Tensor:
        """Gather the taps of every place from (N, D, F): (P, D, TAPS)."""
        return taps(x, self.places)

    def thinned(self, most: int) -> "Frames":
        """Keep at most `most` evenly spaced places."""
        return self._replace(places=self.places[:: -(-len(self.places) // most)])


def taps(x: Tensor, places: Tensor) -> Tensor:
    """Gather frames and their neighbours from (N, D, F) at (P, 2) segments and frames.

    Returns:
        (P, D, TAPS).
    """
    offsets = SPACING * (torch.arange(TAPS, device=x.device) - TAPS // 2)
    frames = (places[:, 1:] + offsets).clamp(0, x.shape[2] - 1)
    return x[places[:, :1], :, frames].transpose(1, 2)


def choose(segments: Tensor, active: Tensor, most: int) -> Frames:
    """Choose evenly spaced frames out of the active ones.

    Args:
        segments: (N, D, F).
        active: (N, F) bool, false where there is silence.
        most: the largest number of frames.
    """
    return Frames(segments, active.nonzero()).thinned(most)


def fit(source: Frames, target: Frames, starts: Tensor) -> Tensor:
    """Return what `fit_anew` does, from the cache in use if it was fitted to the same frames.

    Fitting takes a minute, and every experiment of a pair with the same features needs the same.
    """
    settings = (VERSION, TAPS, SPACING, ITERATIONS, TRIAL_FRAMES, TRIAL_ITERATIONS, RIDGE, ROWS)
    # sums round alike on one device, with one release of torch and one number of threads
    machine = (starts.device.type, torch.__version__, torch.get_num_threads())
    digest = hashlib.sha256()
    for one in (source.segments, source.places, target.segments, target.places, starts):
        digest.update(f"{tuple(one.shape)} {one.dtype}".encode())
        digest.update(one.detach().cpu().contiguous().numpy().tobytes())
    fitted = cache.once(
        f"cyclegan_vc alignment {settings} {machine}",
        digest.hexdigest(),
        lambda: fit_anew(source, target, starts).cpu().numpy(),
    )
    return torch.from_numpy(np.array(fitted)).to(starts.device)


@torch.no_grad()
def fit_anew(source: Frames, target: Frames, starts: Tensor) -> Tensor:
    """Fit the filter that turns one speaker's segments into another's; the sentences may differ.

    Frames that are paired wrongly at first stay so: a woman's vowels lie nearer to a man's other
    vowels than to his same ones. Several starts are therefore tried, with the frequency axis warped
    by different amounts, and the one that brings the speakers nearest to each other is kept.

    Args:
        source: the frames to convert.
        target: the frames to resemble.
        starts: (W, D, D) linear maps of a frame to start from.

    Returns:
        (D, D, TAPS) float32.
    """
    few_source, few_target = source.thinned(TRIAL_FRAMES), target.thinned(TRIAL_FRAMES)
    tried = [_refine(few_source, few_target, start, TRIAL_ITERATIONS)[1] for start in starts]
    best = starts[int(torch.tensor(tried).argmin())]
    return _refine(source, target, best, ITERATIONS)[0]


@torch.no_grad()
def fit_pairs(source: Frames, target: Frames, here: Tensor, there: Tensor, count: int) -> Tensor:
    """Fit the filter where it is known which frames say the same.

    Args:
        source: the frames to convert.
        target: the frames to resemble.
        here: (P, W) descriptions of the source's places, which do not depend on the voice.
        there: (Q, W) of the target's.
        count: how many of the nearest are averaged.

    Returns:
        (D, D, TAPS) float32.
    """
    seen, wanted = source.at(source.segments), target.at(target.segments)
    middle = wanted[..., TAPS // 2]
    hubs = search.nearness(there, here, count), search.nearness(here, there, count)
    theirs = search.mean_of_nearest(here, there, middle, count, hubs[0])
    ours = search.mean_of_nearest(there, here, seen.flatten(1), count, hubs[1])
    ours = ours.view(-1, *seen.shape[1:])
    x, y = torch.cat([seen, ours]), torch.cat([theirs, middle])
    weight = identity(x.shape[1]).to(x.device)
    weight = weight + _ridge(x, y - x[..., TAPS // 2], PAIRED_RIDGE)
    return weight * _gain(seen, weight)


def _refine(source: Frames, target: Frames, start: Tensor, iterations: int) -> tuple[Tensor, float]:
    """Pair and fit in turn; return the filter and the distance left between the speakers."""
    anchor = identity(len(start)).to(start.device)
    anchor[:, :, TAPS // 2] = start
    seen, wanted = source.at(source.segments), target.at(target.segments)
    weight = anchor
    for left in reversed(range(iterations + 1)):
        moved = source.at(apply(source.segments, weight * _gain(seen, weight)))
        here, there = nearest(moved, wanted), nearest(wanted, moved)
        if not left:
            break
        x = torch.cat([seen, seen[there]])
        y = torch.cat([wanted[here], wanted])[..., TAPS // 2]
        weight = anchor + _ridge(x, y - x[..., TAPS // 2] @ start.T, RIDGE)
    apart = (moved - wanted[here]).square().mean() + (wanted - moved[there]).square().mean()
    return weight * _gain(seen, weight), float(apart)


def _gain(seen: Tensor, weight: Tensor) -> Tensor:
    """Return the gain that restores the deviation of every channel: (D, 1, 1)."""
    made = torch.einsum("pct,dct->pd", seen, weight)
    gain: Tensor = seen[..., TAPS // 2].std(dim=0) / made.std(dim=0).clamp_min(1e-3)
    return gain[:, None, None]


def nearest(queries: Tensor, bank: Tensor) -> Tensor:
    """Return for every query the index of the nearest place of the bank, compared over all taps."""
    queries, bank = queries.flatten(1), bank.flatten(1)
    power = bank.square().sum(dim=1)
    return torch.cat([(power - 2 * part @ bank.T).argmin(dim=1) for part in queries.split(ROWS)])


def _ridge(x: Tensor, y: Tensor, share: float) -> Tensor:
    """Regress y (P, D) on x (P, D, TAPS): the filter (D, D, TAPS)."""
    flat, wanted = x.flatten(1).double(), y.double()
    penalty = share * len(x) * torch.eye(flat.shape[1], dtype=flat.dtype, device=x.device)
    solution = torch.linalg.solve(flat.T @ flat + penalty, flat.T @ wanted)
    return solution.T.reshape(y.shape[1], *x.shape[1:]).float()
