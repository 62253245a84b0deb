"""F0 as a separate stream: a shared bottleneck, a pitch posterior, and its best path.

A mel-only generator does not control pitch, and if it is given the input's F0 as it is, the
identity loss teaches it to copy. So each melody network sees F0 only through a *contour*: log-F0
low-passed over about a third of a second, normalised by the utterance's mean and spread. What a
sung and a spoken contour share survives that; notes, vibrato and register do not, and must come
from the accompaniment, from the target domain's statistics and from what the network has learnt.

The network scores every semitone with the same two-dimensional convolutions, so what it learns of
a chord in one key holds in all twelve. Its scores, and all that is computed from them, are float32
under autocast too: MIDI notes in bf16 lie a quarter of a semitone apart, and above 64 half a
semitone, which a discriminator could tell from sung ones. Conversion takes the best path through
the posterior under the target domain's note-to-note transitions, counted on its training clips.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal import fftconvolve
from torch import Tensor, nn

from vctool.features.chroma import hz_to_midi

LOWEST_NOTE = 36
"""MIDI note of the lowest semitone scored (65.4 Hz)."""
NOTES = 49
"""Semitones scored: MIDI 36 to 84 (1046.5 Hz)."""
CONTOUR_SECONDS = 0.35
"""Length of the Hann window that a contour is smoothed with [s]."""
POOL = 4
"""Frames in one step of the posterior."""


def midi_to_hz(midi: np.ndarray) -> np.ndarray:
    """Return frequencies [Hz] of MIDI note numbers."""
    return 440.0 * 2.0 ** ((midi - 69.0) / 12.0)


def interpolate_f0(f0_hz: np.ndarray) -> np.ndarray:
    """Bridge unvoiced frames on the semitone scale.

    Args:
        f0_hz: (F,) [Hz], 0 where unvoiced.

    Returns:
        (F,) MIDI notes everywhere; the middle of the scale where nothing is voiced.
    """
    voiced = np.flatnonzero(f0_hz > 0)
    if not len(voiced):
        return np.full(len(f0_hz), LOWEST_NOTE + NOTES / 2, np.float32)
    notes = hz_to_midi(f0_hz[voiced].astype(np.float64))
    return np.interp(np.arange(len(f0_hz)), voiced, notes).astype(np.float32)


def contour(notes: np.ndarray, voiced: np.ndarray, frame_rate: float) -> tuple[np.ndarray, float]:
    """Reduce an utterance's F0 to the bottleneck that both domains share.

    Args:
        notes: (F,) interpolated MIDI notes.
        voiced: (F,) bool.
        frame_rate: frames per second [Hz].

    Returns:
        The contour (F,), zero mean and unit spread over voiced frames, and the utterance's mean
        note. The contour of an utterance with no spread is zero.
    """
    if not voiced.any():
        return np.zeros(len(notes), np.float32), float(notes.mean())
    mean = float(notes[voiced].mean())
    taps = max(3, int(CONTOUR_SECONDS * frame_rate) | 1)
    window = np.hanning(taps + 2)[1:-1]
    padded = np.pad(notes.astype(np.float64) - mean, taps // 2, mode="edge")
    smooth = fftconvolve(padded, window / window.sum(), mode="valid")
    # Half a semitone of spread at least: a monotone's jitter must not be scaled up to a melody.
    spread = max(float(smooth[voiced].std()), 0.5)
    return (smooth / spread).astype(np.float32), mean


def contour_of(notes: Tensor, voiced: Tensor, frame_rate: float) -> Tensor:
    """Reduce a batch of generated F0 tracks the same way, clip by clip.

    Args:
        notes: (B, F) MIDI notes at every frame.
        voiced: (B, F) share of voicing in [0, 1].
        frame_rate: frames per second [Hz].

    Returns:
        (B, F) contours.
    """
    weight = voiced / voiced.sum(dim=1, keepdim=True).clamp_min(1e-3)
    centred = notes - (weight * notes).sum(dim=1, keepdim=True)
    taps = max(3, int(CONTOUR_SECONDS * frame_rate) | 1)
    window = torch.hann_window(taps + 2, periodic=False, device=notes.device, dtype=notes.dtype)[
        1:-1
    ]
    padded = F.pad(centred[:, None], (taps // 2, taps // 2), mode="replicate")
    with torch.autocast(notes.device.type, enabled=False):
        smooth = F.conv1d(padded, (window / window.sum())[None, None])[:, 0]
    spread = (weight * smooth.square()).sum(dim=1, keepdim=True).sqrt()
    return smooth / spread.clamp_min(0.5)


class MelodyNet(nn.Module):
    """Score semitones given an accompaniment: a posterior over notes at every fourth frame.

    Its input is a picture of pitch against time. Rows are semitones; layers are the chroma of the
    accompaniment repeated in every octave, the same averaged over the clip (the key), a bump at
    the contour as it would lie in the target's register, a wide bump at the register itself, and
    rows that say when there is voice and how loud. All layers are convolutions over both axes.

    Args:
        width: channels of every hidden layer.
        layers: hidden layers; time dilation doubles from one to the next.
    """

    def __init__(self, width: int = 24, layers: int = 4) -> None:
        super().__init__()
        # Thirteen semitones tall: every interval up to a fourth to each side, fifth with the next.
        self.first = nn.Conv2d(6, width, (13, 3), padding=(6, 1))
        self.hidden = nn.ModuleList(
            nn.Conv2d(width, width, (5, 3), padding=(2, 2**i), dilation=(1, 2**i))
            for i in range(layers)
        )
        self.score = nn.Conv2d(width, 1, 1)

    def forward(
        self, chroma: Tensor, target: Tensor, register: Tensor, voiced: Tensor, level: Tensor
    ) -> Tensor:
        """Return (B, NOTES, ceil(F / 4)) unnormalised log-probabilities, float32.

        Args:
            chroma: (B, 12, F), sums to one in every frame.
            target: (B, F) contour as it would lie in the target's register [MIDI].
            register: (B,) the target's register for this utterance [MIDI].
            voiced: (B, F) in [0, 1].
            level: (B, F) level of the voice, about unit spread.
        """
        rows = torch.arange(LOWEST_NOTE, LOWEST_NOTE + NOTES, device=chroma.device)
        pooled = pool(torch.cat([chroma, target[:, None], voiced[:, None], level[:, None]], 1))
        sharp = 4.0 * (12.0 * pooled[:, :12] - 1.0).clamp(-1.0, 3.0) / 4.0
        key = sharp.mean(dim=2, keepdim=True).expand_as(sharp)
        notes = rows % 12
        grid = rows[None, :, None].to(target.dtype)
        near = torch.exp(-0.5 * (grid - pooled[:, None, 12]).square())
        home = torch.exp(-0.5 * ((grid - register[:, None, None]) / 3.0).square())
        picture = torch.stack(
            [
                sharp[:, notes],
                key[:, notes],
                near,
                home.expand_as(near),
                pooled[:, None, 13].expand_as(near),
                pooled[:, None, 14].expand_as(near),
            ],
            dim=1,
        )
        x = F.leaky_relu(self.first(picture), 0.1)
        for layer in self.hidden:
            x = x + F.leaky_relu(layer(x), 0.1)
        with torch.autocast(x.device.type, enabled=False):
            scores: Tensor = self.score(x.to(self.score.weight.dtype))[:, 0]
        return scores


def pool(x: Tensor) -> Tensor:
    """Average every four frames: (B, C, F) to (B, C, ceil(F / 4)); the last group may be short."""
    return F.avg_pool1d(x, POOL, ceil_mode=True)


def expand(x: Tensor, frames: int) -> Tensor:
    """Interpolate (B, C, ceil(F / 4)) back to (B, C, F), linearly between group centres."""
    steps = x.shape[-1]
    at = (torch.arange(frames, device=x.device) - (POOL - 1) / 2) / POOL
    at = at.clamp(0, steps - 1)
    below = at.floor().long()
    above = (below + 1).clamp_max(steps - 1)
    share = (at - below).to(x.dtype)
    return x[..., below] * (1 - share) + x[..., above] * share


def note_targets(notes: Tensor, voiced: Tensor) -> tuple[Tensor, Tensor]:
    """Spread the true notes over the semitones that a posterior scores.

    Args:
        notes: (B, F) MIDI notes.
        voiced: (B, F) in {0, 1}.

    Returns:
        (B, NOTES, S) probabilities, a Gaussian half a semitone wide around the note, and (B, S)
        the share of voiced frames behind each.
    """
    share = pool(voiced[:, None])[:, 0]
    mean = pool((notes * voiced)[:, None])[:, 0] / share.clamp_min(1e-6)
    rows = torch.arange(LOWEST_NOTE, LOWEST_NOTE + NOTES, device=notes.device, dtype=notes.dtype)
    logits = -0.5 * ((rows[None, :, None] - mean[:, None]) / 0.5).square()
    return logits.softmax(dim=1), share


def cross_entropy(scores: Tensor, notes: Tensor, voiced: Tensor) -> Tensor:
    """Return the mean over all steps of the voiced share times the cross-entropy [nat]."""
    target, share = note_targets(notes, voiced)
    return -(share[:, None] * target * scores.log_softmax(dim=1)).sum(dim=1).mean()


def expected_note(scores: Tensor, frames: int) -> Tensor:
    """Return the posterior's mean note at every frame: (B, NOTES, S) to (B, F) [MIDI]."""
    rows = torch.arange(LOWEST_NOTE, LOWEST_NOTE + NOTES, device=scores.device, dtype=scores.dtype)
    mean = (scores.softmax(dim=1) * rows[None, :, None]).sum(dim=1, keepdim=True)
    return expand(mean, frames)[:, 0]


