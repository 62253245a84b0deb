"""Settings of feature extraction: one config that recipes set and checkpoints store."""

import hashlib
import json
from importlib.util import find_spec
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from vctool.config import Config
from vctool.features import base

SWIFT_REMEDY = "local/setup.sh --eval, or: pip install swift-f0"
"""How to install what the estimator `swift_f0` needs."""
SWIFT_RANGE_HZ = 46.875, 2093.75
"""What the network of `swift_f0` hears as pitch [Hz]."""
SWIFT_LEAST_RATIO = 1.05
"""Least ratio of the ends of a range that holds one of its pitches, 4.1 % apart."""


class FeatureConfig(Config):
    """Settings of feature extraction. All kinds share rate and hop, so their frames line up.

    Frame k is centred on sample `k * hop_length`; T samples give `1 + T // hop_length` frames.

    A kind may also define settings that it alone reads (`base.FeatureKind.Settings`); a recipe
    gives them under its name, as in `features: {NAME: {field: value}}`.
    """

    # an extra key must be a kind that has settings of its own
    model_config = ConfigDict(extra="allow")

    rate: int = Field(44100, ge=8000, le=96000)
    """Sampling rate that audio is resampled to [Hz]."""
    hop_length: int = Field(512, ge=16, le=32768)
    """Step between frames [samples]."""
    n_fft: int = Field(2048, ge=64, le=65536)
    """Length of the mel analysis FFT [samples]."""
    win_length: int | None = Field(None, ge=32)
    """Length of the mel analysis window, centred in the FFT [samples]; `n_fft` where not given."""
    mel_power: Literal[1, 2] = 2
    """Power of the STFT's magnitude that mel bins sum up: 1 magnitude, 2 power. Either is coded in
    dB of power, so that a sine of twice the amplitude has 6 dB more."""
    n_mels: int = Field(128, ge=8, le=4096)
    """Number of mel bins."""
    f_min: float = Field(0.0, ge=0)
    """Lower edge of the lowest mel bin [Hz]."""
    f_max: float | None = None
    """Upper edge of the highest mel bin [Hz]; half the rate where not given."""
    top_db: float = Field(80.0, gt=0)
    """Floor of the log-mel below its own maximum [dB]."""
    f0_estimator: Literal["dio", "harvest", "swift_f0"] = "dio"
    """`dio` (with StoneMask) and `harvest` are WORLD's; `harvest` is steadier and ten times slower.
    `swift_f0` takes the pitch of a network where DIO hears a voice (`features.swift`): half the
    gross errors on singing, for twice the time; swift-f0 must be installed."""
    bridge_f0: bool = False
    """Analyse WORLD's envelope and aperiodicity where no voice was found at an F0 between those of
    the neighbours. For systems that decide on voicing anew: WORLD looks at a frame without F0
    through a window so short that the periods of a voice, where there was one, are in the envelope.
    The F0 itself stays as it was found."""
    f0_floor: float = Field(65.0, gt=0)
    """Lowest F0 of the first, wide pass [Hz]."""
    f0_ceil: float = Field(1000.0, gt=0)
    """Highest F0 of the first, wide pass [Hz]."""
    envelope_dim: int = Field(60, ge=8, le=1024)
    """Number of coefficients that code WORLD's spectral envelope, c0 among them."""
    envelope_coding: Literal["world", "mcep"] = "world"
    """`world`: a cosine series over mel (WORLD's own); `mcep`: mel-cepstra (`features.mcep`)."""
    mcep_alpha: float = Field(0.42, ge=0, lt=1)
    """All-pass constant of `mcep`; 0.42 follows the mel scale at 16 kHz, 0.455 at 22.05 kHz."""
    chroma_n_fft: int = Field(4096, ge=512, le=131072)
    """Length of the chroma analysis window [samples]."""

    @model_validator(mode="after")
    def _settings_of_kinds(self) -> Self:
        given = self.__pydantic_extra__
        assert given is not None  # extra="allow"
        for kind, values in given.items():
            settings = self.settings_below(kind)
            if settings is None:
                unknown = PydanticCustomError("extra_forbidden", "no such field")
                raise _located([InitErrorDetails(type=unknown, loc=(kind,), input=values)])
            try:
                given[kind] = settings.model_validate(values)
            except ValidationError as error:
                raise _located(
                    [
                        InitErrorDetails(
                            type=PydanticCustomError(one["type"], one["msg"]),
                            loc=(kind, *one["loc"]),
                            input=one["input"],
                        )
                        for one in error.errors(include_url=False)
                    ]
                ) from None
        return self

    @model_validator(mode="after")
    def _bands_fit(self) -> Self:
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

    @model_validator(mode="after")
    def _estimator_can_run(self) -> Self:
        if self.f0_estimator != "swift_f0":
            return self
        lowest, highest = SWIFT_RANGE_HZ
        if self.f0_floor < lowest or self.f0_ceil > highest:
            raise ValueError(
                f"f0_estimator swift_f0 hears pitch from {lowest} to {highest} Hz; f0_floor "
                f"{self.f0_floor} and f0_ceil {self.f0_ceil} must lie there"
            )
        if self.f0_ceil < SWIFT_LEAST_RATIO * self.f0_floor:
            raise ValueError(
                f"f0_estimator swift_f0 needs f0_ceil {self.f0_ceil} to be at least "
                f"{SWIFT_LEAST_RATIO} times f0_floor {self.f0_floor}"
            )
        for package in ("swift_f0", "onnxruntime"):
            if find_spec(package) is None:
                raise ValueError(
                    f"f0_estimator swift_f0: {package} is not installed; {SWIFT_REMEDY}"
                )
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

    @property
    def wide_range(self) -> base.F0Range:
        """Where F0 is searched before the voice's own range is known."""
        return base.F0Range(self.f0_floor, self.f0_ceil)

    @classmethod
    def settings_below(cls, name: str) -> type[BaseModel] | None:
        """Return the settings class of a field, or of a kind that has settings of its own."""
        if name in cls.model_fields or name not in base.names():
            return super().settings_below(name)
        return base.get(name).Settings

    def own(self, kind: str) -> Any:
        """Return the settings that a kind has of its own (`base.FeatureKind.Settings`)."""
        settings = base.get(kind).Settings
        assert settings is not None, f"{kind} has no settings of its own"
        return (self.__pydantic_extra__ or {}).get(base.plain(kind), settings())

    def of_kind(self, kind: str) -> dict[str, object]:
        """Return all that decides the values of a kind (`mel`, `accomp_mel`...) besides the sound.

        That is its settings, those of this kind alone under its name, and the version of its code
        from version 2 on, all as JSON values.
        """
        one, name = base.get(kind), base.plain(kind)
        decisive = {field: getattr(self, field) for field in one.fields}
        for field, before in one.later.items():
            if getattr(self, field) != before:
                decisive[field] = getattr(self, field)
        if one.Settings is not None:
            decisive[name] = self.own(kind).model_dump(mode="json")
        if one.VERSION > 1:
            decisive["versions"] = {name: one.VERSION}
        return decisive

    def hash8(self, kind: str) -> str:
        """Return an eight-digit hex hash of `of_kind`; part of the kind's path on disk."""
        text = json.dumps(self.of_kind(kind), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def _located(errors: list[InitErrorDetails]) -> ValidationError:
    """Build an error that names fields by their place in the recipe."""
    return ValidationError.from_exception_data(FeatureConfig.__name__, errors)
