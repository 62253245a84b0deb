"""A neural vocoder at the frame rate: a pulse train and noise, filtered as the mel asks for.

The backbone and the inverse STFT at its end are those of Vocos (Siuzdak, "Vocos: Closing the gap
between time-domain and Fourier-based neural vocoders", 2023): nothing runs at the rate of samples
but FFTs. Vocos has to learn phase, which takes days; here sound begins as harmonics of F0 and as
noise, whose phases are right by construction, and the network predicts by what filters they become
the voice (Wang, Takaki and Yamagishi, "Neural source-filter waveform models", 2019; Engel et al.,
"DDSP", 2020). F0 is read off the mel by a small head, unless the features bring their own.

What differs from these: filters start from the mel over the excitation's own mel, and the sum is
held to the mel at the end, so that an untrained network is already a channel vocoder, and what is
learnt is what a mel does not say; the pulse train goes on through unvoiced frames, where the
filters shut it off, so that no tracker's voicing decision is heard; harmonic filters have minimum
phase, as in WORLD; and magnitudes are what is to be expected: of noise only the phase is random,
and where pulses are out of place the network evens them out. Such magnitudes and phases do not
quite go together; a few projections (Griffin and Lim, 1984) bring them there.
"""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from vctool.config import Config
from vctool.errors import ConfigError
from vctool.features.mel import mel_filterbank, mel_frequencies
from vctool.features.settings import FeatureConfig
from vctool.nn.excitation import fixed_noise, pulses
from vctool.vocoders.istft.convnext import ConvNext
from vctool.vocoders.istft.pitch_head import PitchHead
from vctool.vocoders.istft.spectra import Spectra, minimum_phase
from vctool.vocoders.stored.neural import NeuralVocoder

STEEPEST = 9.0
"""Limit of a filter's natural log gain, so that a wild prediction cannot overflow."""
FAINTEST = 1e-6
"""Mel magnitudes below this are alike."""
CANCELLED = 0.1
"""Share of the magnitude wanted below which a spectrum has too little to be scaled up to it."""
NOISE_BEGINS = -1.0
"""Natural log gain of noise before anything is learnt; that of pulses is 0."""
EVEN_BEGINS = 1.0
"""Logit of the share that the mel has in magnitudes before anything is learnt."""
NEPERS = math.log(10) / 20
"""Natural log of amplitude per dB."""


class IstftConfig(Config):
    """The network; a family adds how it is trained."""

    excitation: Literal["harmonic", "none"] = "harmonic"
    """`harmonic`: filter pulses and noise; `none`: predict magnitude and phase, as Vocos does."""
    width: int = Field(256, ge=8)
    """Channels of the backbone."""
    blocks: int = Field(8, ge=1)
    """ConvNeXt blocks of the backbone."""
    window_hops: int = Field(4, ge=2)
    """Length of the synthesis window [hops]."""
    passes: int = Field(6, ge=1)
    """Inverse STFTs; before each but the first the spectrum of the last is taken and corrected."""
    held: int = Field(2, ge=0)
    """How many of the last corrections hold spectra to the mel; those before hold magnitudes."""
    pitch_width: int = Field(96, ge=8)
    """Channels of the head that reads F0 off the mel."""
    pitch_blocks: int = Field(3, ge=1)
    """ConvNeXt blocks of this head."""
    pitch_cents: float = Field(25.0, ge=5, le=100)
    """Distance between its classes [cents]."""


class Made(NamedTuple):
    """What the network makes of mels."""

    wave: Tensor
    """(B, F * hop_length)."""
    pitch: Tensor | None
    """(B, F, C) log probability of F0 classes; None without excitation."""


