"""A neural source-filter vocoder at the frame rate: filters a pulse train and noise by the mel.

The backbone and the inverse STFT at its end are those of Vocos (Siuzdak, "Vocos: Closing the gap
between time-domain and Fourier-based neural vocoders", 2023): only FFTs run at the sampling rate.
Vocos has to learn phase, which takes days. Here the excitation is harmonics of F0 and noise, whose
phases are right by construction, and the network predicts the filters that turn them into the
voice (Wang, Takaki and Yamagishi, "Neural source-filter waveform models", 2019; Engel et al.,
"DDSP", 2020). A small head predicts F0 from the mel, unless the features hold F0.

What differs from these:

- Filters start from the ratio of the mel to the excitation's own mel, and the output is corrected
  towards the mel at the end. So an untrained network is already a channel vocoder, and training
  adds what a mel does not hold.
- The pulse train continues through unvoiced frames, where the filters suppress it; no tracker's
  voicing decision is heard.
- Harmonic filters have minimum phase, as in WORLD.
- Magnitudes are expected values: only the phase of noise is random, and where pulses do not fit,
  the network blends in the smooth spectrum of the mel.
- Such magnitudes and phases are not quite consistent; a few projections (Griffin and Lim, 1984)
  make them so.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from vctool.features.mel import mel_filterbank
from vctool.features.settings import FeatureConfig
from vctool.nn.excitation import fixed_noise, pulses
from vctool.vocoders.istft import live
from vctool.vocoders.istft.causal import CausalNetwork
from vctool.vocoders.istft.convnext import ConvNext
from vctool.vocoders.istft.pitch_head import PitchHead
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
from vctool.vocoders.istft.spectra import Spectra, minimum_phase
from vctool.vocoders.stored.neural import NeuralVocoder


class IstftNetwork(Normalised):
    """Mel to wave; frame k is the k-th hop of the wave, and centred in it (`features.framing`).

    Args:
        config: the network.
        features: the mel that it reads.
    """

    filters: Tensor
    spread: Tensor
    _flat: Tensor

    def __init__(self, config: IstftConfig, features: FeatureConfig) -> None:
        super().__init__(features.n_mels)
        self.config, self.features = config, features
        hop = features.hop_length
        window = config.window_hops * hop
        self.spectra = Spectra(hop, window, 1 << (window - 1).bit_length())
        self.register_buffer("spread", spread(features, self.spectra.bins), persistent=False)
        same = features.model_copy(update={"n_fft": self.spectra.n_fft})
        self.register_buffer("filters", mel_filterbank(same), persistent=False)
        require_bins(self.filters, mel_filterbank(features), features, config, self.spectra.n_fft)
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
            self.pitch = PitchHead.of(config, features)

    def forward(self, mel: Tensor, f0: Tensor | None, noise: Tensor, smooth: bool = False) -> Made:
        """Synthesise waves.

        Args:
            mel: (B, M, F) [dB].
            f0: (B, F) [Hz]; the head's F0 replaces zeros, or all of it where None.
            noise: (B, F * hop_length) standard normal.
            smooth: use the head's most likely F0 track instead of each frame's best class.
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
        """Return the mel (B, M, F), in natural log magnitude, of spectra (B, K, F)."""
        exponent = self.features.mel_power
        magnitude = _magnitude(spectrum)
        power = magnitude if exponent == 1 else magnitude.square()
        mel = (self.filters @ power).clamp_min(FAINTEST**exponent)
        return mel.log() / exponent + self.offset

    def _log_gain(self, bands: Tensor, more: Tensor | float = 0.0) -> Tensor:
        """Interpolate log gains of mel bands (B, M, F) to STFT bins and add predicted ones."""
        return (self.spread @ bands + more).clamp(-STEEPEST, STEEPEST)

    def _held(self, spectrum: Tensor, target: Tensor) -> Tensor:
        """Scale spectra so that their mel is near the target."""
        return spectrum * self._log_gain(target - self._log_mel(spectrum)).exp()

    def _consistent(self, spectrum: Tensor, target: Tensor) -> Tensor:
        """Return waves whose spectra are near the given ones and whose mel is near the target."""
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
    """Scale spectra to other magnitudes, keeping their phase.

    Bins with almost no energy, whose phase is arbitrary and has an unbounded gradient, are scaled
    by at most 1 / `CANCELLED`.
    """
    return spectrum * (magnitude / torch.maximum(_magnitude(spectrum), CANCELLED * magnitude))


def _magnitude(spectrum: Tensor) -> Tensor:
    """Return magnitudes whose gradient is finite at zero."""
    power = spectrum.real.square() + spectrum.imag.square()
    return power.clamp_min(FAINTEST**2).sqrt()


def network(config: IstftConfig, features: FeatureConfig) -> IstftNetwork | CausalNetwork:
    """Build the network for whole utterances, or where `config.causal` the one for real time."""
    return (CausalNetwork if config.causal else IstftNetwork)(config, features)


class Vocoder(NeuralVocoder):
    """A trained network as a vocoder: log-mel, and F0 where a model writes it, to wave."""

    name = "istft"
    settings = IstftConfig
    build_network = staticmethod(network)

    def _sound(self, features: Mapping[str, np.ndarray]) -> np.ndarray:
        mel = torch.tensor(features["mel"], dtype=torch.float32).T[None]
        f0: Tensor | None = None
        if "pitch" in features:
            f0 = torch.from_numpy(_unbroken(features["pitch"][:, 0]))[None]
        return synthesise(self.network, mel, f0)


@torch.no_grad()
def synthesise(
    network: IstftNetwork | CausalNetwork, mel: Tensor, f0: Tensor | None = None
) -> np.ndarray:
    """Synthesise one utterance, deterministically.

    Args:
        network: the network.
        mel: (1, M, F) [dB].
        f0: (1, F) [Hz], or None.

    Returns:
        ((F + 1) * hop_length,) float32, which begins half a hop before the first frame's centre.
    """
    if isinstance(network, CausalNetwork):
        return live.synthesise(network, mel, f0)
    # The last frame is repeated, for the samples beyond the middle of its hop.
    mel = torch.cat([mel, mel[..., -1:]], dim=-1).to(network.mean.device)
    if f0 is not None:
        f0 = torch.cat([f0, f0[..., -1:]], dim=-1).to(mel.device)
    noise = fixed_noise(mel.shape[-1] * network.features.hop_length)[None].to(mel.device)
    wave: np.ndarray = network(mel, f0, noise, smooth=True).wave[0].float().cpu().numpy()
    return wave


def _unbroken(f0: np.ndarray) -> np.ndarray:
    """Interpolate F0 (F,) [Hz] over unvoiced frames in log-frequency; all 0 if none is voiced."""
    voiced = np.flatnonzero(f0 > 0)
    if not len(voiced):
        return np.zeros(len(f0), np.float32)
    bridged = np.interp(np.arange(len(f0)), voiced, np.log(f0[voiced]))
    return np.exp(bridged).astype(np.float32)
