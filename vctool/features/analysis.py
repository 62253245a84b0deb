"""Feature extraction from recordings of any length, with the same values as in the dump.

Features depend on the whole utterance in two ways: a kind may need a global value, such as the
maximum of the log-mel, which sets its floor (`FeatureKind.survey`), and F0 is searched in the
voice's own range. So a first pass scans a long recording piece by piece (`scan`) before its blocks
are analysed. Where the recording is a single piece, results of the scan are reused.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vctool.audio import SILENCE_DB, LevelMeter
from vctool.audio.loudness import SILENT_SWING
from vctool.audio.tracks import Track, pieces
from vctool.features import base as registry
from vctool.features.base import F0Range, Features
from vctool.features.excerpt import Excerpt
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats, estimate, f0_range, voiced

F0_SECONDS = 120.0
"""Voiced time that suffices to estimate a voice's F0 range [s]."""


class Scan(NamedTuple):
    """What must be known of a whole recording before a part of it can be analysed."""

    level_db: float
    """Active level [dB of full scale]."""
    silent: bool
    """Whether the recording is silent."""
    f0_range: F0Range
    """The voice's own; the wide range where no kind needs it or no frame is voiced."""
    known: Mapping[str, Any]
    """Global values of each kind (`FeatureKind.survey`)."""
    single: Excerpt | None
    """The recording with its cached analyses, where it is a single piece."""
    voice: SpeakerStats | None
    """F0 statistics of the whole, where it is several pieces and F0 was found; from the first
    `F0_SECONDS` of voiced sound."""


def scan(
    track: Track,
    config: FeatureConfig,
    kinds: Sequence[str],
    block: int,
    *,
    voiced_too: bool = False,
) -> Scan:
    """Scan a recording once.

    Args:
        track: the recording, at the config's rate.
        config: the feature settings.
        kinds: the kinds to be extracted later; with the prefix `accomp_` for an accompaniment,
            which has no voice and so no F0 range of its own.
        block: length of a piece [samples]; a recording up to this length is analysed whole.
        voiced_too: whether `voicing` will be called too.
    """
    meter = LevelMeter(config.rate)
    lowest, highest = np.inf, -np.inf
    known: dict[str, Any] = dict.fromkeys(kinds)
    f0s: list[np.ndarray] = []
    voiced_frames = 0
    pitched = voiced_too or any(
        registry.get(kind).in_voice_range for kind in registry.voice_kinds(kinds)
    )
    part = None
    for wave in pieces(track, block):
        part = Excerpt(wave, config)
        meter.add(wave)
        lowest, highest = min(lowest, float(wave.min())), max(highest, float(wave.max()))
        for kind in kinds:
            known[kind] = registry.get(kind).survey(part, known[kind])
        if pitched and voiced_frames < F0_SECONDS * config.frame_rate:
            f0s.append(part.f0(config.wide_range))
            voiced_frames += len(voiced(f0s[-1:]))
    level = meter.level_db
    silent = highest - lowest < SILENT_SWING or level <= SILENCE_DB
    # A whisper has no range of its own; the wide range finds no F0 in it either.
    own = F0Range(*f0_range(f0s, config)) if voiced_frames else config.wide_range
    single = part if track.samples <= block else None
    voice = estimate(f0s, own.floor, own.ceil) if voiced_frames and single is None else None
    return Scan(level, silent, own, known, single, voice)


def analyse(
    part: Excerpt, kinds: Sequence[str], known: Mapping[str, Any], f0_range: F0Range
) -> Features:
    """Analyse a recording, or a part of one, into (F, D) float32 by kind.

    Args:
        part: the sound to analyse.
        kinds: the kinds; with the prefix `accomp_` for an accompaniment.
        known: global values of the whole recording by kind.
        f0_range: the voice's own; not used for an accompaniment.
    """
    config, result = part.config, {}
    for kind in kinds:
        one = registry.get(kind)
        wanted = config.wide_range if registry.of_accompaniment(kind) else f0_range
        values = one.extract(part, known[kind], wanted)
        expected = config.frames(len(part.wave)), one.width(config)
        assert values.shape == expected and values.dtype == np.float32, (
            f"{kind}: {values.dtype} of shape {values.shape}; its file promises {expected}"
        )
        result[kind] = values
    return result


def whole_features(part: Excerpt, kinds: Sequence[str], f0_range: F0Range) -> Features:
    """Analyse a whole recording, as the dump holds it, into (F, D) float32 by kind."""
    known = {kind: registry.get(kind).survey(part, None) for kind in kinds}
    return analyse(part, kinds, known, f0_range)


def voice_features(
    wave: np.ndarray, kinds: Sequence[str], config: FeatureConfig, known: Scan
) -> Features:
    """Analyse a recording, or a block of one.

    Args:
        wave: (T,) at the config's rate.
        kinds: some of those given to `scan`.
        config: the feature settings.
        known: the scan of the whole recording.

    Returns:
        By kind (F, D) float32, F = 1 + T // hop_length.
    """
    return analyse(_excerpt(wave, config, known), kinds, known.known, known.f0_range)


def voicing(wave: np.ndarray, features: Features, config: FeatureConfig, known: Scan) -> np.ndarray:
    """Return which frames are voiced, (F,) bool, from F0 in the features or else from the wave."""
    f0 = registry.f0_of(features)
    if f0 is None:
        f0 = _excerpt(wave, config, known).f0(known.f0_range)
    voiced_frames: np.ndarray = f0 > 0
    return voiced_frames


def _excerpt(wave: np.ndarray, config: FeatureConfig, known: Scan) -> Excerpt:
    """Return the scanned recording with its cached analyses if the wave is all of it."""
    single = known.single
    if single is not None and single.config == config and np.array_equal(single.wave, wave):
        return single
    return Excerpt(wave, config)
