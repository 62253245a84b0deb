"""Hyper-parameters of vocal_cyclegan."""

from typing import Literal

from pydantic import Field, model_validator

from vctool.config import Config


class VocalCycleGanConfig(Config):
    """Hyper-parameters; the defaults train in minutes on two cores."""

    voice: Literal["mel", "world"] = "world"
    """Features of the voice: its log-mel, as published, or WORLD's envelope and a separate F0."""
    accompaniment: bool = True
    """Condition singing on an accompaniment; false where the singing has none."""
    clip_frames: int = Field(128, ge=32)
    """Length of a training clip [frames of the networks]."""
    stride: int = Field(1, ge=1, le=16)
    """Frames of the features in one frame of the networks. Sound is made at the features' own
    frames: the source's envelope there, plus the change of the envelope, interpolated."""
    singing_channels: tuple[int, ...] = (64, 96, 128)
    """Widths of the Wave-U-Net to singing; published: 1024, 2048, 4096."""
    speech_channels: tuple[int, ...] = (64, 96, 128)
    """Widths of the Wave-U-Net to speech; published: 512, 1024, 2048."""
    kernel: int = Field(5, ge=3)
    """Length of the Wave-U-Nets' convolutions [frames], odd; published: 3."""
    residual: bool = True
    """Start from the mean-variance transform between domains and learn the residual."""
    smoothing_ms: float = Field(0.0, ge=0, le=1000)
    """Half width of the Hann window that smooths the change of the envelope over time [ms], in
    training too; needs `residual`. What a voice is changes slowly, what it says fast: a change that
    is free to move as fast as phones takes the words away. 0: it is free."""
    phones: bool = False
    """Add a loss of phones heard in a fake and not in its source, and the reverse (`heard`)."""
    melody_width: int = Field(16, ge=4)
    """Channels of the melody networks."""
    melody_layers: int = Field(4, ge=1)
    """Layers of the melody networks; each doubles their receptive field in time."""
    contour_noise: float = Field(2.0, ge=0)
    """Spread of the slow noise added to contours in training [semitones]."""
    register_noise: float = Field(1.5, ge=0)
    """Spread of the error added to an utterance's register in training [semitones]."""
    contour_scale: float = Field(0.5, ge=0, le=1)
    """How far a converted melody follows the input's contour; training draws it from 0 to 1."""
    emission: float = Field(0.3, gt=0, le=1)
    """Exponent of the pitch posterior against the note transitions when converting."""
    voiced_from: float = Field(0.5, gt=0, lt=1)
    """Probability of voice from which a frame is voiced when converting. The network's probability
    dips only a little in short stops: the lower this is, the more of them are sung through."""
    judged_notes: Literal["mean", "path"] = "mean"
    """Notes of a fake that its discriminators see: the posterior's mean, or the best path with its
    intonation and glides, as it is converted; its gradient is taken for that of the mean."""
    glide_seconds: float = Field(0.08, ge=0)
    """Length of the glide from note to note [s]."""
    ornaments: bool = False
    """Let notes begin where syllables do, with the vibrato of the training singers."""
    rocket_features: int = Field(2000, ge=84)
    """MiniRocket features of each discriminator; 10,000 gives the published 9,996."""
    rocket_hidden: int = Field(256, ge=2)
    """Width of the head on the MiniRocket features; published: 1024 and 512."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout in that head while training; published: 0.3."""
    patch_width: int = Field(32, ge=0)
    """Width of the convolutional discriminator beside MiniRocket; 0 leaves it out, as published."""
    gate: float | None = None
    """Train discriminators only while the running mean of their loss is above this; published:
    0.6."""

    @model_validator(mode="after")
    def _consistent(self) -> "VocalCycleGanConfig":
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} must be odd")
        for name in ("singing_channels", "speech_channels"):
            if len(getattr(self, name)) < 2:
                raise ValueError(f"{name} must name at least two widths")
        if self.smoothing_ms and not self.residual:
            raise ValueError("smoothing_ms smooths a change and needs residual: true")
        if self.voice == "mel":
            for name, off in (
                ("smoothing_ms", 0),
                ("phones", False),
                ("stride", 1),
                ("ornaments", False),
            ):
                if getattr(self, name) != off:
                    raise ValueError(f"{name} needs voice: world")
        return self
