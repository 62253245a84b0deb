"""The iSTFT vocoder in real time: the same source and filters, frame by frame.

What `vocoder.IstftNetwork` does with whole utterances is done here with what has come so far:

- convolutions are padded on the left (`causal_convnext`);
- each frame has the F0 of its own best class, with no path through the frames;
- one inverse STFT, with no projections after it;
- noise is a hash of its sample's number, and the phase of the pulses is part of what is remembered.

Half a synthesis window passes between a frame's mel and its pulses' spectrum, in which the networks
see the frames that come after it.

    frame k of the mel -> F0 -> pulses from the centre of frame k - 1 to that of k
    the last `window_hops` hops of pulses and noise -> spectrum of frame c = k - window_hops / 2
    mel of c, and of those up to k -> filters -> frame c -> hop k - window_hops is complete

Errors in F0 would add up in the phase, and a frame that is between two classes would take the one
or the other by rounding. So all this is computed in float64 in real time (`live`), from mels in
float32, with F0 in whole steps of `F0_STEPS` and phases in whole numbers. Offline and live sound is
then the same, however it is cut.
"""

import copy
import math
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from vctool.features.mel import mel_filterbank
from vctool.features.settings import FeatureConfig
from vctool.nn.fourier import Fft, Transform, framed
from vctool.nn.streaming import from_digits, to_digits
from vctool.vocoders.istft.causal_convnext import CausalConvNext, Memory
from vctool.vocoders.istft.pitch_head import AROUND, PitchHead
from vctool.vocoders.istft.settings import (
    CANCELLED,
    EVEN_BEGINS,
    FAINTEST,
    NEPERS,
    NOISE_BEGINS,
    STEEPEST,
    IstftConfig,
    Made,
    Normalised,
    require_bins,
    spread,
)

F0_STEPS = 1024
"""Steps of F0 in a hertz."""
TURN = 2**40
"""Steps of phase in a period."""
NEAR = 1e-6
"""Half a period's sine below which pulses are at their peak."""

Parts = tuple[Tensor, Tensor]
"""Real and imaginary parts of spectra, each (B, F, bins)."""


class CausalPitchHead(PitchHead):
    """The pitch head with convolutions that are padded on the left."""

    def __init__(self, inputs: int, width: int, blocks: int, *classes: float) -> None:
        super().__init__(inputs, width, 1, *classes)
        self.causal = CausalConvNext("pitch", inputs, width, blocks)
        del self.body

    def scored(self, mel: Tensor, memory: Memory) -> tuple[Tensor, dict[str, Tensor]]:
        """Return log probabilities (B, F, C) of normalised mels (B, M, F), and what to remember."""
        seen, after = self.causal(mel, memory)
        return torch.log_softmax(self.score(seen.transpose(1, 2)), dim=-1), after

    def framewise(self, log_probability: Tensor) -> Tensor:
        """Return the F0 (B, F) [Hz] of each frame's own best class."""
        best = log_probability.argmax(dim=-1, keepdim=True)
        classes = torch.arange(len(self.centres), device=best.device)
        near = (classes - best).abs() <= AROUND
        share = log_probability.exp() * near
        log_f0 = (share * self.centres).sum(dim=-1) / share.sum(dim=-1)
        return torch.exp(log_f0)


class Hops(NamedTuple):
    """A chunk of sound, and where it lies."""

    wave: Tensor
    """(B, F * hop)."""
    pitch: Tensor
    """(B, F, C) log probability of F0 classes of the frames that made it."""


