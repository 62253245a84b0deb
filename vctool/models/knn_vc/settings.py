"""Hyper-parameters of the family knn_vc, and the options of a conversion."""

from typing import Literal

from pydantic import Field

from vctool.config import Config


class KnnVcConfig(Config):
    """Hyper-parameters; none is learnt."""

    seconds: float = Field(300.0, ge=0.5, le=3600.0)
    """Sound of a target that is kept, pauses left out [s]."""
    neighbours: int = Field(16, ge=1)
    """Frames of the target whose mean envelope a frame of the source is given."""
    detail: float = Field(0.3, ge=0, le=1)
    """Share of the source's detail that is kept: how its envelope differs from what its phones
    explain. More keeps naturalness, less comes nearer to the target."""
    strength: float = Field(1.3, ge=0, le=3)
    """Factor on the change of the envelope. A mean of neighbours is nearer to every voice than the
    target itself, so 1 stops short of it."""
    variance: float = Field(1.0, ge=0, le=1)
    """How far the spread of every coefficient is carried to that of the target's frames: a mean of
    neighbours varies less than what it is a mean of, and is heard as dull."""
    level: float = Field(0.5, ge=0, le=1)
    """How loud a frame becomes: at 0 as loud as it was, at 1 as much louder or softer than the
    voice's mean as the target says its phones, with the source's own stress."""
    noise_range_db: float = Field(15.0, ge=0, le=60)
    """What lies less than about this above the noise of the source, bin by bin, is raised less, or
    not at all [dB]; at 0 noise is raised like a voice."""
    smoothing_ms: float = Field(40.0, ge=0, le=1000)
    """Half width of the Hann window that smooths the change over time [ms]."""
    cepstra_weight: float = Field(0.3, ge=0)
    """Weight of the speaker-normalised cepstra and their slope in the search, beside the phone
    posteriors."""
    voicing_weight: float = Field(0.5, ge=0)
    """Distance between a voiced and an unvoiced frame; two frames with nothing else in common are
    about 1.4 apart. Where it rules, a sibilant that the search for F0 calls voiced is made a
    vowel, and bursts where that ends."""


class KnnVcOptions(Config):
    """Options of a conversion."""

    amount: float = Field(1.0, ge=0, le=1.5)
    """How far the voice is moved: 0 leaves it as it is, 1 is the target."""
    pitch: Literal["target", "octave", "keep"] = "target"
    """What F0 becomes: that of the target, in its mean and spread; the source's, moved by the whole
    octaves that bring it nearest to the target, so that singing stays in its key; or the
    source's."""
