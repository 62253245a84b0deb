"""The settings of every feature, in one object that recipes name and checkpoints carry."""

import hashlib
import json
from typing import Literal

from pydantic import Field, model_validator

from vctool.config import Config

KIND_FIELDS: dict[str, tuple[str, ...]] = {
    "mel": ("rate", "n_fft", "hop_length", "n_mels", "f_min", "f_max", "top_db"),
    "world": (
        "rate",
        "hop_length",
        "f0_estimator",
        "f0_floor",
        "f0_ceil",
        "envelope_dim",
        "envelope_coding",
        "mcep_alpha",
    ),
    "chroma": ("rate", "hop_length", "chroma_n_fft"),
    "pitch": ("rate", "hop_length", "f0_estimator", "f0_floor", "f0_ceil"),
    "wave": ("rate", "hop_length"),
    "f0": ("rate", "hop_length", "f0_estimator", "f0_floor", "f0_ceil"),
}
"""Which settings decide the content of each kind of feature, and so its place on disk."""

LATER_FIELDS: dict[str, dict[str, object]] = {"mel": {"win_length": None, "mel_power": 2}}
"""Settings that came later, with the value that every older dump was made with; they are part of
a kind's settings only where they differ from it, so that those dumps stay valid."""


class FeatureConfig(Config):
    """How sound becomes numbers. All kinds share rate and hop, so their frames line up.

    Frame k is centred on sample `k * hop_length`; T samples give `1 + T // hop_length` frames.
    """

    rate: int = Field(44100, ge=8000, le=96000)
    """Sampling rate that audio is resampled to [Hz]."""
    hop_length: int = Field(512, ge=16)
    """Step between frames [samples]."""
    n_fft: int = Field(2048, ge=64)
    """Length of the mel analysis FFT [samples]."""
    win_length: int | None = Field(None, ge=32)
    """Length of the mel analysis window, centred in the FFT [samples]; `n_fft` where not given."""
    mel_power: Literal[1, 2] = 2
    """Power of the STFT's magnitude that mel bins sum up: 1 magnitude, 2 power. Either is coded in
    dB of power, so that a sine of twice the amplitude has 6 dB more."""
    n_mels: int = Field(128, ge=8)
    """Number of mel bins."""
    f_min: float = Field(0.0, ge=0)
    """Lower edge of the lowest mel bin [Hz]."""
    f_max: float | None = None
    """Upper edge of the highest mel bin [Hz]; half the rate where not given."""
    top_db: float = Field(80.0, gt=0)
    """Floor of the log-mel below its own maximum [dB]."""
    f0_estimator: Literal["dio", "harvest"] = "dio"
    """WORLD's F0 estimator; `harvest` is steadier and ten times slower."""
    f0_floor: float = Field(65.0, gt=0)
    """Lowest F0 of the first, wide pass [Hz]."""
    f0_ceil: float = Field(1000.0, gt=0)
    """Highest F0 of the first, wide pass [Hz]."""
    envelope_dim: int = Field(60, ge=8)
    """Number of coefficients that code WORLD's spectral envelope, c0 among them."""
    envelope_coding: Literal["world", "mcep"] = "world"
    """`world`: a cosine series over mel (WORLD's own); `mcep`: mel-cepstra (`features.mcep`)."""
    mcep_alpha: float = Field(0.42, ge=0, lt=1)
    """All-pass constant of `mcep`; 0.42 follows the mel scale at 16 kHz, 0.455 at 22.05 kHz."""
    chroma_n_fft: int = Field(4096, ge=512)
    """Length of the chroma analysis window [samples]."""

    @model_validator(mode="after")
    def _bands_fit(self) -> "FeatureConfig":
        if self.f_max is not None and not self.f_min < self.f_max <= self.rate / 2:
            raise ValueError(f"f_max {self.f_max} must lie between f_min and half the rate")
        if self.window > self.n_fft:
            raise ValueError(f"win_length {self.window} must be at most n_fft {self.n_fft}")
        if self.hop_length > self.window // 2:
            raise ValueError(
                f"hop_length {self.hop_length} must be at most half of the window, {self.window}"
            )
        if not self.f0_floor < self.f0_ceil:
            raise ValueError(f"f0_floor {self.f0_floor} must lie below f0_ceil {self.f0_ceil}")
        return self

    @property
    def window(self) -> int:
        """Length of the mel analysis window [samples]."""
        return self.n_fft if self.win_length is None else self.win_length

    @property
    def frame_period_ms(self) -> float:
        """Step between frames [ms], as WORLD counts it."""
        return 1000.0 * self.hop_length / self.rate

    @property
    def frame_rate(self) -> float:
        """Frames per second [Hz]."""
        return self.rate / self.hop_length

    def frames(self, samples: int) -> int:
        """Count the frames that a number of samples gives."""
        return 1 + samples // self.hop_length

    def of_kind(self, kind: str) -> dict[str, object]:
        """Return the settings that decide one kind (`mel`, `world`, `chroma`, `accomp_mel`...)."""
        plain = kind.removeprefix("accomp_")
        settings = {name: getattr(self, name) for name in KIND_FIELDS[plain]}
        for name, before in LATER_FIELDS.get(plain, {}).items():
            if getattr(self, name) != before:
                settings[name] = getattr(self, name)
        return settings

    def hash8(self, kind: str) -> str:
        """Return eight hex digits of the settings of one kind; part of its path on disk."""
        text = json.dumps(self.of_kind(kind), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]
