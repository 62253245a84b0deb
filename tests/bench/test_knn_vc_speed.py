"""knn_vc: reading a target, and converting, beside the analysis and synthesis of WORLD alone.

A target of up to five minutes is read once. A source of half a minute is then converted, with its
analysis, search and the vocoder `direct` taken apart.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vctool.audio.tracks import ArrayTrack
from vctool.features import world
from vctool.features.analysis import scan, voice_features
from vctool.inference.converter import Converter

SECONDS = float(os.environ.get("VCTOOL_BENCH_SECONDS", "30"))
ROUNDS = int(os.environ.get("VCTOOL_BENCH_ROUNDS", "2"))
MOST = 0.1
"""Real-time factor that a conversion is to stay below."""


@pytest.fixture(scope="module")
def parts(sentences: Callable[..., Any]) -> tuple[np.ndarray, list[Any]]:
    """Half a minute of a source, and the recordings of a target."""
    said = [one.load(16000) for one in sentences("SF1", 54, "evaluation_all")]
    return np.concatenate(said)[: round(SECONDS * 16000)], sentences("TM3", 81)


def test_a_conversion_and_its_parts(
    parts: tuple[np.ndarray, list[Any]],
    measured: type[Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    wave, target = parts
    monkeypatch.setenv("VCTOOL_CACHE", str(tmp_path))
    converter = Converter("knn_vc", "cpu")
    config, files = converter.features, [one.wav for one in target]
    known = converter.reference(*files)
    kinds = ("world", "phones", "mfcc", "pitch", "wave")
    told = scan(ArrayTrack(wave), config, kinds, len(wave))
    source = voice_features(wave, kinds, config, told)
    request = converter.request(known)
    made = converter.infer(dict(source), None, request)
    coded = source["world"]
    works: dict[str, Callable[[], object]] = {
        "conversion": lambda: converter.convert(wave, config.rate, to=known),
        "its analysis": lambda: voice_features(wave, kinds, config, told),
        "its search": lambda: converter.infer(dict(source), None, request),
        "its vocoder": lambda: converter.synthesise(made, len(wave)),
        "WORLD, analysis and synthesis": lambda: world.synthesise(
            world.analyse(wave, config), config, len(wave)
        ),
        "synthesis by WORLD": lambda: world.synthesise(coded, config, len(wave)),
    }
    costs = measured(works, ROUNDS)
    seconds = len(wave) / config.rate
    print(f"\n{len(known['described'])} frames of a target, {seconds:.0f} s of a source")
    for name, cost in costs.least.items():
        print(f"{name:32}{cost.wall / seconds:8.4f} of real time{cost.cpu / seconds:9.4f} CPU")
    print(f"conversion / WORLD: {costs.ratio('WORLD, analysis and synthesis', 'conversion')}")
    print(f"target: {MOST:g} of real time at most")


def test_reading_a_target(
    parts: tuple[np.ndarray, list[Any]],
    measured: type[Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    converter, numbers = Converter("knn_vc", "cpu"), iter(range(100))
    files = [one.wav for one in parts[1]][:40]
    seconds = sum(len(one.load(16000)) for one in parts[1][:40]) / 16000

    def anew() -> None:
        monkeypatch.setenv("VCTOOL_CACHE", str(tmp_path / str(next(numbers))))
        converter.reference(*files)

    def again() -> None:
        converter.reference(*files)

    costs = measured({"anew": anew, "from the cache": again}, ROUNDS)
    print(f"\n{len(files)} recordings, {seconds:.0f} s")
    for name, cost in costs.least.items():
        print(f"{name:16}{cost.wall:7.2f} s{cost.cpu:7.2f} s CPU")
