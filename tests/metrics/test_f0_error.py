"""F0 along a path and as a distribution."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vctool.metrics import f0_error
from vctool.metrics.alignment import align
from vctool.metrics.f0_distribution import BIN_CENTS, distribution
from vctool.metrics.voice_analysis import VoiceAnalysis, analyse

Voice = Callable[..., np.ndarray]


def utterance(f0: np.ndarray, seed: int = 0) -> VoiceAnalysis:
    """Make an utterance of distinct frames, so that its path to itself is the diagonal."""
    shape = np.random.default_rng(seed).standard_normal((len(f0), 25))
    frames = len(f0)
    return VoiceAnalysis(
        f0, shape, np.zeros((frames, 40)), np.full(frames, True), seconds=frames / 100
    )


def melody(seed: int = 0, frames: int = 200) -> np.ndarray:
    rng = np.random.default_rng(seed)
    f0 = 150 * 2 ** (rng.standard_normal(frames).cumsum() / 80)
    return np.asarray(np.where(np.arange(frames) % 10 < 7, f0, 0.0))


def test_an_octave_is_1200_cents_and_otherwise_perfect() -> None:
    one = utterance(melody())
    found = f0_error.pooled([replace(one, f0=2 * one.f0)], [one])
    assert found["f0_rmse"].value == pytest.approx(1200.0, rel=1e-12)
    assert found["f0_correlation"].value == pytest.approx(1.0)
    assert found["f0_voicing"].value == 0.0
    assert distribution([replace(one, f0=2 * one.f0)], [one]).value == pytest.approx(1200)


def test_an_octave_of_sound_is_1200_cents(voice: Voice) -> None:
    low, high = (analyse(voice(0, hz), 16000) for hz in (110.0, 220.0))
    path = np.arange(len(low.f0))
    found = f0_error.sums(high, low, (path, path))
    assert np.sqrt(found[3] / found[2]) == pytest.approx(1200.0, abs=10.0)
    assert distribution([high], [low]).value == pytest.approx(1200.0, abs=15.0)
    assert f0_error.pooled([high], [low])["f0_correlation"].value > 0.9


def test_level_and_silence_around_change_nothing(voice: Voice) -> None:
    source, target = voice(0), analyse(voice(1, 180.0), 16000)
    padded = np.concatenate([np.zeros(8000), 0.05 * source, np.zeros(3200)])
    plain, other = (f0_error.pooled([analyse(wave, 16000)], [target]) for wave in (source, padded))
    assert other["f0_rmse"].value == pytest.approx(plain["f0_rmse"].value, rel=0.02)
    assert other["f0_voicing"].value == pytest.approx(plain["f0_voicing"].value, abs=0.02)


def test_frames_that_differ_in_voicing_are_counted_and_left_out_of_the_rest() -> None:
    one = utterance(melody())
    f0 = one.f0.copy()
    f0[:30] = np.where(f0[:30] > 0, 0.0, 100.0)
    found = f0_error.pooled([replace(one, f0=f0)], [one])
    assert found["f0_voicing"].value == pytest.approx(30 / 200)
    assert found["f0_rmse"].value == 0.0


def test_error_and_correlation_match_numpy() -> None:
    one, other = utterance(melody(1)), utterance(melody(2))
    path = np.arange(200)
    both = (one.f0 > 0) & (other.f0 > 0)
    x, y = 1200 * np.log2(one.f0[both]), 1200 * np.log2(other.f0[both])
    found = f0_error.pooled([one], [other], [(path, path)])
    assert found["f0_rmse"].value == pytest.approx(np.sqrt(np.mean((x - y) ** 2)))
    assert found["f0_correlation"].value == pytest.approx(np.corrcoef(x, y)[0, 1])
    mirrored = replace(one, f0=np.where(one.f0 > 0, 150**2 / np.maximum(one.f0, 1), 0))
    flipped = f0_error.pooled([mirrored], [one], [(path, path)])
    assert flipped["f0_correlation"].value == pytest.approx(-1.0)


def test_correlation_is_within_utterances() -> None:
    # Two sentences at different pitch must not make noise look like a melody that was followed.
    rng = np.random.default_rng(0)
    made = [utterance(base * 2 ** (rng.standard_normal(500) / 50)) for base in (100, 200)]
    true = [utterance(base * 2 ** (rng.standard_normal(500) / 50)) for base in (100, 200)]
    paths = [(np.arange(500), np.arange(500))] * 2
    assert abs(f0_error.pooled(made, true, paths)["f0_correlation"].value) < 0.1


def test_without_voice_there_is_nothing_to_say_of_f0() -> None:
    silent, one = utterance(np.zeros(50)), utterance(melody(0, 50))
    found = f0_error.pooled([silent, one], [one, one])
    assert found["f0_rmse"].value == 0.0  # the other utterance still counts
    alone = f0_error.pooled([silent], [one])
    assert np.isnan(alone["f0_rmse"].value) and np.isnan(alone["f0_correlation"].value)
    assert alone["f0_voicing"].value > 0.5
    assert np.isnan(distribution([silent], [one]).value)


def test_distribution_ignores_what_is_said() -> None:
    f0 = melody(3)
    shuffled = np.random.default_rng(0).permutation(f0)
    assert distribution([utterance(shuffled)], [utterance(f0)]).value == 0.0
    third = distribution([utterance(f0 * 2 ** (4 / 12))], [utterance(f0)]).value
    assert third == pytest.approx(400.0, abs=BIN_CENTS)


def test_pairs_follow_the_path() -> None:
    one = utterance(melody(4, 80))
    twice = np.repeat(np.arange(80), 2)
    slow = replace(one, f0=one.f0[twice], mcep=one.mcep[twice], active=one.active[twice])
    found = f0_error.pooled([slow], [one])
    assert found["f0_rmse"].value == 0.0 and found["f0_voicing"].value == 0.0
    np.testing.assert_array_equal(align(slow, one)[1], twice)
