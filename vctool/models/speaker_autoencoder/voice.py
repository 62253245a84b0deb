"""Sound to sound, chunk by chunk: spectra, envelope, code, and the envelope of another voice.

    wave -> frames of two hops -> spectrum X, mel bands, cepstra c, F0
    c -> encoder -> code;  code, level, F0, style of the target -> decoder -> cepstra c'
    X * exp(curve(c' - c)) + pulses + noise, each under the envelope of c'  -> wave

What is heard is the source's own spectrum with its phase, filtered by the difference of two smooth
envelopes, so that a decoder that says nothing changes nothing but the envelope. Every frame keeps
its power. Nothing looks back further than the convolutions do, and nothing is remembered longer.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vctool.features.settings import FeatureConfig
from vctool.models.speaker_autoencoder.embedder import DIM
from vctool.models.speaker_autoencoder.envelope import Envelope, places
from vctool.models.speaker_autoencoder.networks import Memory, Stack, Style
from vctool.models.speaker_autoencoder.pitch import HOPS, Pitch
from vctool.models.speaker_autoencoder.settings import SpeakerAutoencoderConfig
from vctool.models.speaker_autoencoder.spectra import Spectra, framed, overlapped
from vctool.nn.hash_noise import normal
from vctool.nn.streaming import Stream

LARGEST = 3.0
"""Largest change of the envelope, up or down [nepers]: 26 dB."""
SHARES = 8
"""Bands in which the shares of pulses and noise are set, of one width on the mel scale."""
FAINTEST_DB, STRONGEST_DB = -60.0, -6.0
"""Level of pulses and of noise below the envelope: least and most."""
BEGINS = -3.0
"""Where both begin, as the logit between those two."""
EMPTY = 1e-9
"""Added to the power of a frame's spectrum, so that silence has no gain."""
MIDDLE_HZ = 220.0
"""F0 that networks see as 0."""
EMBEDDING_SCALE = 8.0
"""What brings the coordinates of a centred embedding to about unit variance."""
NOISE = 0
"""The noise's stream (`nn.hash_noise`)."""


class Target(NamedTuple):
    """What is known of the voice of a target."""

    embedding: Tensor
    """(B, DIM) of length 1."""
    timbre: Tensor
    """(B, C): its mean cepstra over frames that sound."""


