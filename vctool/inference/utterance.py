"""Conversion of one held-out utterance, in this process or on a cluster's worker."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from vctool.audio.tracks import ArrayTrack
from vctool.data.store import Entry
from vctool.errors import DataError
from vctool.features.analysis import Scan, scan, voicing
from vctool.features.base import Features
from vctool.inference.blocks import Block
from vctool.inference.converter import Converter
from vctool.inference.pairs import Pair
from vctool.inference.request import Request
from vctool.inference.stretch import TimeMap, block_warp, resample


class Prepared(NamedTuple):
    """The model's input for one utterance."""

    name: str
    samples: int
    """Length of the output [samples]."""
    level_db: float
    """Active level of the source [dB of full scale]."""
    source: Features
    condition: Features | None
    warp: TimeMap


class Outcome(NamedTuple):
    """Result of converting one utterance."""

    name: str
    samples: int
    """Length of the output [samples]."""
    level_db: float
    """Active level of the source [dB of full scale]."""
    warp: TimeMap
    features: Features
    """The vocoder's input by kind, (F, D) float32; empty where conversion was not wanted."""


class WorkerTask(NamedTuple):
    """One utterance with all that a worker needs to load the model."""

    experiment: Path
    """Absolute path: a worker may run in another folder."""
    model: str
    """Hash of the checkpoint, so that a worker never uses a cached older one."""
    device: str
    vocoder: str
    """A name, or an absolute path."""
    threads: int
    """Number of torch threads; with the same number, sums round the same way."""
    features: dict[str, Entry]
    """Store entries of the source's features, by kind; absolute paths."""
    pair: Pair
    request: Request
    wanted: bool
    """Whether to convert, or only to return the output's length and level."""


def prepare(
    converter: Converter, features: Mapping[str, Entry], pair: Pair, request: Request
) -> Prepared:
    """Load and stretch the source of one utterance, and load its conditioning.

    Args:
        converter: the model.
        features: store entries of the source's features, by kind.
        pair: the source, and the utterance whose accompaniment it is converted under.
        request: the options of the conversion.

    Raises:
        DataError: the recording changed since its features were computed.
    """
    config = converter.features
    wave = pair.source.load(config.rate)
    known = scan(ArrayTrack(wave), config, (), len(wave))
    source = {kind: entry.read() for kind, entry in features.items()}
    frames = config.frames(len(wave))
    for kind, values in source.items():
        if len(values) != frames:
            raise DataError(
                f"{pair.source.id}: {len(values)} frames of {kind} for {frames} of sound; the "
                "recording changed: run stage 2 (features) again"
            )
    block = Block(0, 0, len(wave), len(wave))
    voiced = _voiced(wave, source, converter, known, request)
    warp = block_warp(voiced, block, request, config.hop_length)
    samples = request.samples(len(wave))
    if request.stretch != 1:
        source = resample(source, warp.positions(config.frames(samples), frames), config)
    condition = None
    if pair.target is not None and converter.needs_accompaniment(request.to):
        accomp = pair.target.load_accomp(config.rate, samples)
        condition = converter.condition(accomp)
    return Prepared(pair.id, samples, known.level_db, source, condition, warp)


def finish(converter: Converter, one: Prepared, request: Request, wanted: bool) -> Outcome:
    """Run the model on a prepared utterance, if conversion is wanted."""
    features: Features = {}
    if wanted:
        features = converter.infer(one.source, one.condition, request)
    return Outcome(one.name, one.samples, one.level_db, one.warp, features)


def work(job: WorkerTask) -> Outcome:
    """Convert one utterance on a worker; the last model stays loaded."""
    torch.set_num_threads(job.threads)
    converter = _converter(job.experiment, job.model, job.device, job.vocoder)
    prepared = prepare(converter, job.features, job.pair, job.request)
    return finish(converter, prepared, job.request, job.wanted)


@lru_cache(maxsize=1)
def _converter(experiment: Path, model: str, device: str, vocoder: str) -> Converter:
    return Converter(experiment, device, vocoder)


def _voiced(
    wave: np.ndarray, source: Features, converter: Converter, known: Scan, request: Request
) -> np.ndarray:
    frames = converter.features.frames(len(wave))
    if request.stretch == 1:  # the map is the identity, so voicing does not matter
        return np.ones(frames, bool)
    return voicing(wave, source, converter.features, known)
