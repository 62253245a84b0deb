"""WORLD features in one process and in two, and the F0 estimators on labelled voices.

`VCTOOL_BENCH_UTTERANCES` is how many utterances are analysed, and `VCTOOL_BENCH_CLIPS` how many
labelled clips are searched for F0.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from swift_f0 import SwiftF0

from vctool import audio
from vctool.data.extraction import Result, Task, Workers
from vctool.features import world
from vctool.features.settings import FeatureConfig

UTTERANCES = int(os.environ.get("VCTOOL_BENCH_UTTERANCES", "96"))
CLIPS = int(os.environ.get("VCTOOL_BENCH_CLIPS", "24"))
ROUNDS = int(os.environ.get("VCTOOL_BENCH_ROUNDS", "2"))
TARGET = 1.8

SUNG_CEIL = 1000.0
"""Highest F0 that is searched for in singing [Hz]."""
LABEL_SECONDS = 0.02
"""Step between MIR-1K's labels, which are of frames of 40 ms: the first is centred on 20 ms."""
VOICE = 1
"""The right channel holds the voice."""
CONFIDENCES = 0.5, 0.7
"""Least confidence of a voiced frame, by swift-f0 alone; 0.5 is the package's own."""
WRONG_CENTS = 50.0
"""An estimate further than this from the truth is wrong, by the usual measure of sung pitch."""
GROSS = 0.2
"""An estimate further than this from the truth is a gross error (Rabiner et al., 1976)."""