class CausalNetwork(Normalised):
    """Mel to wave, from left to right.

    Args:
        config: the network.
        features: the mel that it reads.
    """

    floor: Tensor
    filters: Tensor
    spread: Tensor
    window: Tensor
    weight: Tensor
    flat: Tensor

    def __init__(self, config: IstftConfig, features: FeatureConfig) -> None:
        super().__init__(features.n_mels)
        self.config, self.features = config, features
        hop, hops, mels = features.hop_length, config.window_hops, features.n_mels
        self.hop, self.hops, self.ahead = hop, hops, hops // 2
        length = hops * hop
        self.size = 1 << (length - 1).bit_length()
        self.before = (self.size - length) // 2
        self.fourier: Fft | Transform = Fft(self.size)
        bins = self.size // 2 + 1
        self.register_buffer("floor", torch.tensor(-100.0))
        filters = mel_filterbank(features.model_copy(update={"n_fft": self.size}))
        require_bins(filters, mel_filterbank(features), features, config, self.size)
        window = torch.hann_window(length)
        self.energy = float(window.square().sum())
        energy = 0.375 * features.window / self.energy
        bins_of = math.log(features.n_fft / self.size) / features.mel_power
        self.offset = bins_of + 0.5 * math.log(energy)
        weight = window.square().view(hops, hop).sum(dim=0)
        tables = {
            "filters": filters.T.contiguous(),
            "spread": spread(features, bins).T.contiguous(),
            "window": window,
            "weight": weight,
        }
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)
        even = torch.full((1, 1, bins), math.sqrt(self.energy))
        self.register_buffer("flat", self._log_mel((even, 0 * even)), persistent=False)
        self.body = CausalConvNext("body", 2 * mels, config.width, config.blocks)
        self.head = nn.Linear(config.width, 3 * bins)
        nn.init.trunc_normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.pitch = CausalPitchHead.of(config, features)

    @torch.no_grad()
    def fit(self, mel: Tensor) -> None:
        """Set the normalisation, and the floor, from mels (B, M, F) [dB]."""
        super().fit(mel)
        self.floor.copy_(mel.amin())

    def live(self) -> Self:
        """Return a copy that runs in real time: in float64, and without FFTs."""
        made = copy.deepcopy(self).double().eval().requires_grad_(False)
        made.fourier = Transform(self.size).to(self.mean.device)
        return made

    def memory(self, batch: int = 1) -> dict[str, Tensor]:
        """Return what is remembered before the first frame; all zero."""
        shapes: dict[str, tuple[int, ...]] = {
            "target": (self.ahead, self.features.n_mels),
            "excitation": (self.hops - 1, 2 * self.hop),
            "f0": (1,),
            "phase": (2,),
            "frames": (self.hops - 1, self.hops * self.hop),
            **self.pitch.causal.memory,
            **self.body.memory,
        }
        return {
            name: torch.zeros((batch, *shape), device=self.mean.device)
            for name, shape in shapes.items()
        }

    def forward(self, mel: Tensor, f0: Tensor | None, noise: Tensor, smooth: bool = False) -> Made:
        """Synthesise clips as a stream does at its beginning; see `IstftNetwork.forward`."""
        more = self.hops - 1
        held = torch.cat([mel, mel[..., -1:].expand(-1, -1, more)], dim=-1)
        if f0 is not None:
            f0 = torch.cat([f0, f0[:, -1:].expand(-1, more)], dim=-1)
        noise = torch.cat([noise, noise[:, : more * self.hop]], dim=-1)
        place = torch.arange(held.shape[-1], device=mel.device)
        made, _ = self.run(
            held, f0, noise.unflatten(-1, (-1, self.hop)), place, self.memory(len(mel))
        )
        # clips begin half a hop before the centre of their first frame
        late = more * self.hop + self.hop - self.hop // 2
        wave = nn.functional.pad(made.wave[:, late:], (0, self.hop - self.hop // 2))
        return Made(wave, made.pitch[:, : mel.shape[-1]])

    def run(
        self, mel: Tensor, f0: Tensor | None, noise: Tensor, place: Tensor, memory: Memory
    ) -> tuple[Hops, dict[str, Tensor]]:
        """Synthesise a chunk.

        Args:
            mel: (B, M, F) [dB].
            f0: (B, F) [Hz]; the head's F0 replaces zeros, or all of it where None.
            noise: (B, F, hop) standard normal.
            place: (F,) int64, numbers of the frames; there is silence before frame 0.
            memory: what was remembered, by name.

        Returns:
            Hops k - `window_hops` of frames k, and what to remember.
        """
        real = self.mean.dtype
        began = place >= 0
        heard = mel.to(real).transpose(1, 2) * NEPERS
        mel = torch.maximum(mel.to(real), self.floor)
        normal = (mel - self.mean) / self.std * began
        with torch.autocast(mel.device.type, enabled=False):
            pitch, after = self.pitch.scored(normal, memory)
            excitation, kept = self._excite(pitch, f0, noise, place, memory)
            after |= kept
            targets = torch.cat([memory["target"], heard.float()], dim=1)
            after["target"] = targets[:, -self.ahead :]
            heard = targets[:, : -self.ahead].to(real)
            target = torch.maximum(heard, self.floor * NEPERS)
            train, breath = (self._spectrum(one) for one in excitation.chunk(2, dim=-1))
            sounding = (place - self.ahead >= 0)[:, None]
            bands = (target - self._log_mel(train)) * sounding
        seen = torch.cat([normal, bands.transpose(1, 2)], dim=1)
        raw, told = self.body(seen, memory)
        raw = self.head(raw.transpose(1, 2))
        with torch.autocast(mel.device.type, enabled=False):
            spectrum = self._filtered(raw.to(real), bands, target, train, breath)
            # a pause below all that was trained on is as quiet as it was, and not at the floor
            held = self._log_gain(heard - self._log_mel(spectrum)).exp() * sounding
            frames = self.fourier.inverse(*(part * held for part in spectrum))
            frames = frames[..., self.before : self.before + len(self.window)] * self.window
            joined = torch.cat([memory["frames"], frames.float()], dim=1)
            parts = joined.unflatten(-1, (self.hops, self.hop))
            # the first hop of the newest frame, the second of the one before, ...
            shifted = [parts[:, self.hops - 1 - n : -n or None, n] for n in range(self.hops)]
            wave = torch.stack(shifted).sum(dim=0) / self.weight.float()
        return Hops(wave.flatten(1), pitch), {**after, **told, "frames": joined[:, 1 - self.hops :]}

    @torch.no_grad()
    def _excite(
        self,
        pitch: Tensor,
        given: Tensor | None,
        noise: Tensor,
        place: Tensor,
        memory: Memory,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return frames (B, F, 2 * window_hops * hop) of pulses, then noise, up to each frame."""
        f0 = self.pitch.framewise(pitch.detach())
        if given is not None:
            f0 = torch.where(given > 0, given.to(f0.dtype), f0)
        f0 = f0.clamp(self.features.f0_floor / 2, self.features.rate / 4).double()
        f0 = (f0 * F0_STEPS).round() / F0_STEPS
        before = torch.cat([memory["f0"].double(), f0[:, :-1]], dim=1)
        sounding = place >= 1  # hops before the first frame's centre are silent
        before = torch.where(sounding, before, f0)
        pulses, phase = self._pulses(before, f0, sounding, from_digits(memory["phase"]))
        new = torch.cat([pulses.float(), noise.float()], dim=-1) * sounding[:, None]
        hops = torch.cat([memory["excitation"], new], dim=1)
        train, breath = (framed(one, self.hops) for one in hops.chunk(2, dim=-1))
        after = {
            "f0": f0[:, -1:].float(),
            "phase": to_digits(phase),
            "excitation": hops[:, 1 - self.hops :],
        }
        return torch.cat([train, breath], dim=-1).to(self.mean.dtype), after

    def _pulses(
        self, before: Tensor, f0: Tensor, sounding: Tensor, phase: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Sum all harmonics below half the rate, as `excitation.pulses` does; hop by hop.

        Args:
            before: (B, F) float64, F0 where each hop begins [Hz].
            f0: (B, F) float64, F0 where it ends.
            sounding: (F,) which hops count.
            phase: (B,) int64 at the beginning [1 / TURN].

        Returns:
            (B, F, hop) float64, and the phase at the end.
        """
        rate = self.features.rate
        at = torch.arange(self.hop, device=f0.device, dtype=torch.float64)
        slope = ((f0 - before) / self.hop)[..., None]
        hz = before[..., None] + slope * at
        turns = ((at + 1) * before[..., None] + slope * (at * (at + 1) / 2)) / rate
        steps = (turns[..., -1] * TURN).round().to(torch.int64) * sounding
        ends = phase[:, None] + torch.cumsum(steps, dim=1)
        begins = (ends - steps) % TURN
        turns = turns + begins[..., None].double() / TURN
        turns = turns - turns.round()  # in -1/2..1/2 of a period
        count = torch.ceil(0.5 * rate / hz) - 1  # below half the rate, not at it
        below = torch.sin(math.pi * turns)
        near = below.abs() < NEAR
        kernel = torch.sin((2 * count + 1) * math.pi * turns) / (2 * below + near.to(below)) - 0.5
        return torch.where(near, count, kernel) * torch.sqrt(4.0 * hz / rate), ends[:, -1] % TURN

    def _spectrum(self, frames: Tensor) -> Parts:
        late = self.size - self.before - len(self.window)
        made: Parts = self.fourier(nn.functional.pad(frames * self.window, (self.before, late)))
        return made

    def _filtered(
        self, raw: Tensor, bands: Tensor, target: Tensor, train: Parts, breath: Parts
    ) -> Parts:
        """Return spectra of filtered pulses and noise; see `IstftNetwork.forward`."""
        voiced, rough, even = raw.chunk(3, dim=-1)
        voiced = self._log_gain(bands, voiced)
        rough = self._log_gain(target - self.flat, rough + NOISE_BEGINS).exp()
        low, turned = voiced.exp(), self._phase(voiced)
        cosine, sine = low * torch.cos(turned), low * torch.sin(turned)
        real = train[0] * cosine - train[1] * sine + breath[0] * rough
        imaginary = train[0] * sine + train[1] * cosine + breath[1] * rough
        power = _power(train) * low.square() + rough.square() * self.energy
        expected = 0.5 * power.clamp_min(FAINTEST**2).log()
        even_out = self._log_gain(target - self.flat) + 0.5 * math.log(self.energy)
        expected = torch.lerp(expected, even_out, torch.sigmoid(even + EVEN_BEGINS)).exp()
        scale = expected / torch.maximum(
            _power((real, imaginary)).clamp_min(FAINTEST**2).sqrt(), CANCELLED * expected
        )
        return real * scale, imaginary * scale

    def _phase(self, log_magnitude: Tensor) -> Tensor:
        """Return the phase of the minimum-phase filter of a log magnitude, each (B, F, bins)."""
        cepstrum = self.fourier.inverse(log_magnitude, 0.0 * log_magnitude)
        middle = self.size // 2
        place = torch.arange(self.size, device=cepstrum.device)
        fold = (place > 0).to(cepstrum) * (place < middle) - (place > middle).to(cepstrum)
        # what is left of the folded cepstrum besides the even part, whose transform is imaginary
        _, phase = self.fourier(cepstrum * fold)
        return phase

    def _log_mel(self, spectrum: Parts) -> Tensor:
        """Return the mel (B, F, M), in natural log magnitude, of spectra."""
        exponent = self.features.mel_power
        power = _power(spectrum).clamp_min(FAINTEST**2)
        mel = (power if exponent == 2 else power.sqrt()) @ self.filters
        return mel.clamp_min(FAINTEST**exponent).log() / exponent + self.offset

    def _log_gain(self, bands: Tensor, more: Tensor | float = 0.0) -> Tensor:
        """Interpolate log gains of mel bands (B, F, M) to STFT bins and add predicted ones."""
        return (bands @ self.spread + more).clamp(-STEEPEST, STEEPEST)


def _power(parts: Parts) -> Tensor:
    return parts[0].square() + parts[1].square()
