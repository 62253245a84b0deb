"""Sound to sound, chunk by chunk: spectra, envelope, code, and the envelope of another voice.

    wave -> frames of two hops -> spectrum X, mel bands, cepstra c, F0
    c -> encoder -> code;  code, level, F0, style of the target -> decoder -> cepstra c'
    X * exp(curve(c' - c)) -> wave

What is heard is the source's own spectrum with its phase, filtered by the difference of two smooth
envelopes, so that a decoder that says nothing changes nothing but the envelope. Every frame keeps
its power. Nothing looks back further than the convolutions do, and nothing is remembered longer.

Pulses at the source's F0 and noise beside it, each under the envelope of c', were tried, and were
taken out again: training left the pulses 61 dB below the source's own sound.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vctool.features.live_pitch import HOPS, Pitch
from vctool.features.settings import FeatureConfig
from vctool.models.speaker_autoencoder.embedder import DIM
from vctool.models.speaker_autoencoder.envelope import Envelope
from vctool.models.speaker_autoencoder.networks import Memory, Stack, Style
from vctool.models.speaker_autoencoder.settings import SpeakerAutoencoderConfig
from vctool.models.speaker_autoencoder.spectra import Spectra, overlapped
from vctool.nn.fourier import framed
from vctool.nn.streaming import Stream

LARGEST = 3.0
"""Largest change of the envelope, up or down [nepers]: 26 dB."""
EMPTY = 1e-9
"""Added to the power of a frame's spectrum, so that silence has no gain."""
LEAST_VOICED = 1e-3
"""Added to the number of voiced frames, so that without one there is no mean."""
MIDDLE_HZ = 220.0
"""F0 that networks see as 0."""
EMBEDDING_SCALE = 8.0
"""What brings the coordinates of a centred embedding to about unit variance."""


class Target(NamedTuple):
    """What is known of the voice of a target."""

    embedding: Tensor
    """(B, DIM) of length 1."""
    timbre: Tensor
    """(B, C): its mean cepstra over frames that sound."""


class Frames(NamedTuple):
    """Frames of a sound, up to the newest, and what is measured in them.

    Spectra and bands begin `late` frames earlier than the sound does (`Voice.late`).
    """

    real: Tensor
    """(B, F + late, bins)."""
    imaginary: Tensor
    """(B, F + late, bins)."""
    bands: Tensor
    """(B, F + late, n_mels) log amplitudes [nepers]."""
    f0: Tensor
    """(B, F) [Hz]."""
    voicing: Tensor
    """(B, F) from 0 to 1."""


