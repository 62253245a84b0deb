"""Resemblyzer's speaker embedding as a differentiable network.

The encoder of Wan et al., "Generalized end-to-end loss for speaker verification" (2018): three LSTM
layers over mel spectra at 16 kHz, whose last state is projected, rectified and scaled to length 1.
The weights are those that Resemblyzer ships; a trained system holds them in its checkpoints, so
that only training needs the package.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from vctool.errors import ConfigError
from vctool.features.mel import mel_power
from vctool.features.settings import FeatureConfig
from vctool.nn.resampling import resample

RATE = 16000
"""What it hears [Hz]."""
DIM = 256
"""Dimensions of an embedding."""
MELS = FeatureConfig(rate=RATE, n_fft=400, hop_length=160, n_mels=40)
"""Its mel spectra, of power and not of its logarithm."""
PART, STEP = 160, 80
"""Length of the parts that are embedded one by one, and the step between them [mel frames]."""
LEVEL_DB = -26.0
"""Level that sound is brought to, pauses left out [dB of full scale]."""
GATE_DB = 40.0
"""Stretches this far below the loudest are pauses [dB]."""
GATE_SAMPLES = 320
"""Length of a stretch: 20 ms."""
QUIET = 1e-4
"""Least RMS that is raised to `LEVEL_DB`: -80 dB, which no voice has."""


class Embedder(nn.Module):
    """Embeds sound; its weights are not trained.

    Args:
        rate: of the sound that it gets [Hz].
    """

    def __init__(self, rate: int) -> None:
        super().__init__()
        self.rate = rate
        self.lstm = nn.LSTM(MELS.n_mels, DIM, 3, batch_first=True)
        self.linear = nn.Linear(DIM, DIM)
        self.requires_grad_(False)

    def load(self) -> None:
        """Take the weights of the package.

        Raises:
            ConfigError: Resemblyzer is not installed.
        """
        found = find_spec("resemblyzer")
        if found is None or found.origin is None:
            raise ConfigError(
                "speaker_autoencoder: training hears voices through Resemblyzer, which is not "
                "installed; local/setup.sh --eval"
            )
        stored = torch.load(Path(found.origin).with_name("pretrained.pt"), map_location="cpu")
        own = self.state_dict()
        kept = {name: stored["model_state"][name] for name in own if name in stored["model_state"]}
        self.load_state_dict({**own, **kept})

    def forward(self, wave: Tensor) -> Tensor:
        """Embed waves (B, T) whole, as one part each: (B, DIM) of length 1, not negative."""
        return self.embed(self.mels(wave))

    def mels(self, wave: Tensor) -> Tensor:
        """Return the mel spectra (B, F, 40) of waves (B, T), resampled and at one level."""
        heard = resample(wave.float(), self.rate, RATE)
        return mel_power(heard * self._gain(heard), MELS).transpose(1, 2)

    def embed(self, mels: Tensor) -> Tensor:
        """Embed mel spectra (B, F, 40): (B, DIM)."""
        _, (hidden, _) = self.lstm(mels)
        raw = torch.relu(self.linear(hidden[-1]))
        return raw / raw.norm(dim=1, keepdim=True).clamp_min(1e-6)

    @torch.no_grad()
    def voice(self, wave: Tensor) -> Tensor:
        """Embed a recording (T,) part by part, pauses left out: the mean (DIM,), not of length 1.

        A recording shorter than a part is embedded whole.
        """
        heard = resample(wave.float()[None], self.rate, RATE)
        loud = heard * self._gain(heard)
        kept = loud[0, _sounding(loud).repeat_interleave(GATE_SAMPLES, dim=1)[0, : loud.shape[1]]]
        mels = mel_power(kept[None], MELS).transpose(1, 2)
        frames = mels.shape[1]
        if frames <= PART:
            return self.embed(mels)[0]
        starts = range(0, frames - PART + 1, STEP)
        return self.embed(torch.cat([mels[:, n : n + PART] for n in starts])).mean(dim=0)

    def _gain(self, heard: Tensor) -> Tensor:
        """Return the gain (B, 1) that brings waves (B, T) to `LEVEL_DB`."""
        power = _stretches(heard).square().mean(dim=-1)
        on = _sounding(heard)
        mean = (power * on).sum(dim=1) / on.sum(dim=1)
        rms = mean.clamp_min(QUIET**2).sqrt()
        return (10 ** (LEVEL_DB / 20) / rms)[:, None]


def _stretches(wave: Tensor) -> Tensor:
    short = -wave.shape[-1] % GATE_SAMPLES
    return nn.functional.pad(wave, (0, short)).unflatten(-1, (-1, GATE_SAMPLES))


def _sounding(wave: Tensor) -> Tensor:
    """Mark the stretches of waves (B, T) that are no pauses: (B, N) bool, at least one."""
    with torch.no_grad():
        power = _stretches(wave).square().mean(dim=-1)
        return power >= power.amax(dim=1, keepdim=True) * 10 ** (-GATE_DB / 10)
