"""Hyper-parameters of cyclegan_vc."""

from typing import Literal

from pydantic import Field, model_validator

from vctool.config import Config


class CycleGanVcConfig(Config):
    """Hyper-parameters; those of each published variant are in `conf/cyclegan_vc/`."""

    voice: Literal["mcep", "mel"] = "mcep"
    """What is converted: mel-cepstra, with F0 moved by a formula and aperiodicity kept (WORLD), or
    log-mel, in which everything is converted."""
    generator: Literal["1d", "2-1-2d"] = "1d"
    """`1d` of CycleGAN-VC, or `2-1-2d` of CycleGAN-VC2 and MaskCycleGAN-VC."""
    discriminator: Literal["full", "patch"] = "full"
    """`full`: one score of the whole segment (CycleGAN-VC); `patch`: PatchGAN (CycleGAN-VC2)."""
    segment_frames: int = Field(128, ge=16)
    """Length of a training segment [frames]; shorter utterances are extended by reflection."""
    generator_width: int = Field(64, ge=4)
    """Channels after the generator's first layer; inner layers have 2 and 4 times as many (1d: 2
    and 8), as published for 64."""
    residual_blocks: int = Field(6, ge=1)
    """Residual blocks at a quarter of the frame rate."""
    discriminator_width: int = Field(64, ge=4)
    """Channels after the discriminator's first layer; they double three times."""
    guide: Literal["cepstra", "phones"] = "cepstra"
    """How it is found where the two speakers say the same: `cepstra`, by nearness of their
    normalised features; `phones`, by phone posteriors and cepstra without the voice
    (`features.search`). With `phones` the generators are told the phones as well, the neighbour
    loss draws a fake to the mean of those frames that say what its source says, and conversion
    carries the spread of its output to the speaker's."""
    nearest: int = Field(16, ge=1)
    """With `phones`, how many frames are averaged."""
    strength: float = Field(1.0, ge=0, le=3)
    """With `phones`, factor on the change of the envelope. A mean of frames is nearer to every
    voice than any of them, so 1 stops short of the target."""
    smoothing_ms: float = Field(40.0, ge=0, le=1000)
    """With `phones`, half width of the Hann window that smooths the change over time [ms]."""
    level: float = Field(0.0, ge=0, le=1)
    """How loud a frame becomes (mcep): at 0 as loud as it was, at 1 as much louder or softer than
    the voice's mean as the generator says."""
    noise_range_db: float = Field(15.0, ge=0, le=60)
    """What lies less than about this above the noise of the source, bin by bin, is raised less, or
    not at all (mcep) [dB]; at 0 noise is raised like a voice."""
    start: Literal["random", "identity", "alignment"] = "random"
    """Initial mapping of the generator: `random`, as published; `identity`: its output is added to
    its input, so it begins as the mean-variance transform; `alignment`: its output is added to a
    linear map fitted before training by pairing nearest frames of the two speakers."""
    aligned_frames: int = Field(8192, ge=64)
    """Frames of each speaker that `alignment` pairs, evenly spaced; more make little difference."""
    two_step: bool = False
    """Add an adversarial loss on the cycle's reconstruction, with its own discriminators
    (CycleGAN-VC2)."""
    identity_steps: int | None = Field(10000, ge=0)
    """Steps after which the identity loss ends; None keeps it to the end, 0 never uses it."""
    neighbours: int = Field(0, ge=0)
    """Stored frames of each speaker for the nearest-neighbour loss: a fake frame, with its
    context, is drawn to the nearest stored one, or as `guide` says; 0 stores none, as published."""
    mask_frames: int = Field(0, ge=0)
    """Longest stretch of frames that is masked for the generator to fill in (MaskCycleGAN-VC); 0
    masks nothing, and the generator takes no mask."""

    @model_validator(mode="after")
    def _consistent(self) -> "CycleGanVcConfig":
        if self.segment_frames % 4:
            raise ValueError(f"segment_frames {self.segment_frames} must be a multiple of 4")
        if self.mask_frames and self.mask_frames >= self.segment_frames:
            raise ValueError(f"mask_frames {self.mask_frames} must be less than segment_frames")
        if self.guide == "phones" and (self.voice, self.generator) != ("mcep", "1d"):
            raise ValueError("guide: phones needs voice: mcep and generator: 1d")
        return self
