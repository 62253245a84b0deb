"""Hyper-parameters of vae_gan."""

from typing import Literal

from pydantic import Field, model_validator

from vctool.config import Config


class VaeGanConfig(Config):
    """Hyper-parameters; the published choices are in `conf/vae_gan/published.yaml`."""

    network: Literal["1d", "2d"] = "1d"
    """`2d`: convolutions over time and frequency, as published; `1d`: over time alone, a tenth of
    the work for the same length of sound."""
    clip_frames: int = Field(128, ge=16)
    """Length of a training clip, and of the windows of a conversion [frames]."""
    width: int = Field(128, ge=4)
    """Channels: of every layer (1d), or after the first layer (2d), where inner layers have 2 and
    4 times as many."""
    latent_channels: int = Field(32, ge=1)
    """Channels of the latent code at half the frame rate (1d). 2d has 4 times `width` at a quarter
    of the rate and of the mel bins, as published."""
    encoder_blocks: int = Field(3, ge=1)
    """Residual blocks of the encoder."""
    shared_blocks: int = Field(1, ge=0)
    """Residual blocks that all decoders share."""
    decoder_blocks: int = Field(3, ge=0)
    """Residual blocks of each voice's own decoder."""
    discriminator_width: int = Field(64, ge=2)
    """Channels after a discriminator's first layer; they double three times."""
    cepstra: int = Field(0, ge=0)
    """Coefficients of the mel's cosine transform that the encoder sees (1d): 24 keep the formants
    and drop the harmonics of F0; 0 gives it the mel as it is, as published."""
    pitch: Literal["none", "keep", "move"] = "none"
    """Whether decoders are given F0 beside the code (1d): `none`, as published, leaves pitch to the
    code; `keep` gives the source's, for instruments; `move` gives it the target's mean and
    deviation of log-F0, for speakers."""
    loudness: bool = False
    """Whether decoders are given each frame's loudness beside the code (1d), within the range of
    their voice: silence then stays silent, however another voice's silence is coded."""
    warp: float = Field(0.0, ge=0, lt=0.5)
    """Data augmentation: largest relative change of vocal tract length in the encoder's training
    clips. Frequencies are multiplied by 1 - warp to 1 + warp, so decoders also see codes of other
    voices than their own; 0 leaves clips as they are, as published."""
    pitch_shift: float = Field(0.0, ge=0, le=24)
    """Data augmentation: largest shift of the harmonics in the encoder's training clips, their
    formants staying where they are [semitones]; 0 leaves them, as published. Without pitch, F0 is
    not known and nothing is moved."""
    discriminator: Literal["patch", "scales"] = "patch"
    """`patch`: as published, on log-mel from -1 to 1; `scales`: on bins standardised per voice, at
    two time scales, with feature matching and an R1 penalty."""
    discriminator_norm: bool = False
    """Instance normalisation in the discriminators (`patch`), as published; it hides the loudness
    of a conversion from them."""
    speakers_per_batch: int | None = Field(4, ge=2)
    """Voices in one batch, all equally often; all voices where there are fewer, or with None."""

    @model_validator(mode="after")
    def _consistent(self) -> "VaeGanConfig":
        if self.clip_frames % 4:
            raise ValueError(f"clip_frames {self.clip_frames} must be a multiple of 4")
        if self.discriminator == "scales" and self.clip_frames < 64:
            raise ValueError(
                f"clip_frames {self.clip_frames} is too short for discriminator scales, which "
                "judges frames averaged by 4 as well; take 64 or more, or discriminator patch"
            )
        if self.network == "2d" and (self.pitch != "none" or self.cepstra or self.loudness):
            raise ValueError("pitch, cepstra and loudness need network 1d")
        return self
