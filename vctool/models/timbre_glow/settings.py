"""Hyper-parameters of the family timbre_glow, and the options of a conversion."""

from typing import Any

from pydantic import Field, field_validator

from vctool.config import Config, build
from vctool.errors import ConfigError
from vctool.models.base import family

CODER = "timbre_vqvae"
"""The family whose codes and styles are the condition."""
SQUEEZE = 4
"""The flow takes this many frames at once, at its deepest."""


class TimbreGlowConfig(Config):
    """Hyper-parameters."""

    codes: str = "exp/nottingham_timbre_vqvae"
    """Trained experiment or pack of `timbre_vqvae` whose codes and styles are the condition. A new
    model takes over its weights and keeps them frozen; a trained one holds them itself."""
    coder: dict[str, Any] = Field(default_factory=dict)
    """`model` of that experiment, where it is not the default."""
    clip_frames: int = Field(64, ge=8, multiple_of=SQUEEZE)
    """Length of a training clip, of content, style and target alike [frames]."""
    bands: int = Field(128, ge=16, multiple_of=2)
    """Mel bands whose loudness is modelled."""
    depth: int = Field(4, ge=1)
    """Steps of each of the two levels: ActNorm, an invertible 1x1 convolution and a coupling."""
    width: int = Field(128, ge=4)
    """Channels within a coupling, and of the condition."""

    @field_validator("coder")
    @classmethod
    def _is_quantised(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Refuse what is no coder, and one without a bottleneck."""
        try:
            coder = build(family(CODER).Config, value, "coder")
        except ConfigError as error:
            raise ValueError(str(error)) from None
        told = coder.model_dump()
        if told["content"] == "structured" and told["levels"] is None:
            raise ValueError(
                "levels: null is a condition of full rate, which tells the sound along with the "
                "notes, so that the style is ignored; give a number of levels"
            )
        return value


class TimbreGlowOptions(Config):
    """Options of a conversion."""

    amount: float = Field(1.0, ge=0, le=1)
    """How far the sound is moved: 0 leaves it as it is, 1 is the reference's."""
    midi: bool = False
    """Whether the notes that were found are written, as a MIDI file beside the output."""
    temperature: float = Field(0.6, ge=0, le=1)
    """How far what is drawn varies: 0 gives the middle of the distribution, 1 all of it."""