class Voice(nn.Module):
    """The networks and the signal path around them.

    Args:
        config: the hyper-parameters.
        features: the feature settings.
        by_matrix: see `Spectra`.
    """

    mean: Tensor
    std: Tensor
    embedding_mean: Tensor

    def __init__(
        self, config: SpeakerAutoencoderConfig, features: FeatureConfig, by_matrix: bool = False
    ) -> None:
        super().__init__()
        self.config, self.features = config, features
        self.hop, self.ahead = features.hop_length, config.look_ahead
        self.late = config.look_ahead + config.smoothing
        self.spectra = Spectra(self.hop, by_matrix)
        self.envelope = Envelope(features, config.cepstra)
        self.pitch = Pitch(features.rate, self.hop, features.f0_floor, features.f0_ceil)
        self.encoder = Stack(
            "encoder", config.cepstra, config.code, config.width, config.encoder_blocks
        )
        self.style = Style(DIM + config.cepstra, config.style)
        self.decoder = Stack(
            "decoder",
            config.code + 3,
            config.cepstra,
            config.width,
            config.decoder_blocks,
            config.style,
        )
        # What is said passes from the first step on, as the lowest cepstra; the networks add to it.
        self.into_code = nn.Linear(config.cepstra, config.code)
        self.out_of_code = nn.Linear(config.code, config.cepstra)
        for layer in (self.into_code, self.out_of_code):
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("mean", torch.zeros(config.cepstra))
        self.register_buffer("std", torch.ones(config.cepstra))
        self.register_buffer("embedding_mean", torch.zeros(DIM))

    @property
    def latency(self) -> int:
        """Samples by which the output is behind the input."""
        return (1 + self.late) * self.hop

    def memory(self, batch: int = 1) -> dict[str, Tensor]:
        """Return what is remembered before the first chunk."""
        shapes = {
            "hops": (HOPS - 1, self.hop),
            "late": (self.late, 2 * self.spectra.bins),
            "changes": (2 * self.config.smoothing, self.config.cepstra),
            "voiced": (self.config.mean_frames - 1, self.config.cepstra + 1),
            "tail": (self.hop,),
            **self.encoder.memory,
            **self.decoder.memory,
        }
        return {
            name: self.mean.new_zeros((batch, *shape)) for name, shape in shapes.items() if shape[0]
        }

    def forward(
        self, wave: Tensor, target: Target, memory: Memory
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Convert a chunk.

        Args:
            wave: (B, F * hop).
            target: the voice.
            memory: what was remembered, by name.

        Returns:
            (B, F * hop), `latency` behind the input, and what to remember.
        """
        frames, heard = self.analyse(wave, memory)
        code, coded = self.encode(self.cepstra(frames)[:, self.late :], memory)
        made, after = self.render(frames, code, target, memory)
        return made, {**heard, **coded, **after}

    def analyse(self, wave: Tensor, memory: Memory) -> tuple[Frames, dict[str, Tensor]]:
        """Return the frames of a chunk (B, F * hop), and what to remember of it."""
        new = wave.reshape(len(wave), -1, self.hop)
        hops = torch.cat([memory["hops"], new], dim=1)
        spectra = torch.cat(self.spectra.analyse(framed(hops, 2, HOPS - 2)), dim=-1)
        after = {"hops": hops[:, -(HOPS - 1) :]}
        if self.late:
            spectra = torch.cat([memory["late"], spectra], dim=1)
            after["late"] = spectra[:, -self.late :]
        real, imaginary = spectra.chunk(2, dim=-1)
        bands = self.envelope.bands(real, imaginary)
        return Frames(real, imaginary, bands, *self.pitch(framed(hops, HOPS))), after

    def bands(self, wave: Tensor) -> Tensor:
        """Return the log amplitudes (B, F, n_mels) of waves (B, F * hop), from silence on."""
        hops = nn.functional.pad(wave, (self.hop, 0)).unflatten(-1, (-1, self.hop))
        return self.envelope.bands(*self.spectra.analyse(framed(hops, 2)))

    def cepstra(self, frames: Frames) -> Tensor:
        """Return c1... of frames: (B, F + late, C)."""
        return self.envelope.cepstra(frames.bands)

    def encode(self, cepstra: Tensor, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the code (B, code, F) of cepstra (B, F, C), and what to remember."""
        normal = (cepstra - self.mean) / self.std
        made, after = self.encoder(normal.transpose(1, 2), memory)
        return self.into_code(normal).transpose(1, 2) + made, after

    def render(
        self, frames: Frames, code: Tensor, target: Target, memory: Memory
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Give frames the envelopes that a target's voice would have.

        Args:
            frames: of the chunk.
            code: (B, code, F).
            target: the voice.
            memory: what was remembered, by name.

        Returns:
            (B, F * hop), `latency` behind the input, and what to remember.
        """
        # frames that the networks have seen beyond, and those whose changes are smoothed
        late, seen = (
            slice(None, -self.late or None),
            slice(self.late - self.ahead, -self.ahead or None),
        )
        level = frames.bands.mean(dim=-1)
        told = torch.stack(
            [
                level[:, self.late :] / 3,
                frames.voicing * torch.log2(frames.f0 / MIDDLE_HZ),
                frames.voicing,
            ],
            dim=1,
        )
        known = torch.cat(
            [
                EMBEDDING_SCALE * (target.embedding - self.embedding_mean),
                (target.timbre - self.mean) / self.std,
            ],
            dim=-1,
        )
        raw, after = self.decoder(torch.cat([code, told], dim=1), memory, self.style(known))
        spoken = raw.transpose(1, 2) + self.out_of_code(code.transpose(1, 2))
        wanted = target.timbre[:, None] + self.std * spoken
        least = self.config.unvoiced
        share = least + (1.0 - least) * told[:, 2]
        apart = wanted - self.cepstra(frames)[:, seen]
        steady, after["voiced"] = self._mean(apart, told[:, 2], memory["voiced"])
        moving = (steady + self.config.dynamics * (apart - steady)) * share[..., None]
        change, smoothed = self._smoothed(moving, memory)
        gain = self.envelope.curve(change).clamp(-LARGEST, LARGEST).exp()
        real, imaginary = frames.real[:, late], frames.imaginary[:, late]
        before = _power(real, imaginary)
        real, imaginary = real * gain, imaginary * gain
        held = ((before + EMPTY) / (_power(real, imaginary) + EMPTY)).sqrt()
        windows = self.spectra.synthesise(real * held, imaginary * held)
        made, after["tail"] = overlapped(windows, memory["tail"])
        return made, after | smoothed

    def _mean(self, change: Tensor, voicing: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of (B, F, C) over the voiced frames heard lately, and the next `before`.

        Nothing is 0 that has not been heard: the first voiced frame's mean is its own change.
        """
        new = torch.cat([voicing[..., None] * change, voicing[..., None]], dim=-1)
        joined = torch.cat([before, new], dim=1)
        count = self.config.mean_frames
        sums = count * nn.functional.avg_pool1d(joined.transpose(1, 2), count, stride=1)
        total, weight = sums.transpose(1, 2).split([change.shape[-1], 1], dim=-1)
        # counted from the end: a tracer may take the number of frames for a constant
        return total / (weight + LEAST_VOICED), joined[:, 1 - count :]

    def _smoothed(self, change: Tensor, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:
        """Smooth (B, F, C) over frames by a triangle of sum 1, `smoothing` frames late."""
        reach = self.config.smoothing
        if not reach:
            return change, {}
        joined = torch.cat([memory["changes"], change], dim=1)
        parts = [
            (reach + 1 - abs(n - reach)) / (reach + 1) ** 2 * joined[:, n : n - 2 * reach or None]
            for n in range(2 * reach + 1)
        ]
        # not from zeros: a tracer may take their number of frames for a constant
        return torch.stack(parts).sum(dim=0), {"changes": joined[:, -2 * reach :]}


def _power(real: Tensor, imaginary: Tensor) -> Tensor:
    return (real.square() + imaginary.square()).sum(dim=-1, keepdim=True)


class Live(Stream):
    """A `Voice` as a stream, whose controls are the target's `embedding` and `timbre`."""

    def __init__(self, voice: Voice, controls: Mapping[str, Tensor]) -> None:
        memory = voice.memory()
        super().__init__(voice.features.rate, voice.hop, voice.latency, memory, controls)
        self.voice = voice

    def step(
        self,
        wave: Tensor,
        controls: Mapping[str, Tensor],
        memory: Mapping[str, Tensor],
        start: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Convert a chunk; see `Stream`."""
        target = Target(controls["embedding"], controls["timbre"])
        made, after = self.voice(wave[:, 0], target, memory)
        return made[:, None], after
