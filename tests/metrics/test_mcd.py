"""Mel-cepstral distortion: golden values, and what it must not depend on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from vctool.features.mcep import warp
from vctool.metrics import mcd
from vctool.metrics.alignment import align
from vctool.metrics.voice_analysis import ALPHA, VoiceAnalysis, analyse, analyse_all

Voice = Callable[..., np.ndarray]


def utterance(seed: int, frames: int) -> VoiceAnalysis:
    rng = np.random.default_rng(seed)
    shape = rng.standard_normal((frames, 25)).cumsum(axis=0) / 3
    return VoiceAnalysis(
        np.full(frames, 100.0), shape, np.zeros((frames, 40)), np.full(frames, True), frames / 100
    )


def reference_path(cost: np.ndarray) -> list[tuple[int, int]]:
    """Find the cheapest path by the textbook recursion."""
    total = np.full((cost.shape[0] + 1, cost.shape[1] + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(cost.shape[0]):
        for j in range(cost.shape[1]):
            total[i + 1, j + 1] = cost[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    i, j = cost.shape
    path = []
    while i > 0:
        path.append((i - 1, j - 1))
        steps = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        i, j = min(steps, key=lambda step: total[step])
    return path[::-1]


def test_an_utterance_is_no_distance_from_itself(voice: Voice) -> None:
    one = analyse(voice(0), 16000)
    assert mcd.mcd(one, one) == 0.0
    assert mcd.mcd(one, analyse(voice(1), 16000)) > 1.0


def test_a_constant_shift_has_its_known_distortion() -> None:
    one = utterance(0, 80)
    for places, shift in (([1], 0.1), ([24], -0.2), ([3, 7, 11], 0.05)):
        moved = one.mcep.copy()
        moved[:, places] += shift
        known = 10 / np.log(10) * np.sqrt(2 * len(places) * shift**2)
        same = np.arange(80)
        other = replace(one, mcep=moved)
        assert mcd.mcd(one, other, (same, same)) == pytest.approx(known, rel=1e-9)
        assert mcd.mcd(one, other) <= known + 1e-9  # warping may only help
    louder = one.mcep + np.eye(25)[0]
    assert mcd.mcd(one, replace(one, mcep=louder)) == 0.0


def test_a_filter_of_known_cepstrum_has_its_known_distortion(voice: Voice) -> None:
    wave = voice(1, 100.0)
    warped = warp(np.linspace(0, np.pi, len(wave) // 2 + 1), ALPHA)
    filtered = np.fft.irfft(np.fft.rfft(wave) * np.exp(0.3 * np.cos(2 * warped)))
    known = 10 / np.log(10) * np.sqrt(2) * 0.3
    assert mcd.mcd(analyse(wave, 16000), analyse(filtered, 16000)) == pytest.approx(known, rel=0.06)


def test_level_and_silence_around_change_nothing(voice: Voice) -> None:
    one, other = voice(0), voice(1)
    target = analyse(other, 16000)
    plain = mcd.mcd(analyse(one, 16000), target)
    assert mcd.mcd(analyse(0.01 * one, 16000), target) == pytest.approx(plain, abs=1e-6)
    padded = analyse(np.concatenate([np.zeros(9600), one, np.zeros(4800)]), 16000)
    assert mcd.mcd(padded, target) == pytest.approx(plain, abs=0.02)
    assert mcd.mcd(padded, analyse(one, 16000)) < 0.05
    # A start between two frames moves the grid by 6 ms, no more.
    shifted = analyse(np.concatenate([np.zeros(9700), one]), 16000)
    assert mcd.mcd(shifted, analyse(one, 16000)) < 0.5


def test_a_known_warp_is_found_and_forgiven() -> None:
    one = utterance(2, 60)
    stretch = np.repeat(np.arange(60), np.random.default_rng(3).integers(1, 4, 60))
    slow = replace(
        one, mcep=one.mcep[stretch], active=one.active[stretch], f0=one.f0[stretch], seconds=1.0
    )
    i, j = align(one, slow)
    np.testing.assert_array_equal(i, stretch)
    np.testing.assert_array_equal(j, np.arange(len(stretch)))
    assert mcd.mcd(one, slow) == 0.0


def test_the_path_is_the_cheapest_and_counts_among_all_frames() -> None:
    one, other = utterance(4, 40), utterance(5, 33)
    active = np.arange(40) % 5 > 0
    one = replace(one, active=active)
    cost = np.linalg.norm(one.mcep[active, None, 1:] - other.mcep[None, :, 1:], axis=2)
    expected = np.array(reference_path(cost))
    i, j = align(one, other)
    np.testing.assert_array_equal(i, np.flatnonzero(active)[expected[:, 0]])
    np.testing.assert_array_equal(j, expected[:, 1])
    assert mcd.mcd(one, other) == pytest.approx(
        10 / np.log(10) * np.sqrt(2) * cost[tuple(expected.T)].mean()
    )
    assert mcd.mcd(one, other) == pytest.approx(mcd.mcd(other, one))


def test_a_system_is_the_mean_of_its_utterances() -> None:
    outputs = [utterance(seed, 30 + 20 * seed) for seed in range(3)]
    targets = [utterance(seed + 10, 40) for seed in range(3)]
    values = [mcd.mcd(a, b) for a, b in zip(outputs, targets, strict=True)]
    pooled = mcd.pooled(outputs, targets)
    assert pooled.value == pytest.approx(np.mean(values))
    np.testing.assert_allclose(pooled.finish(pooled.sums), values)


def test_the_settings_are_told() -> None:
    for part in ("order 24", "alpha 0.42", "c0 left out", "40 dB", "time warping"):
        assert part in mcd.SETTINGS


def test_real_speakers_differ_by_what_is_said_but_not_by_silence_or_rate(shared_data: Path) -> None:
    folder = shared_data / "VCC2016" / "evaluation_all"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    spoken, wanted = (
        [soundfile.read(path)[0] for path in sorted((folder / name).glob("*.wav"))[:6]]
        for name in ("SF1", "TM3")
    )
    source, target = analyse_all(spoken, 16000), analyse_all(wanted, 16000)
    right = mcd.pooled(source, target).value
    assert 8.0 < right < 11.0  # where copies of this challenge lie
    assert mcd.pooled(source, [*target[1:], target[0]]).value > right + 0.5
    later = [np.concatenate([np.zeros(7777), wave]) for wave in spoken]
    faster = [soxr.resample(wave, 16000, 22050) for wave in spoken]
    for waves, rate in ((later, 16000), (faster, 22050)):
        again = mcd.pooled(analyse_all(waves, rate), target).value
        assert again == pytest.approx(right, abs=0.1)
    assert mcd.pooled(analyse_all(faster, 22050), source).value < 0.1
