"""Convert features to the channels that the networks see, and back.

The voice is one matrix of channels. `bands` is the spectral envelope on the mel scale in dB: the
log-mel itself, or WORLD's coded envelope read at mel-spaced bands. With WORLD features the coded
aperiodicities [dB] and four rows of pitch follow. Levels are relative to the utterance's own
loud frames, so that a quiet recording and a loud one look alike.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vctool.errors import ConfigError
from vctool.features import world
from vctool.features.interpolation import at_positions
from vctool.features.mel import mel_frequencies
from vctool.features.settings import FeatureConfig
from vctool.models.vocal_cyclegan.melody import contour, interpolate_f0, midi_to_hz

DB_PER_NEPER = 10.0 / np.log(10.0)
LOUD_PERCENTILE = 95.0
"""Percentile of the frame levels that counts as an utterance's level."""


@dataclass(frozen=True)
class Layout:
    """The meaning of the voice's channels."""

    kind: Literal["mel", "world"]
    bands: int
    aperiodicities: int
    frequencies: tuple[float, ...]
    """Centre of every band, then of every aperiodicity [Hz]."""

    @property
    def spectrum(self) -> int:
        """Channels that the Wave-U-Net converts: bands and aperiodicities."""
        return self.bands + self.aperiodicities

    @property
    def channels(self) -> int:
        """All channels of the voice."""
        return self.spectrum + (4 if self.kind == "world" else 0)

    @property
    def note(self) -> int:
        """Channel of the interpolated F0 [MIDI note]."""
        return self.spectrum

    @property
    def voiced(self) -> int:
        """Channel of voicing, 0 or 1."""
        return self.spectrum + 1

    @property
    def contour(self) -> int:
        """Channel of the pitch contour; see `melody.contour`."""
        return self.spectrum + 2

    @property
    def mean_note(self) -> int:
        """Channel that holds the utterance's mean F0 in every frame [MIDI note]."""
        return self.spectrum + 3


def layout(kind: Literal["mel", "world"], config: FeatureConfig) -> Layout:
    """Return the channel layout for one kind of voice features."""
    if kind == "mel":
        return Layout("mel", config.n_mels, 0, tuple(mel_frequencies(config)[1:-1].tolist()))
    if config.envelope_coding != "world":
        raise ConfigError(
            f"features: envelope_coding = {config.envelope_coding}: vocal_cyclegan reads mel bands "
            "out of WORLD's own coding; set features.envelope_coding=world"
        )
    noise = world.aperiodicity_frequencies(config)
    centres = np.concatenate([world.band_frequencies(config), noise])
    return Layout("world", config.envelope_dim, len(noise), tuple(centres.tolist()))


def to_channels(features: np.ndarray, shape: Layout, config: FeatureConfig) -> np.ndarray:
    """Make the channels of one utterance.

    Args:
        features: (F, D) of the layout's kind.
        shape: the channel layout.
        config: the features' settings.

    Returns:
        (F, C) float32.
    """
    if shape.kind == "mel":
        bands = features.astype(np.float32)
        return floored(bands - level(bands), config.top_db)
    f0, coded, aperiodicity = world.split(features, config)
    bands = (DB_PER_NEPER * (coded @ world.envelope_basis(config))).astype(np.float32)
    bands = floored(bands - level(bands), config.top_db)
    voiced = f0 > 0
    notes = interpolate_f0(f0)
    shared, mean = contour(notes, voiced, config.frame_rate)
    pitch = [notes, voiced.astype(np.float32), shared, np.full(len(f0), mean, np.float32)]
    return np.concatenate([bands, aperiodicity, np.stack(pitch, axis=1)], axis=1, dtype=np.float32)


def from_channels(
    spectrum: np.ndarray,
    notes: np.ndarray | None,
    voiced: np.ndarray | None,
    level_db: float,
    shape: Layout,
    config: FeatureConfig,
) -> np.ndarray:
    """Turn converted channels back into features.

    Args:
        spectrum: (F, bands + aperiodicities) [dB], relative to the utterance's level.
        notes: (F,) MIDI notes, or None for mel.
        voiced: (F,) bool, or None for mel.
        level_db: the level to restore [dB].
        shape: the channel layout.
        config: the features' settings.

    Returns:
        (F, D) float32 of the layout's kind.
    """
    bands = spectrum[:, : shape.bands] + level_db
    if shape.kind == "mel":
        return bands.astype(np.float32)
    assert notes is not None and voiced is not None
    f0 = np.where(voiced, midi_to_hz(notes), 0.0)
    coded = (bands / DB_PER_NEPER) @ world.envelope_basis(config).T / shape.bands
    # WORLD codes aperiodicity in dB; more than full is meaningless to its decoder.
    aperiodicity = np.minimum(spectrum[:, shape.bands :], 0.0)
    return world.join(f0, coded, aperiodicity)


def at_all_frames(
    made: np.ndarray,
    notes: np.ndarray,
    voiced: np.ndarray,
    channels: np.ndarray,
    followed: np.ndarray,
    stride: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bring what was made at every `stride`-th frame of a source to all its frames.

    Args:
        made: (ceil(F / stride), D) [dB].
        notes: (ceil(F / stride),) MIDI notes.
        voiced: (ceil(F / stride),) bool.
        channels: (F, C) of the source, the first D as in `made`.
        followed: (D,) bool: channels whose change from the source is interpolated, so that what
            moves faster than every `stride`-th frame shows is the source's.
        stride: frames of the features in one frame of the networks.

    Returns:
        The same three at all frames: (F, D), (F,) and (F,) bool.
    """
    at = np.minimum(np.arange(len(channels)) / stride, len(made) - 1)
    base = channels[:, : made.shape[1]] * followed
    change = at_positions(made - base[::stride], at)
    pitch = at_positions(np.stack([notes, voiced], axis=1), at)
    return base + change, pitch[:, 0], pitch[:, 1] > 0.5


def level(bands: np.ndarray) -> float:
    """Return an utterance's level: a high percentile of its frames' mean power [dB]."""
    frames = 10.0 * np.log10(np.mean(10.0 ** (bands.astype(np.float64) / 10.0), axis=1) + 1e-12)
    return float(np.percentile(frames, LOUD_PERCENTILE))


def voice_level(features: np.ndarray, shape: Layout, config: FeatureConfig) -> float:
    """Return the level that `to_channels` subtracts [dB]."""
    if shape.kind == "mel":
        return level(features)
    _, coded, _ = world.split(features, config)
    return level(DB_PER_NEPER * (coded @ world.envelope_basis(config)))


def floored(bands: np.ndarray, top_db: float) -> np.ndarray:
    """Raise everything that lies more than `top_db` below the maximum to that floor."""
    return np.maximum(bands, bands.max() - top_db)


def to_condition(mel: np.ndarray, chroma: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Make the condition's channels: log-mel relative to its level [dB], then chroma.

    Args:
        mel: (F, n_mels) [dB].
        chroma: (F, 12), each frame sums to one.
        config: the features' settings.

    Returns:
        (F, n_mels + 12) float32.
    """
    bands = floored(mel - level(mel), config.top_db)
    return np.concatenate([bands, chroma], axis=1, dtype=np.float32)
