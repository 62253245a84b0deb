"""Hyper-parameters of the family istft."""

from typing import Annotated

from pydantic import Field

from vctool.vocoders.istft.settings import IstftConfig


class IstftTrainingConfig(IstftConfig):
    """Hyper-parameters of the network and of its training."""

    segment_frames: int = Field(64, ge=8)
    """Length of a training clip [frames]; shorter utterances are left out."""
    speeds: tuple[Annotated[float, Field(ge=0.5, le=2)], ...] = Field((1.0,), min_length=1)
    """How fast recordings are played: each speed augments the data with different voices,
    and has `train.batch_size` clips in a batch."""
    stft_sizes: tuple[Annotated[int, Field(ge=16)], ...] = (256, 512, 1024, 2048)
    """FFT lengths of the spectral loss [samples]."""
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    """Periods of the discriminators that fold the wave [samples]."""
    period_width: int = Field(4, ge=1)
    """Channels after their first layer; the last layers have 32 times as many."""
    spectra: tuple[int, ...] = (512, 1024)
    """FFT lengths of the discriminators that see spectra [samples]."""
    spectrum_width: int = Field(8, ge=1)
    """Channels of the discriminators that see spectra."""
    judged_frames: int = Field(64, ge=4)
    """Frames in the middle of a clip that discriminators judge; they cost most of a step, and see
    no further than a few tens of milliseconds."""
    adversarial_from: int = Field(0, ge=0)
    """Step from which adversarial losses are used; spectral losses alone learn faster at first."""