def count_transitions(notes: Tensor, voiced: Tensor) -> Tensor:
    """Estimate how often a domain moves by each interval between steps, in semitones.

    Args:
        notes: (B, F) MIDI notes.
        voiced: (B, F) in {0, 1}.

    Returns:
        (2 * NOTES - 1,) log-probabilities of a move by -(NOTES - 1) to NOTES - 1 semitones.
    """
    target, share = note_targets(notes, voiced)
    note = target.argmax(dim=1)
    both = (share[:, 1:] == 1) & (share[:, :-1] == 1)
    moves = (note[:, 1:] - note[:, :-1])[both] + NOTES - 1
    counts = torch.bincount(moves, minlength=2 * NOTES - 1).double()
    # Moves never seen get the mass of one count spread over all of them.
    probability = (counts + 1.0 / len(counts)) / (counts.sum() + 1.0)
    return probability.log().float()


def best_path(scores: Tensor, transitions: Tensor, emission: float) -> Tensor:
    """Find the likeliest sequences of notes (Viterbi).

    Args:
        scores: (..., NOTES, S) unnormalised log-probabilities.
        transitions: (2 * NOTES - 1,) log-probabilities of moves.
        emission: exponent of the posterior against the transitions; neighbouring steps are
            correlated, so it is below one.

    Returns:
        (..., S) MIDI notes, on the CPU.
    """
    emissions = (emission * scores.log_softmax(dim=-2)).double().cpu().numpy()
    steps = emissions.shape[-1]
    emissions = emissions.reshape(-1, NOTES, steps)
    moves = np.arange(NOTES)[:, None] - np.arange(NOTES)[None, :] + NOTES - 1
    step_cost = transitions.double().cpu().numpy()[moves]  # (to, from)
    best = emissions[..., 0].copy()
    origin = np.zeros((steps, *best.shape), np.int64)
    for step in range(1, steps):
        candidates = best[:, None, :] + step_cost
        origin[step] = candidates.argmax(axis=2)
        best = candidates.max(axis=2) + emissions[..., step]
    path = np.empty((len(best), steps), np.int64)
    path[:, -1] = best.argmax(axis=1)
    each = np.arange(len(best))
    for step in range(steps - 1, 0, -1):
        path[:, step - 1] = origin[step, each, path[:, step]]
    found = torch.from_numpy(path + LOWEST_NOTE)
    return found.reshape(*scores.shape[:-2], steps)