class Frames(NamedTuple):
    """Frames of a sound, up to the newest, and what is measured in them.

    Spectra and bands begin `look_ahead` frames earlier than the sound does.
    """

    real: Tensor
    """(B, F + look_ahead, bins)."""
    imaginary: Tensor
    """(B, F + look_ahead, bins)."""
    bands: Tensor
    """(B, F + look_ahead, n_mels) log amplitudes [nepers]."""
    f0: Tensor
    """(B, F + look_ahead + 1) [Hz], one frame earlier still."""
    voicing: Tensor
    """(B, F + look_ahead + 1) from 0 to 1."""
    pulses: tuple[Tensor, Tensor] | None
    """Real and imaginary parts (B, F, bins) of unit pulses at the F0 of the frames that are
    filtered, which end `look_ahead` frames before the newest."""


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
    spread: Tensor

    def __init__(
        self, config: SpeakerAutoencoderConfig, features: FeatureConfig, by_matrix: bool = False
    ) -> None:
        super().__init__()
        self.config, self.features = config, features
        self.hop, self.ahead = features.hop_length, config.look_ahead
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
            config.cepstra + 2 * SHARES,
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
        away = places(features)[:, None] * (SHARES - 1) - torch.arange(SHARES)
        spread = (1 - away.abs()).clamp_min(0).T.float().contiguous()
        self.register_buffer("spread", spread, persistent=False)

    @property
    def latency(self) -> int:
        """Samples by which the output is behind the input."""
        return (1 + self.ahead) * self.hop

    @property
    def _newest(self) -> int | None:
        """End of a slice of frames that leaves out those that are only looked at."""
        return -self.ahead or None

    def memory(self, batch: int = 1) -> dict[str, Tensor]:
        """Return what is remembered before the first chunk."""
        shapes = {
            "hops": (HOPS - 1, self.hop),
            "late": (self.ahead, 2 * self.spectra.bins),
            "pitch": (self.ahead + 1, 2),
            "tail": (self.hop,),
            **({"turns": (1,), "pulses": (self.hop,)} if self.config.pulses else {}),
            **self.encoder.memory,
            **self.decoder.memory,
        }
        return {
            name: self.mean.new_zeros((batch, *shape)) for name, shape in shapes.items() if shape[0]
        }

    def forward(
        self, wave: Tensor, target: Target, memory: Memory, start: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Convert a chunk.

        Args:
            wave: (B, F * hop).
            target: the voice.
            memory: what was remembered, by name.
            start: samples before this chunk, (1,) int64, a multiple of the hop.

        Returns:
            (B, F * hop), `latency` behind the input, and what to remember.
        """
        frames, heard = self.analyse(wave, memory)
        code, coded = self.encode(self.cepstra(frames)[:, self.ahead :], memory)
        made, after = self.render(frames, code, target, memory, start)
        return made, {**heard, **coded, **after}

    def analyse(self, wave: Tensor, memory: Memory) -> tuple[Frames, dict[str, Tensor]]:
        """Return the frames of a chunk (B, F * hop), and what to remember of it."""
        new = wave.reshape(len(wave), -1, self.hop)
        hops = torch.cat([memory["hops"], new], dim=1)
        spectra = torch.cat(self.spectra.analyse(framed(hops, 2, HOPS - 2)), dim=-1)
        measured = torch.stack(self.pitch(framed(hops, HOPS)), dim=-1)
        measured = torch.cat([memory["pitch"], measured], dim=1)
        after = {"hops": hops[:, -(HOPS - 1) :], "pitch": measured[:, -(self.ahead + 1) :]}
        if self.ahead:
            spectra = torch.cat([memory["late"], spectra], dim=1)
            after["late"] = spectra[:, -self.ahead :]
        real, imaginary = spectra.chunk(2, dim=-1)
        bands = self.envelope.bands(real, imaginary)
        f0, voicing = measured.unbind(dim=-1)
        train = None
        if self.config.pulses:
            train, kept = self._pulses(f0[:, : self._newest], memory)
            after |= kept
        return Frames(real, imaginary, bands, f0, voicing, train), after

    def bands(self, wave: Tensor) -> Tensor:
        """Return the log amplitudes (B, F, n_mels) of waves (B, F * hop), from silence on."""
        hops = nn.functional.pad(wave, (self.hop, 0)).unflatten(-1, (-1, self.hop))
        return self.envelope.bands(*self.spectra.analyse(framed(hops, 2)))

    def cepstra(self, frames: Frames) -> Tensor:
        """Return c1... of frames: (B, F + look_ahead, C)."""
        return self.envelope.cepstra(frames.bands)

    def encode(self, cepstra: Tensor, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the code (B, code, F) of cepstra (B, F, C), and what to remember."""
        normal = (cepstra - self.mean) / self.std
        made, after = self.encoder(normal.transpose(1, 2), memory)
        return self.into_code(normal).transpose(1, 2) + made, after

    def render(
        self, frames: Frames, code: Tensor, target: Target, memory: Memory, start: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Give frames the envelopes that a target's voice would have.

        Args:
            frames: of the chunk.
            code: (B, code, F).
            target: the voice.
            memory: what was remembered, by name.
            start: samples before this chunk, (1,) int64.

        Returns:
            (B, F * hop), `latency` behind the input, and what to remember.
        """
        late, ahead = slice(None, self._newest), self.ahead
        level = frames.bands.mean(dim=-1)
        f0, voicing = frames.f0[:, ahead + 1 :], frames.voicing[:, ahead + 1 :]
        told = torch.stack(
            [level[:, ahead:] / 3, voicing * torch.log2(f0 / MIDDLE_HZ), voicing], dim=1
        )
        known = torch.cat(
            [
                EMBEDDING_SCALE * (target.embedding - self.embedding_mean),
                (target.timbre - self.mean) / self.std,
            ],
            dim=-1,
        )
        raw, after = self.decoder(torch.cat([code, told], dim=1), memory, self.style(known))
        raw = raw.transpose(1, 2)
        order = self.config.cepstra
        spoken = raw[..., :order] + self.out_of_code(code.transpose(1, 2))
        wanted = self.envelope.curve(target.timbre[:, None] + self.std * spoken)
        own = self.envelope.curve(self.cepstra(frames)[:, late])
        gain = (wanted - own).clamp(-LARGEST, LARGEST).exp()
        real, imaginary = frames.real[:, late], frames.imaginary[:, late]
        before = _power(real, imaginary)
        shape = (wanted + level[:, late, None]).exp()
        shares = _level(raw[..., order:]).unflatten(-1, (2, SHARES)) @ self.spread
        noise = self._noise(start // self.hop, real.shape[1])
        rough = shape * shares[..., 0, :]
        real, imaginary = real * gain + rough * noise[0], imaginary * gain + rough * noise[1]
        if frames.pulses is not None:
            voiced = shape * shares[..., 1, :] * frames.voicing[:, 1 : self._newest, None]
            real = real + voiced * frames.pulses[0]
            imaginary = imaginary + voiced * frames.pulses[1]
        held = ((before + EMPTY) / (_power(real, imaginary) + EMPTY)).sqrt()
        windows = self.spectra.synthesise(real * held, imaginary * held)
        made, after["tail"] = overlapped(windows, memory["tail"])
        return made, after

    def _noise(self, first: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Return the spectra (count, bins) of white noise, from a frame on (1,) int64."""
        size = 2 * self.spectra.bins
        place = (first + torch.arange(count, device=first.device))[:, None] * size
        drawn = normal(place + torch.arange(size, device=first.device), 0, NOISE)
        real, imaginary = (math.sqrt(0.5) * drawn).chunk(2, dim=-1)
        return real, imaginary

    def _pulses(
        self, f0: Tensor, memory: Memory
    ) -> tuple[tuple[Tensor, Tensor], dict[str, Tensor]]:
        """Return the spectra (B, F, bins) of unit pulses at F0 (B, 1 + F), and what to remember.

        All harmonics below half the rate as cosines of equal strength, by Dirichlet's kernel, as in
        `nn.excitation.pulses`.
        """
        with torch.no_grad():
            rate = self.features.rate
            f0 = f0.clamp_min(20.0)
            share = (torch.arange(self.hop, device=f0.device) + 1) / self.hop
            hz = torch.lerp(f0[:, :-1, None], f0[:, 1:, None], share)
            step = hz / rate
            within = torch.cumsum(step, dim=-1)
            ends = within[..., -1] - within[..., -1].floor()
            begun = torch.cumsum(ends, dim=-1) - ends + memory["turns"]
            turns = begun[..., None] + within
            turns = turns - turns.round()
            count = torch.ceil(0.5 * rate / hz) - 1
            below = torch.sin(math.pi * turns)
            near = below.abs() < 1e-5
            above = torch.sin((2 * count + 1) * math.pi * turns)
            kernel = above / torch.where(near, 1.0, 2 * below) - 0.5
            unit = torch.where(near, count, kernel) * torch.sqrt(4.0 * hz / rate)
            last = begun[:, -1:] + ends[:, -1:]
            hops = torch.cat([memory["pulses"][:, None], unit], dim=1)
            spectra = self.spectra.analyse(framed(hops, 2))
            scale = 1 / math.sqrt(self.hop)
            kept = {"turns": last - last.floor(), "pulses": unit[:, -1]}
            return (spectra[0] * scale, spectra[1] * scale), kept


def _power(real: Tensor, imaginary: Tensor) -> Tensor:
    return (real.square() + imaginary.square()).sum(dim=-1, keepdim=True)


def _level(raw: Tensor) -> Tensor:
    """Turn what the decoder says of pulses and noise into amplitudes over the envelope."""
    share = torch.sigmoid(raw + BEGINS)
    decibel = FAINTEST_DB + (STRONGEST_DB - FAINTEST_DB) * share
    return torch.exp(decibel * (math.log(10) / 20))


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
        made, after = self.voice(wave[:, 0], target, memory, start)
        return made[:, None], after
