"""Hyper-parameters of the family timbre_vqvae, and the options of a conversion."""

from typing import Literal

from pydantic import Field

from vctool.config import Config


class TimbreVqvaeConfig(Config):
    """Hyper-parameters; the published choices are in `conf/timbre_vqvae/published.yaml`."""

    content: Literal["structured", "vector"] = "structured"
    """What is kept of the source: `structured`, how much of every pitch sounds; `vector`, the
    nearest of a book of vectors at every fourth frame, as published."""
    clip_frames: int = Field(64, ge=8)
    """Length of a training clip, of content, style and target alike [frames]."""
    channels: int = Field(16, ge=2)
    """Channels per pitch of the networks that find notes and shape them in time (structured)."""
    style: int = Field(64, ge=4)
    """Numbers that describe an instrument (structured)."""
    levels: int | None = Field(8, ge=2)
    """Levels that the activity of a pitch is rounded to (structured); None leaves it as it is,
    without a bottleneck: it shows that the code then tells the content's own sound."""
    measured: bool = True
    """Whether the decoder starts from the harmonic profile that is measured in the reference
    (structured)."""
    bands: int = Field(128, ge=16)
    """Mel bands of the loss in dB beside that of the bins."""
    mels: int | None = Field(None, ge=16)
    """Mel bands that spectra are reduced to, both what is heard and what is made; None keeps every
    bin. It shows what such features cost: 128 do not tell apart the partials of chords."""
    width: int = Field(192, ge=4)
    """Channels of every layer (vector); 1024 as published."""
    codes: int = Field(512, ge=2)
    """Vectors in the book (vector); 2048 as published."""
    codebook: Literal["ema", "plain"] = "ema"
    """How the book is learnt (vector): as running means of what is nearest, where codes that are
    no longer used begin again at vectors of the batch; or `plain`, by gradient, as published."""
    scale: Literal["bel", "log1p"] = "bel"
    """What spectra are told in (vector): bel, or log(1 + |STFT|), as published, which is linear in
    nearly all bins."""
    rendering: Literal["other", "same"] = "other"
    """Whose rendering of the target's notes the content is: another instrument's, or the target
    itself, as published."""
    iterations: int = Field(16, ge=0, le=500)
    """Iterations of Griffin and Lim that make the phases of a conversion consistent."""


class TimbreVqvaeOptions(Config):
    """Options of a conversion."""

    amount: float = Field(1.0, ge=0, le=1)
    """How far the sound is moved: 0 leaves it as it is, 1 is the reference's."""
    midi: bool = False
    """Whether the notes that were found are written, as a MIDI file beside the output."""
