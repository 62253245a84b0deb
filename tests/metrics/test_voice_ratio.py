"""The voice ratio, on mixtures whose likelihoods are known and on two made voices."""

from collections.abc import Callable

import numpy as np
import pytest

from vctool.metrics import voice_ratio
from vctool.metrics.base import Group, Row
from vctool.metrics.voice_analysis import ORDER, VoiceAnalysis, analyse_all

RATE = 16000
Voice = Callable[..., np.ndarray]


def frames(mean: float, count: int, seed: int) -> VoiceAnalysis:
    """Cepstra of independent normal values of deviation 1."""
    values = np.random.default_rng(seed).normal(mean, 1.0, (count, ORDER + 1))
    return VoiceAnalysis(
        np.zeros(count), values, np.zeros((count, 1)), np.ones(count, dtype=bool), 1.0
    )


def group(*found: VoiceAnalysis) -> Group[VoiceAnalysis]:
    return Group([np.zeros(1)] * len(found), RATE, lambda waves, rate: list(found))


def test_the_ratio_of_two_normal_voices_is_what_theory_says() -> None:
    """With means 0 and 0.5 and deviation 1 it is 24 * 0.5^2 / 2 nats, for or against."""
    rows = [
        Row(
            outputs=group(frames(mean, 4000, 5), frames(mean, 4000, 6)),
            reference=group(frames(0.5, 8000, 1)),
            source_reference=group(frames(0.0, 8000, 2)),
        )
        for mean in (0.5, 0.0)
    ]
    target, source = [voice_ratio.measure(row)["voice_ratio"].value for row in rows]
    assert target == pytest.approx(3.0, abs=0.4)
    assert source == pytest.approx(-3.0, abs=0.4)
    assert voice_ratio.measure(rows[0])["voice_ratio"].value == target  # which is drawn alike


def test_odd_frames_do_not_decide() -> None:
    known = {
        "reference": group(frames(0.5, 4000, 1)),
        "source_reference": group(frames(0, 4000, 2)),
    }
    usual = frames(0.5, 200, 3)
    odd = np.concatenate([usual.mcep, np.full((10, ORDER + 1), -100.0)])
    with_odd = VoiceAnalysis(np.zeros(210), odd, np.zeros((210, 1)), np.ones(210, bool), 1.0)
    plain, disturbed = (
        voice_ratio.measure(Row(outputs=group(one), **known))["voice_ratio"].value
        for one in (usual, with_odd)
    )
    assert disturbed == pytest.approx(plain, abs=2 * voice_ratio.MOST * 10 / 210)


def test_a_voice_is_told_whatever_it_says_and_a_mixture_lies_between(voice: Voice) -> None:
    def low(k: int) -> np.ndarray:
        return voice(k, 110.0, 1.5)

    def high(k: int) -> np.ndarray:
        return np.convolve(voice(k, 220.0, 1.5), [1.0, -0.8], mode="same")

    source: Group[VoiceAnalysis] = Group([low(k) for k in range(6)], RATE, analyse_all)
    target = source.like([high(k) for k in range(10, 16)])
    values = {}
    for name, one in {"copy": low, "target": high}.items():
        outputs = source.like([one(k) for k in (20, 21)])
        row = Row(outputs=outputs, reference=target, source_reference=source)
        values[name] = voice_ratio.measure(row)["voice_ratio"].value
    assert values["copy"] < -0.5 < 0.5 < values["target"]
