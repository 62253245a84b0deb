"""One direction of the conversion: a Wave-U-Net for the spectrum, a melody network for pitch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vctool.data.sampling import keyed_normal, keyed_uniform
from vctool.models.vocal_cyclegan.melody import (
    MelodyNet,
    best_path,
    expected_note,
    glide,
    held,
    intonation,
)
from vctool.models.vocal_cyclegan.normalise import Domain
from vctool.models.vocal_cyclegan.ornaments import on_syllables, ornamented
from vctool.models.vocal_cyclegan.settings import VocalCycleGanConfig
from vctool.models.vocal_cyclegan.streams import Layout
from vctool.models.vocal_cyclegan.waveunet import WaveUNet

SMOOTHED_AT_ONCE = 128
"""Frames that `smoothed` smooths by one product."""
NEIGHBOURS = 8
"""Uppermost shared bands whose mean the missing ones start from."""


class Output(NamedTuple):
    """A generated clip."""

    spectrum: Tensor
    """(B, spectrum, F) bands and aperiodicities [dB], relative to the utterance's level."""
    scores: Tensor | None
    """(B, NOTES, S) unnormalised log-probabilities of notes, or None for mel."""
    notes: Tensor | None
    """(B, F) expected MIDI notes, or None for mel."""
    voiced: Tensor | None
    """(B, F) share of voicing in [0, 1], or None for mel."""
    voicing: Tensor | None = None
    """(B, F) log-odds of voicing, or None for mel and for real clips."""