class IstftNetwork(nn.Module):
    """Mel to wave; frame k is the k-th hop of the wave, and centred in it (`features.framing`).

    Args:
        config: the network.
        features: the mel that it reads.
    """

    mean: Tensor
    std: Tensor
    filters: Tensor
    spread: Tensor
    _flat: Tensor

    def __init__(self, config: IstftConfig, features: FeatureConfig) -> None:
        super().__init__()
        self.config, self.features = config, features
        hop = features.hop_length
        window = config.window_hops * hop
        self.spectra = Spectra(hop, window, 1 << (window - 1).bit_length())
        self.register_buffer("mean", torch.full((features.n_mels, 1), -40.0))
        self.register_buffer("std", torch.full((features.n_mels, 1), 20.0))
        self.register_buffer("spread", _spread(features, self.spectra.bins), persistent=False)
        same = features.model_copy(update={"n_fft": self.spectra.n_fft})
        self.register_buffer("filters", mel_filterbank(same), persistent=False)
        self._require_bins(mel_filterbank(features))
        # From mels of the synthesis STFT to those of the features: other bins, another window.
        energy = 0.375 * features.window / self.spectra.energy
        bins = math.log(features.n_fft / self.spectra.n_fft) / features.mel_power
        self.offset = bins + 0.5 * math.log(energy)
        even = torch.full((1, self.spectra.bins, 1), math.sqrt(self.spectra.energy)) + 0j
        self.register_buffer("_flat", self._log_mel(even), persistent=False)
        harmonic = config.excitation == "harmonic"
        self.body = ConvNext((2 if harmonic else 1) * features.n_mels, config.width, config.blocks)
        parts = 3 if harmonic else 2
        self.head = nn.Linear(config.width, parts * self.spectra.bins)
        nn.init.trunc_normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.pitch: PitchHead | None = None
        if harmonic:
            self.pitch = PitchHead(
                features.n_mels,
                config.pitch_width,
                config.pitch_blocks,
                features.f0_floor,
                features.f0_ceil,
                config.pitch_cents,
            )

    def _require_bins(self, own: Tensor) -> None:
        """See that no mel bin of the features (`own`, their filters) lies between two of the STFT.

        Such a bin stays silent in any sound, and being held to it makes the others ever louder.

        Raises:
            ConfigError: one does.
        """
        lost = ((self.filters.sum(dim=1) == 0) & (own.sum(dim=1) > 0)).sum().item()
        if lost:
            raise ConfigError(
                f"istft: {lost} of {self.features.n_mels} mel bins lie between the bins of the "
                f"synthesis FFT of {self.spectra.n_fft} samples; raise model.window_hops = "
                f"{self.config.window_hops}, or lower features.n_mels"
            )

    @torch.no_grad()
    def fit(self, mel: Tensor) -> None:
        """Measure the mean and the deviation of each bin of mels (B, M, F) [dB]."""
        self.mean.copy_(mel.mean(dim=(0, 2))[:, None])
        self.std.copy_(mel.std(dim=(0, 2))[:, None].clamp_min(1.0))

    def forward(self, mel: Tensor, f0: Tensor | None, noise: Tensor, smooth: bool = False) -> Made:
        """Make sound.

        Args:
            mel: (B, M, F) [dB].
            f0: (B, F) [Hz], its own wherever 0; the head's F0 throughout where None.
            noise: (B, F * hop_length) standard normal.
            smooth: take the most likely track of F0 instead of each frame's best class.
        """
        mel = mel.float()
        normal = (mel - self.mean) / self.std
        target = mel * NEPERS
        if self.pitch is None:
            return Made(self._vocos(normal, target), None)
        pitch = self.pitch(normal)
        with torch.autocast(mel.device.type, enabled=False):  # FFTs have no bf16
            with torch.no_grad():
                own = self.pitch.track(pitch) if smooth else self.pitch.framewise(pitch)
                f0 = own if f0 is None else torch.where(f0 > 0, f0, own)
                f0 = f0.clamp(self.features.f0_floor / 2, self.features.rate / 4)
                train = pulses(f0, self.features.hop_length, self.features.rate)
                train, noise = self.spectra.analyse(train), self.spectra.analyse(noise)
                bands = target - self._log_mel(train)
        raw = self._predict(torch.cat([normal, bands], dim=1))
        with torch.autocast(mel.device.type, enabled=False):
            voiced, rough, even = raw.float().chunk(3, dim=1)
            voiced = self._log_gain(bands, voiced)
            rough = self._log_gain(target - self._flat, rough + NOISE_BEGINS).exp()
            mixed = train * minimum_phase(voiced) + noise * rough
            power = (train.abs() * voiced.exp()).square() + rough.square() * self.spectra.energy
            expected = 0.5 * power.clamp_min(FAINTEST**2).log()
            even_out = self._log_gain(target - self._flat) + 0.5 * math.log(self.spectra.energy)
            expected = torch.lerp(expected, even_out, torch.sigmoid(even + EVEN_BEGINS))
            return Made(self._consistent(_scaled(mixed, expected.exp()), target), pitch)

    def _vocos(self, normal: Tensor, target: Tensor) -> Tensor:
        raw = self._predict(normal)
        with torch.autocast(normal.device.type, enabled=False):
            log_magnitude, phase = raw.float().chunk(2, dim=1)
            log_magnitude = self._log_gain(target - self._flat, log_magnitude)
            magnitude = log_magnitude.exp() * math.sqrt(self.spectra.energy)
            return self._consistent(torch.polar(magnitude, phase), target)

    def _predict(self, inputs: Tensor) -> Tensor:
        made: Tensor = self.head(self.body(inputs).transpose(1, 2)).transpose(1, 2)
        return made

    def _log_mel(self, spectrum: Tensor) -> Tensor:
        """Return the natural log magnitude mels (B, M, F) that spectra (B, K, F) have."""
        exponent = self.features.mel_power
        magnitude = _magnitude(spectrum)
        power = magnitude if exponent == 1 else magnitude.square()
        mel = (self.filters @ power).clamp_min(FAINTEST**exponent)
        return mel.log() / exponent + self.offset

    def _log_gain(self, bands: Tensor, more: Tensor | float = 0.0) -> Tensor:
        """Spread gains of mel bands (B, M, F) over bins and add what was predicted of bins."""
        return (self.spread @ bands + more).clamp(-STEEPEST, STEEPEST)

    def _held(self, spectrum: Tensor, target: Tensor) -> Tensor:
        """Give spectra the mel that was asked for."""
        return spectrum * self._log_gain(target - self._log_mel(spectrum)).exp()

    def _consistent(self, spectrum: Tensor, target: Tensor) -> Tensor:
        """Return waves whose spectra are nearly those, and whose mel is nearly the target."""
        spectrum = self._held(spectrum, target)
        magnitude = _magnitude(spectrum)
        wave = self.spectra.synthesise(spectrum)
        for left in reversed(range(self.config.passes - 1)):
            again = self.spectra.analyse(wave)
            held = left < self.config.held
            spectrum = self._held(again, target) if held else _scaled(again, magnitude)
            wave = self.spectra.synthesise(spectrum)
        return wave


