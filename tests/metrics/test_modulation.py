"""Global variance and modulation spectrum: known answers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import convolve1d, uniform_filter1d

from vctool.metrics import modulation
from vctool.metrics.voice_analysis import VoiceAnalysis


def utterance(seed: int, frames: int = 300) -> VoiceAnalysis:
    rng = np.random.default_rng(seed)
    shape = convolve1d(rng.standard_normal((frames, 25)), [0.2, 0.6, 0.2], axis=0)
    return VoiceAnalysis(
        np.zeros(frames), shape, np.zeros((frames, 40)), np.full(frames, True), frames / 100
    )


def damped(one: VoiceAnalysis, share: float) -> VoiceAnalysis:
    mean = one.mcep.mean(axis=0)
    return replace(one, mcep=mean + share * (one.mcep - mean))


TARGET = [utterance(seed) for seed in range(10)]


def test_a_copy_of_the_target_is_natural() -> None:
    assert modulation.variance_ratio(TARGET, TARGET).value == pytest.approx(1.0)
    assert modulation.distance(TARGET, TARGET).value == pytest.approx(0.0, abs=1e-12)


def test_half_the_deviations_are_a_quarter_of_the_variance_and_6_db_less() -> None:
    half = [damped(one, 0.5) for one in TARGET]
    assert modulation.variance_ratio(half, TARGET).value == pytest.approx(0.25)
    assert modulation.distance(half, TARGET).value == pytest.approx(20 * np.log10(2))
    double = [damped(one, 2.0) for one in TARGET]
    assert modulation.variance_ratio(double, TARGET).value == pytest.approx(4.0)
    assert modulation.distance(double, TARGET).value == pytest.approx(20 * np.log10(2))


def test_no_variance_at_all_is_finite() -> None:
    flat = [damped(one, 0.0) for one in TARGET]
    assert modulation.variance_ratio(flat, TARGET).value < 1e-9
    assert 50 < modulation.distance(flat, TARGET).value < 500


def test_means_and_level_do_not_count() -> None:
    moved = [replace(one, mcep=one.mcep + np.arange(25)) for one in TARGET]
    louder = [replace(one, mcep=one.mcep * (1 + 4 * np.eye(25)[0])) for one in TARGET]
    for outputs in (moved, louder):
        assert modulation.variance_ratio(outputs, TARGET).value == pytest.approx(1.0)
        assert modulation.distance(outputs, TARGET).value == pytest.approx(0.0, abs=1e-9)


def test_silent_frames_do_not_count() -> None:
    padded = []
    for one in TARGET:
        noise = 9 * np.random.default_rng(0).standard_normal((40, 25))
        active = np.r_[np.full(40, False), one.active]
        padded.append(replace(one, mcep=np.concatenate([noise, one.mcep]), active=active))
    assert modulation.variance_ratio(padded, TARGET).value == pytest.approx(1.0)
    assert modulation.distance(padded, TARGET).value == pytest.approx(0.0, abs=1e-9)


def test_power_lies_at_the_frequency_of_the_movement() -> None:
    frames = np.arange(400)
    shape = np.zeros((400, 25))
    shape[:, 2] = np.sin(2 * np.pi * 12.0 * frames / 100)
    one = replace(
        TARGET[0], mcep=shape, active=np.full(400, True), f0=np.zeros(400), bands=np.zeros((400, 1))
    )
    spectrum = modulation.spectrum_db(one)
    width = 50.0 / modulation.BANDS
    assert abs((np.argmax(spectrum[:, 1]) + 0.5) * width - 12.0) < width
    assert spectrum[:, 1].max() > spectrum[-4:, 1].max() + 60  # and hardly leaks


def test_length_does_not_count() -> None:
    short, long = (
        np.mean([modulation.spectrum_db(utterance(k, frames)) for k in range(60)], axis=0)
        for frames in (120, 480)
    )
    # But for the slowest band, which a short utterance cannot hold.
    assert np.abs((short - long).mean(axis=1))[1:].max() < 0.5


def test_smoothing_in_time_is_seen_where_variance_is_restored() -> None:
    smooth = []
    for one in TARGET:
        slow = uniform_filter1d(one.mcep, 5, axis=0)
        centre = one.mcep.mean(axis=0)
        scale = one.mcep.std(axis=0) / slow.std(axis=0)
        smooth.append(replace(one, mcep=centre + scale * (slow - slow.mean(axis=0))))
    assert modulation.variance_ratio(smooth, TARGET).value == pytest.approx(1.0)
    assert modulation.distance(smooth, TARGET).value > 3.0
    others = [utterance(seed) for seed in range(20, 30)]
    assert modulation.distance(others, TARGET).value < 1.5


def test_a_few_utterances_of_many_are_weighed_as_utterances() -> None:
    mixed = TARGET[:5] + [damped(one, 0.5) for one in TARGET[5:]]
    pooled = modulation.variance_ratio(mixed, TARGET)
    assert 0.55 < pooled.value < 0.7
    assert pooled.draws(np.repeat(np.array([[2, 0]]), 5, axis=1))[0] > 0.9
    assert pooled.draws(np.repeat(np.array([[0, 2]]), 5, axis=1))[0] < 0.3