def intonation(scores: Tensor, path: Tensor) -> Tensor:
    """Find the deviation of the posterior from the notes of a path: sung pitch is not on a grid.

    Args:
        scores: (..., NOTES, S) unnormalised log-probabilities.
        path: (..., S) MIDI notes.

    Returns:
        (..., S) semitones: the posterior's mean over each note and its two neighbours, minus the
        note; on the CPU.
    """
    rows = torch.arange(LOWEST_NOTE, LOWEST_NOTE + NOTES, device=scores.device)
    beside = rows[:, None] - path.to(scores.device)[..., None, :]
    near = scores.masked_fill(beside.abs() > 1, float("-inf")).softmax(dim=-2)
    return (near * beside).sum(dim=-2).cpu()


def held(path: Tensor, frames: int) -> np.ndarray:
    """Hold every value of (S,), one at every fourth frame, over its frames: (frames,) float64."""
    return np.repeat(path.numpy().astype(np.float64), POOL)[:frames]


def glide(notes: np.ndarray, frame_rate: float, seconds: float) -> np.ndarray:
    """Round the steps of notes (F,) by a Hann window of a length [s]: glides between them."""
    taps = int(seconds * frame_rate) | 1
    if taps < 3:
        return notes
    window = np.hanning(taps + 2)[1:-1]
    padded = np.pad(notes, taps // 2, mode="edge")
    return fftconvolve(padded, window / math.fsum(window), mode="valid")