def _scaled(spectrum: Tensor, magnitude: Tensor) -> Tensor:
    """Give spectra other magnitudes.

    Where there is next to nothing its phase is anyone's, and the phase's gradient without bound.
    """
    return spectrum * (magnitude / torch.maximum(_magnitude(spectrum), CANCELLED * magnitude))


def _magnitude(spectrum: Tensor) -> Tensor:
    """Return magnitudes whose gradient is finite at zero."""
    power = spectrum.real.square() + spectrum.imag.square()
    return power.clamp_min(FAINTEST**2).sqrt()


def _spread(features: FeatureConfig, bins: int) -> Tensor:
    """Return the matrix (bins, n_mels) that interpolates mel bins over the STFT's."""
    hz = np.linspace(0.0, features.rate / 2, bins)
    centres = mel_frequencies(features)[1:-1]
    columns = [np.interp(hz, centres, row) for row in np.eye(features.n_mels)]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


class Vocoder(NeuralVocoder):
    """A trained network as a vocoder: log-mel, and F0 where a model writes it, to wave."""

    name = "istft"
    settings = IstftConfig
    build_network = IstftNetwork

    def _sound(self, features: Mapping[str, np.ndarray]) -> np.ndarray:
        mel = torch.tensor(features["mel"], dtype=torch.float32).T[None]
        f0: Tensor | None = None
        if "pitch" in features:
            f0 = torch.from_numpy(_unbroken(features["pitch"][:, 0]))[None]
        return synthesise(self.network, mel, f0)


@torch.no_grad()
def synthesise(network: IstftNetwork, mel: Tensor, f0: Tensor | None = None) -> np.ndarray:
    """Make the sound of one utterance; the same every time.

    Args:
        network: the network.
        mel: (1, M, F) [dB].
        f0: (1, F) [Hz], or None.

    Returns:
        ((F + 1) * hop_length,) float32, which begins half a hop before the first frame's centre.
    """
    # The last frame is held, for the samples beyond the middle of its hop.
    mel = torch.cat([mel, mel[..., -1:]], dim=-1).to(network.mean.device)
    if f0 is not None:
        f0 = torch.cat([f0, f0[..., -1:]], dim=-1).to(mel.device)
    noise = fixed_noise(mel.shape[-1] * network.features.hop_length)[None].to(mel.device)
    wave: np.ndarray = network(mel, f0, noise, smooth=True).wave[0].float().cpu().numpy()
    return wave


def _unbroken(f0: np.ndarray) -> np.ndarray:
    """Bridge the unvoiced frames of F0 (F,) [Hz] in log-frequency; all 0 where none is voiced."""
    voiced = np.flatnonzero(f0 > 0)
    if not len(voiced):
        return np.zeros(len(f0), np.float32)
    bridged = np.interp(np.arange(len(f0)), voiced, np.log(f0[voiced]))
    return np.exp(bridged).astype(np.float32)
