"""What came out of a conversion, said in a line."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from vctool.audio import SILENCE_DB, LevelMeter
from vctool.audio.resampling import resample
from vctool.audio.tracks import Track, pieces
from vctool.features.chroma import chroma
from vctool.features.reach import RATE, beyond, certain_f0
from vctool.features.settings import FeatureConfig
from vctool.inference.request import Request
from vctool.metrics.key import CHANCE, find_key, seconds_in
from vctool.metrics.notes import segment
from vctool.metrics.pitch import at_scoring_rate, track

logger = logging.getLogger(__name__)

LEAST_HELD = 0.1
"""Share of an output that must be held notes for these to be spoken of: those of a voice beyond the
tracker's range (`metrics.pitch`) are few, and wrong."""

RANGE_SECONDS = 15.0
"""Length of a recording whose F0 is compared with the model's range [s]."""

STANDS_OUT_DB = 6.0
"""How much further than in the input the loudest sound may lie above the output's level [dB]."""


def tell_choices(requests: list[Request], stretch: float | None, accompanied: bool) -> None:
    """Log what the recipe decides for the user, and what an option does not do.

    Args:
        requests: the conversions that will be made.
        stretch: as the user gave it; None where the recipe decides.
        accompanied: whether there is an accompaniment.
    """
    for request in requests:
        if stretch is None and request.stretch != 1:
            logger.info(
                "to %s, outputs are %g times as long as inputs (convert.stretch of the model's "
                "recipe); --stretch 1 keeps the length",
                *(request.name, request.stretch),
            )
    transpose = requests[0].transpose if requests else 0.0
    if accompanied and transpose % 12:
        logger.info(
            "--transpose %g: moves the voice alone, out of the key of the accompaniment; 12 and "
            "-12 stay in it",
            transpose,
        )


def tell_source(model: Path, recipe: dict[str, Any], to: str | None) -> None:
    """Log whose recordings a model of one pair of speakers was trained to convert."""
    corpus = recipe.get("corpus") or {}
    pair = [corpus.get("source"), corpus.get("target")]
    if None in pair or to not in pair:
        return
    source = pair[1 - pair.index(to)]
    logger.info(
        "%s was trained to turn %s into %s: it expects recordings of %s, and other voices come "
        "out worse",
        *(model, source, to, source),
    )


def tell_range(source: Path, voice: Track, config: FeatureConfig) -> None:
    """Warn of a recording beyond the F0 range in which its model searches.

    Args:
        source: the recording's file.
        voice: the recording, of which the first `RANGE_SECONDS` are measured.
        config: settings of the model's features.
    """
    start = voice.read(0, min(voice.samples, round(RANGE_SECONDS * config.rate)))
    f0 = certain_f0(resample(start, config.rate, RATE))
    low, high = beyond(f0, config.f0_floor, config.f0_ceil)
    for extreme, word, told in (
        (high, "up", f"above the model's features.f0_ceil = {config.f0_ceil:g}: such notes are "
         "taken for unvoiced"),
        (low, "down", f"below the model's features.f0_floor = {config.f0_floor:g}: such frames "
         "are read an octave high"),
    ):  # fmt: skip
        if extreme is not None:
            logger.warning("%s: F0 goes %s to %.0f Hz, %s", source, word, extreme, told)


def in_key(voice: Track, accomp: Track, config: FeatureConfig, chunk: int) -> str:
    """Say how much of a voice lies in the key of its accompaniment.

    Args:
        voice: the output, at the config's rate.
        accomp: the accompaniment, of the same length.
        config: settings of the features.
        chunk: length of the pieces [samples].

    Returns:
        A few words; empty where few notes are held or the accompaniment has no key.
    """
    energy = np.zeros(12)
    for wave in pieces(accomp, chunk):
        energy += chroma(wave, config).sum(axis=0)
    key = find_key(energy)
    if key is None:
        return ""
    inside = held = 0.0
    for wave in pieces(voice, chunk):
        some, every = seconds_in(segment(track(at_scoring_rate(wave, config.rate))), key)
        inside, held = inside + some, held + every
    if held < LEAST_HELD * voice.samples / config.rate:
        return ""
    return (
        f"{inside / held:.0%} of its notes in the accompaniment's key, {key} "
        f"({CHANCE:.0%} by chance)"
    )


def tell_output(
    path: Path, request: Request, seconds: float, rate: int, level_db: float, key: str
) -> None:
    """Log one output.

    Args:
        path: its file.
        request: the conversion.
        seconds: its length [s].
        rate: its sampling rate [Hz].
        level_db: its active level [dB of full scale].
        key: what `in_key` says; may be empty.
    """
    parts = [f"{seconds:.2f} s"]
    if request.stretch != 1:
        parts[0] += f", {request.stretch:g} times the input's"
    parts.append(f"{rate} Hz")
    if level_db > SILENCE_DB:
        parts.append(f"{level_db:.1f} dB")
    logger.info("%s: %s", path, ", ".join([*parts, key] if key else parts))


def tell_loudest(path: Path, output: LevelMeter, source: LevelMeter) -> None:
    """Warn of a sound that stands out of an output further than any does in its source.

    Args:
        path: the output's file.
        output: has measured the output.
        source: has measured the source.
    """
    own, above = output.loudest()
    usual = source.loudest()[1]
    if above > usual + STANDS_OUT_DB:
        logger.warning(
            "%s: at %.2f s a sound is %.0f dB above the level of the others; in the recording none "
            "is by more than %.0f dB",
            *(path, own, above, usual),
        )
