"""timbre_vqvae, trained: proof G6, on renderings of the test tunes of its corpus.

It runs in the folder that has its `data/` and `dump/`, of a trained experiment:
`VCTOOL_BENCH_TIMBRE=exp/nottingham_timbre_vqvae`.
"""

import os
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from vctool.corpora.midi import rendering, soundfonts, stretches
from vctool.corpora.midi.score import Note, Track
from vctool.data.datadir import DataDir, Utterance
from vctool.engine import checkpoint
from vctool.experiment import recipe
from vctool.features import framing
from vctool.features.base import Features
from vctool.models.timbre_vqvae.system import System

PLACE = os.environ.get("VCTOOL_BENCH_TIMBRE")
NAME = os.environ.get("VCTOOL_BENCH_RECIPE", "nottingham_timbre_vqvae")
MOVES = (5, -5)
"""The other transpositions [semitones]."""
TUNES = int(os.environ.get("VCTOOL_BENCH_TUNES", "6"))
LEAST = 0.95


@pytest.fixture(scope="module")
def system() -> System:
    if PLACE is None:
        pytest.skip("VCTOOL_BENCH_TIMBRE names no trained timbre_vqvae")
    torch.set_num_threads(1)
    return cast(System, checkpoint.load(Path(PLACE))[0])


@pytest.fixture(scope="module")
def data() -> DataDir:
    one = recipe.load(NAME)
    (corpus,) = one.corpus.names
    return DataDir.read(one.data(corpus, one.evaluate.split))


def heard(system: System, wave: np.ndarray) -> Features:
    return {"wave": framing.frame(wave.astype(np.float32), system.context.features)}


def test_an_instrument_is_known_at_another_pitch(system: System, data: DataDir) -> None:
    """Styles of one program at two transpositions beside that of another at the same pitch."""
    font = soundfonts.require(soundfonts.FLUID)
    tunes = sorted({one.stretch for one in data if one.stretch and "mono" in one.stretch})[:TUNES]
    rate = system.context.features.rate

    def style(notes: np.ndarray, program: int, move: int) -> np.ndarray:
        played = tuple(Note(float(a), float(b), int(p) + move, 90) for a, b, p in notes[:, :3])
        job = rendering.Rendering((Track("", program, False, played),), font, rate, 8.0)
        return system.reference([heard(system, rendering.render(job))])["style"]

    shares = {}
    for what, programs in (("seen", stretches.SEEN), ("unheard", stretches.UNHEARD)):
        won = []
        for tune in tunes:
            name = next(one.id for one in data if one.stretch == tune)
            notes = np.array(data.notes_of(name))
            low = {one: style(notes, one, 0) for one in programs}
            for one, other in pairwise((*programs, programs[0])):
                apart = np.linalg.norm(low[one] - low[other])
                won += [np.linalg.norm(low[one] - style(notes, one, by)) < apart for by in MOVES]
        shares[what] = np.mean(won)
        print(f"\n{what} programs: nearer in {np.sum(won)} of {len(won)}, {shares[what]:.3f}")
    assert min(shares.values()) >= LEAST, shares  # once all are told


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Return the cosine of two activities (PITCHES, F), whatever their sizes."""
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) / max(size, 1e-9)


def test_codes_of_one_stretch_agree_more_than_of_two(system: System, data: DataDir) -> None:
    by_stretch: dict[str, list[Utterance]] = {}
    for one in data:
        if one.stretch:
            by_stretch.setdefault(one.stretch, []).append(one)
    pairs = [found[:2] for found in by_stretch.values() if len(found) > 1][:40]

    def code(one: Utterance) -> np.ndarray:
        wave = one.load(system.context.features.rate)
        return system._content(heard(system, wave)).active[0].numpy()

    codes = [(code(one), code(other)) for one, other in pairs]
    won = []
    for (first, same), (another, _) in pairwise([*codes, codes[0]]):
        frames = min(len(each.T) for each in (first, same, another))
        won.append(
            likeness(first[:, :frames], same[:, :frames])
            > likeness(first[:, :frames], another[:, :frames])
        )
    print(f"\ncodes of one stretch agree more than of two in {np.mean(won):.3f} of {len(won)}")
    assert np.mean(won) >= LEAST
