"""Hyper-parameters of the family hifigan."""

from typing import Annotated

from pydantic import Field

from vctool.vocoders.hifigan import HifiganConfig


class HifiganTrainingConfig(HifiganConfig):
    """Hyper-parameters of the generator and of its training; the defaults are as published."""

    segment_frames: int = Field(32, ge=4)
    """Length of a training clip [frames]; shorter utterances are left out."""
    speeds: tuple[Annotated[float, Field(ge=0.5, le=2)], ...] = Field((1.0,), min_length=1)
    """How fast recordings are played: each speed augments the data with different voices,
    and has `train.batch_size` clips in a batch."""
    stft_sizes: tuple[Annotated[int, Field(ge=16)], ...] = (512, 1024, 2048)
    """FFT lengths of the spectral loss [samples]; its weight is 0 as published."""
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    """Periods of the discriminators that fold the wave [samples]."""
    period_width: int = Field(32, ge=1)
    """Channels after their first layer; the last layers have 32 times as many."""
    scales: int = Field(3, ge=0)
    """Number of discriminators that see the wave, each at half the rate of the one before."""
    scale_width: int = Field(128, ge=1)
    """Channels after their first layer; the last layers have 8 times as many."""
    judged_frames: int = Field(32, ge=4)
    """Frames in the middle of a clip that discriminators judge."""
    adversarial_from: int = Field(0, ge=0)
    """Step from which adversarial losses are used; spectral losses alone learn faster at first."""