def test_two_processes(
    sentences: Callable[..., Any],
    speech_features: FeatureConfig,
    measured: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Target: 1.8 times less time with two processes on two cores.

    What stage 2 computes: F0 in the wide range, then everything in the voice's own. Processes are
    started once for a whole recipe; the time with their start is printed too.
    """
    each = -(-UTTERANCES // 2)
    wide = speech_features.wide_range
    tasks = [
        Task(one, ("f0", "world"), speech_features, *wide)
        for speaker in ("SF1", "TM3")
        for one in sentences(speaker, each)
    ]
    found: dict[str, list[Result]] = {}

    def anew() -> None:
        with Workers(2) as started:
            found["anew"] = list(started.attempt_all(tasks))

    with Workers(1) as one, Workers(2) as two:
        works: dict[str, Callable[[], object]] = {
            "one": lambda: found.update(one=list(one.attempt_all(tasks))),
            "two": lambda: found.update(two=list(two.attempt_all(tasks))),
            "anew": anew,
        }
        least = measured(works, ROUNDS).least
    seconds = sum(len(result.features["f0"]) for result in found["one"])
    seconds /= speech_features.frame_rate
    alone = least["one"].wall
    with capsys.disabled():
        print(f"\nWORLD features of {len(tasks)} utterances, {seconds:.0f} s of speech:")
        print(f"  real-time factor {alone / seconds:.4f} in one process; ", end="")
        print(f"two processes take {alone / least['two'].wall:.2f} times less (target {TARGET}), ")
        print(f"  {alone / least['anew'].wall:.2f} times less with their start")
    for results in found.values():
        for mine, other in zip(found["one"], results, strict=True):
            assert not mine.reason and mine.name == other.name
            for kind, values in mine.features.items():
                np.testing.assert_array_equal(values, other.features[kind])


class Voiced(NamedTuple):
    """One clip's labels against one estimate of its F0."""

    truth: np.ndarray
    """(K,) [Hz], 0 where unvoiced."""
    f0: np.ndarray
    """(K,) [Hz], 0 where unvoiced."""


class Confident(NamedTuple):
    """What swift-f0 says of one clip."""

    f0: np.ndarray
    """(F,) [Hz], in every frame."""
    confidence: np.ndarray
    """(F,) that it is right, 0..1."""


def labelled(folder: Path, count: int) -> list[tuple[Path, np.ndarray]]:
    """Choose labelled clips, evenly over all: each with its F0 (K,) [Hz], 0 where unvoiced."""
    clips = [
        (wave, folder / "PitchLabel" / f"{wave.stem}.pv")
        for wave in sorted((folder / "Wavfile").glob("*.wav"))
    ]
    clips = [clip for clip in clips if clip[1].is_file()]
    chosen = [clips[i] for i in np.linspace(0, len(clips) - 1, min(count, len(clips))).astype(int)]
    made = []
    for wave, label in chosen:
        notes = np.loadtxt(label)
        made.append((wave, np.where(notes > 0, 440.0 * 2 ** ((notes - 69.0) / 12.0), 0.0)))
    return made


def errors(found: list[Voiced]) -> str:
    """Tell the errors of an estimator over all clips.

    Gross errors are counted among the frames that both call voiced, by either of two definitions;
    missed frames are a share of those that are voiced, false ones of those that are not.
    """
    truth = np.concatenate([one.truth for one in found])
    f0 = np.concatenate([one.f0 for one in found])
    both = (truth > 0) & (f0 > 0)
    ratio = f0[both] / truth[both]
    cents = 1200.0 * np.abs(np.log2(ratio))
    missed, false = (f0 == 0)[truth > 0], (f0 > 0)[truth == 0]
    return (
        f"{100 * (cents > WRONG_CENTS).mean():.2f} % off by {WRONG_CENTS:.0f} cents, "
        f"{100 * (abs(ratio - 1) > GROSS).mean():.2f} % by a fifth, {np.median(cents):.0f} cents "
        f"in the median; {100 * missed.mean():.1f} % missed, {100 * false.mean():.1f} % false"
    )


def wrong_frames(found: list[Voiced]) -> int:
    """Count the frames that both call voiced and that lie further off than `WRONG_CENTS`."""
    count = 0
    for one in found:
        both = (one.truth > 0) & (one.f0 > 0)
        cents = 1200.0 * np.abs(np.log2(one.f0[both] / one.truth[both]))
        count += int((cents > WRONG_CENTS).sum())
    return count


def network_alone(wave: np.ndarray, config: FeatureConfig, floor: float) -> Confident:
    """Estimate F0 by swift-f0 without DIO."""
    found = SwiftF0(threads=1, spin=False).detect(wave, config.rate, floor, SUNG_CEIL)
    times = np.arange(config.frames(len(wave))) / config.frame_rate
    pitch = np.exp2(np.interp(times, found.timestamps, np.log2(found.pitch_hz)))
    return Confident(pitch, np.interp(times, found.timestamps, found.confidence))


def test_f0_estimators(
    shared_data: Path,
    speech_features: FeatureConfig,
    measured: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The estimators against MIR-1K's labels, which are of singing; swift-f0 also by itself.

    Targets: `swift_f0` makes at most two thirds of the gross errors of `dio`, and voices the same.
    """
    clips = labelled(shared_data / "MIR-1K", CLIPS)
    rate, floor = speech_features.rate, speech_features.f0_floor
    waves = [audio.read(path, rate, channel=VOICE)[0] for path, _ in clips]
    found: dict[str, list[Voiced]] = {}

    def against_labels(contours: list[np.ndarray]) -> list[Voiced]:
        made = []
        for f0, (_, truth) in zip(contours, clips, strict=True):
            places = LABEL_SECONDS * np.arange(1, len(truth) + 1) * speech_features.frame_rate
            made.append(Voiced(truth, f0[np.minimum(np.rint(places).astype(int), len(f0) - 1)]))
        return made

    def search(name: str) -> None:
        config = speech_features.model_copy(update={"f0_estimator": name})
        contours = [world.estimate_f0(wave, config, floor, SUNG_CEIL) for wave in waves]
        found[name] = against_labels(contours)

    def search_alone() -> None:
        alone = [network_alone(wave, speech_features, floor) for wave in waves]
        for least in CONFIDENCES:
            contours = [np.where(one.confidence >= least, one.f0, 0.0) for one in alone]
            found[f"swift-f0 alone, voiced from {least}"] = against_labels(contours)

    works: dict[str, Callable[[], object]] = {
        name: lambda name=name: search(name) for name in ("harvest", "dio", "swift_f0")
    }
    works["swift-f0 alone"] = search_alone
    costs = measured(works, 1)
    seconds = sum(map(len, waves)) / rate
    with capsys.disabled():
        print(f"\nF0 of {len(clips)} labelled clips, {seconds:.0f} s, {floor:g}-{SUNG_CEIL:g} Hz:")
        for name, results in found.items():
            print(f"  {name}: {errors(results)}")
        for name, cost in costs.least.items():
            print(f"  {name}: real-time factor {cost.cpu / seconds:.4f}")
        print(f"  dio: {costs.ratio('dio', 'harvest')}")
    for results in found.values():
        voiced = np.concatenate([one.f0[one.truth > 0] for one in results])
        assert (voiced > 0).mean() > 0.5
    wrong = {name: wrong_frames(found[name]) for name in ("dio", "swift_f0")}
    assert wrong["swift_f0"] < wrong["dio"] * 2 / 3
    for one, other in zip(found["dio"], found["swift_f0"], strict=True):
        np.testing.assert_array_equal(one.f0 > 0, other.f0 > 0)
