"""Hyper-parameters of the family speaker_autoencoder."""

from typing import Annotated

from pydantic import Field

from vctool.config import Config


class SpeakerAutoencoderConfig(Config):
    """Hyper-parameters of the networks and of their training."""

    cepstra: int = Field(24, ge=4, le=64)
    """Mel-cepstra of an envelope, c0 left out: too few to follow single harmonics."""
    code: int = Field(12, ge=1, le=64)
    """Channels of the code, which is all that the decoder hears of what is said."""
    width: int = Field(192, ge=8)
    """Channels of both networks."""
    encoder_blocks: int = Field(3, ge=1)
    """Blocks of the encoder; the n-th sees 4 * 2^n frames back, beginning with n = 0."""
    decoder_blocks: int = Field(4, ge=1)
    """Blocks of the decoder, with style-adaptive layer normalisation; they see as far back."""
    style: int = Field(128, ge=8)
    """Channels of the style that a target's voice becomes."""
    look_ahead: int = Field(1, ge=0, le=2)
    """Frames after the one that is filtered which the networks see; each is a hop of latency."""
    smoothing: int = Field(1, ge=0, le=2)
    """Frames on either side that the change of the envelope is smoothed over; each costs a hop."""
    dynamics: float = Field(0.6, ge=0, le=1)
    """Share of the change of the envelope that moves: the rest is the change's mean over the voiced
    frames of the last `mean_frames`. What moves is mostly what the code did not keep."""
    mean_frames: int = Field(172, ge=2)
    """Frames that the mean change is taken over."""
    unvoiced: float = Field(0.0, ge=0, le=1)
    """Share of the change of the envelope that frames without a voice get: breath, consonants and
    pauses say little of a voice, and are heard as noise that moves."""
    warp: float = Field(0.15, ge=0, lt=0.5)
    """Largest relative change of the vocal tract length that the encoder hears in training."""
    equaliser_db: float = Field(4.0, ge=0)
    """Standard deviation of a random equaliser that it hears too [dB], smooth over frequency."""
    gain_db: float = Field(6.0, ge=0)
    """Standard deviation of the level of training clips [dB]."""
    clip_frames: int = Field(144, ge=16)
    """Length of a training clip, and of the clip that its voice is taken from [frames]."""
    speeds: tuple[Annotated[float, Field(ge=0.5, le=2)], ...] = Field(
        (0.85, 1.0, 1.18), min_length=1
    )
    """How fast recordings are played in training: each speed makes other voices of them."""
    voices_per_batch: int = Field(6, ge=2)
    """Voices in a batch, speeds counted; each has `train.batch_size` clips in it."""
    stft_sizes: tuple[Annotated[int, Field(ge=16)], ...] = (512, 1024, 2048)
    """FFT lengths of the spectral loss [samples]."""