class Bottleneck(NamedTuple):
    """How much of the input's pitch a melody network sees."""

    scale: Tensor
    """(B,) in [0, 1], how far the melody follows the contour."""
    noise: Tensor
    """(B, F) semitones added to the contour."""
    offset: Tensor
    """(B,) semitones added to the register."""

    @classmethod
    def quiet(cls, scale: float, voice: Tensor) -> "Bottleneck":
        """Show (B, C, F) voices without noise, for conversion."""
        clips, _, frames = voice.shape
        return cls(
            voice.new_full((clips,), scale), voice.new_zeros(clips, frames), voice.new_zeros(clips)
        )

    @classmethod
    def drawn(
        cls, keys: Tensor, frames: int, salt: int, config: VocalCycleGanConfig
    ) -> "Bottleneck":
        """Draw how much of each clip's pitch is seen, and with how much noise, for training."""
        scale = keyed_uniform(keys, (1,), salt)[:, 0]
        knots = keyed_normal(keys, (1, 2 + frames // 32), salt + 1)
        slow = F.interpolate(knots, size=frames, mode="linear", align_corners=True)[:, 0]
        offset = keyed_normal(keys, (1,), salt + 100)[:, 0]
        return cls(scale, config.contour_noise * slow, config.register_noise * offset)


def _fill_missing(bands: Tensor, shared: Tensor) -> Tensor:
    """Let bands that one domain lacks move with the uppermost shared ones.

    At their mean instead, they would hiss in every pause until training corrects it.

    Args:
        bands: (B, bands, F) normalised, 0 where missing.
        shared: (bands,) bool.
    """
    upper = shared & (shared.flip(0).cumsum(0).flip(0) <= NEIGHBOURS)
    weights = upper.to(bands.dtype) / upper.sum().clamp_min(1)
    above = torch.einsum("bcf,c->bf", bands, weights)[:, None]
    return torch.where(shared[None, :, None], bands, above)


def smoothed(values: Tensor, half_width: float) -> Tensor:
    """Smooth (B, C, F) over time by a Hann window of a half width [frames]; ends are held.

    The same as `vctool.features.envelopes.smoothed`, with a gradient, and by matrix products, which
    take a third of the time of a convolution.
    """
    reach = int(half_width)
    places = torch.arange(-reach, reach + 1, device=values.device, dtype=torch.float32)
    window = 0.5 + 0.5 * torch.cos(torch.pi * places / (half_width + 1e-9))
    # Row i of the band matrix weighs `size` frames for frame i of `SMOOTHED_AT_ONCE`.
    size = SMOOTHED_AT_ONCE + 2 * reach
    band = F.pad(window / window.sum(), (0, SMOOTHED_AT_ONCE)).repeat(SMOOTHED_AT_ONCE)
    band = band[: SMOOTHED_AT_ONCE * size].reshape(SMOOTHED_AT_ONCE, size)
    frames = values.shape[-1]
    spare = -frames % SMOOTHED_AT_ONCE
    with torch.autocast(values.device.type, enabled=False):
        padded = F.pad(values.float(), (reach, reach + spare), mode="replicate")
        pieces = padded.unfold(-1, size, SMOOTHED_AT_ONCE) @ band.T
        return pieces.flatten(-2)[..., :frames].to(values.dtype)


class Generator(nn.Module):
    """Convert clips of one domain to the other.

    The spectrum comes in normalised by the origin's statistics and goes out by the target's, so
    with `residual` an untrained generator is the mean-variance transform. Bands that only one
    domain carries are not input: the network infers them from those below. Nor are the
    input's voicing and aperiodicity: an F0 tracker calls one sonorant frame in six of read speech
    unvoiced and one in a hundred of singing, and such frames, resynthesised as loud noise, are
    the roughest of all errors. Both are inferred from the bands, as the target domain has them.

    Args:
        config: the family's hyper-parameters.
        layout: the voice's channels.
        channels: widths of the Wave-U-Net.
        condition_channels: accompaniment channels, the last twelve chroma; 0 for none.
        frame_rate: frames of the networks per second [Hz].
    """

    def __init__(
        self,
        config: VocalCycleGanConfig,
        layout: Layout,
        channels: Sequence[int],
        condition_channels: int,
        frame_rate: float,
    ) -> None:
        super().__init__()
        self.config = config
        self.layout = layout
        self.frame_rate = frame_rate
        self.condition_channels = condition_channels
        pitched = layout.kind == "world"
        self.spectrum = WaveUNet(
            layout.bands + condition_channels + (1 if pitched else 0),
            layout.spectrum + (1 if pitched else 0),
            channels,
            config.kernel,
            zero_output=config.residual,
        )
        self.melody = MelodyNet(config.melody_width, config.melody_layers) if pitched else None

    def forward(
        self,
        voice: Tensor,
        condition: Tensor | None,
        origin: Domain,
        target: Domain,
        shared: Tensor,
        bottleneck: Bottleneck,
    ) -> Output:
        """Generate clips.

        Args:
            voice: (B, C, F) voice channels.
            condition: (B, K, F) accompaniment channels, or None.
            origin: statistics of the domain the voice comes from.
            target: statistics of the domain to convert to.
            shared: (spectrum,) bool, the channels that both domains carry.
            bottleneck: how much of the input's pitch the melody network sees.
        """
        bands = self.layout.bands
        shown = origin.normalise(voice[:, : self.layout.spectrum]) * shared[None, :, None]
        inputs = [shown[:, :bands]]
        if self.condition_channels:
            assert condition is not None
            inputs.append(target.normalise_condition(condition))
        scores = notes = voiced = voicing = None
        if self.melody is not None:
            scores = self._scores(voice, condition, origin, target, shown, bottleneck)
            notes = expected_note(scores, voice.shape[-1])
            inputs.append(target.normalise_note(notes)[:, None])
        made = self.spectrum(torch.cat(inputs, dim=1))
        spectrum = made[:, : self.layout.spectrum]
        kept = _fill_missing(shown[:, :bands], shared[:bands])
        if self.config.residual:
            spectrum = spectrum + torch.cat([kept, torch.zeros_like(shown[:, bands:])], dim=1)
        if self.melody is not None:
            voicing = made[:, -1]
            voiced = torch.sigmoid(voicing.float())
        spectrum = target.restore(spectrum)
        if self.config.smoothing_ms:
            before = target.restore(torch.cat([kept, shown[:, bands:]], dim=1))[:, :bands]
            before = torch.where(shared[None, :bands, None], voice[:, :bands], before)
            half_width = self.config.smoothing_ms * 1e-3 * self.frame_rate
            changed = before + smoothed(spectrum[:, :bands] - before, half_width)
            spectrum = torch.cat([changed, spectrum[:, bands:]], dim=1)
        return Output(spectrum, scores, notes, voiced, voicing)

    def _scores(
        self,
        voice: Tensor,
        condition: Tensor | None,
        origin: Domain,
        target: Domain,
        shown: Tensor,
        bottleneck: Bottleneck,
    ) -> Tensor:
        assert self.melody is not None
        mean = voice[:, self.layout.mean_note].mean(dim=1)
        register = target.note_mean + target.note_spread * origin.normalise_note(mean)
        register = register + bottleneck.offset
        shared = target.contour_spread * voice[:, self.layout.contour]
        wanted = register[:, None] + bottleneck.scale[:, None] * shared + bottleneck.noise
        if condition is not None and self.condition_channels:
            chroma = condition[:, -12:]
        else:
            chroma = voice.new_full((len(voice), 12, voice.shape[-1]), 1.0 / 12.0)
        # Detached: a cycle's pitch loss must not shape the spectrum that it is read from.
        level = shown[:, : self.layout.bands].detach().mean(dim=1)
        scores: Tensor = self.melody(chroma, wanted, register, voice[:, self.layout.voiced], level)
        return scores

    def delivered(self, output: Output, target: Domain) -> Output:
        """Show the notes that conversion would give of a batch, with the gradient of their mean."""
        assert output.notes is not None
        with torch.no_grad():
            sung = torch.from_numpy(self._sung(output, target)).to(output.notes)
        return output._replace(notes=output.notes + (sung - output.notes).detach())

    def decode(self, output: Output, target: Domain) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Decide on the pitch of one converted utterance.

        Returns:
            (F,) MIDI notes and (F,) bool voicing, or two None for mel.
        """
        if output.scores is None:
            return None, None
        assert output.voiced is not None
        sounds = output.voiced[0].float().cpu().numpy() > self.config.voiced_from
        return self._sung(output, target)[0], sounds

    def _sung(self, output: Output, target: Domain) -> np.ndarray:
        """Return the notes (B, F) that conversion gives: best paths as the target sings them."""
        scores, voiced = output.scores, output.voiced
        assert scores is not None and voiced is not None
        paths = best_path(scores, target.transitions, self.config.emission)
        beside = intonation(scores, paths)
        frames, rate = voiced.shape[-1], self.frame_rate
        levels = None if target.ornaments is None else target.level(output.spectrum)
        sung = []
        for clip, path in enumerate(paths):
            notes = held(path, frames)
            if levels is not None:
                notes = on_syllables(notes, levels[clip], rate)
            glided = glide(notes + held(beside[clip], frames), rate, self.config.glide_seconds)
            if levels is not None:
                glided = ornamented(glided, notes, rate, target.how())
            sung.append(glided)
        return np.stack(sung)
