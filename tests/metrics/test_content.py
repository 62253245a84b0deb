"""Content kept: what is said decides, not pauses, level or who says it."""

from itertools import combinations

import numpy as np
import pytest

from tests.sounds import make_speech
from vctool.metrics import content
from vctool.metrics.base import Group, Row
from vctool.metrics.voice_analysis import VoiceAnalysis, analyse_all

RATE = 16000


def measured(outputs: list[np.ndarray], sources: list[np.ndarray]) -> dict[str, float]:
    known: Group[VoiceAnalysis] = Group(sources, RATE, analyse_all)
    row = Row(outputs=known.like(outputs), sources=known)
    return {name: one.value for name, one in content.measure(row).items()}


@pytest.fixture(scope="module")
def sources() -> list[np.ndarray]:
    """Hisses and hums in an order of their own: (T,) each, of one rhythm."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(4):
        voice = make_speech(1.6)
        hiss = np.diff(rng.standard_normal(len(voice) + 1))
        gate = np.repeat(rng.integers(0, 2, 8), len(voice) // 8)
        made.append((voice + 0.03 * gate * (np.abs(voice) > 1e-2) * hiss).astype(np.float32))
    return made


def test_the_same_has_distance_0_at_any_level_and_is_found(sources: list[np.ndarray]) -> None:
    louder = measured([0.2 * one for one in sources], sources)
    assert louder["content"] == louder["content_mel"] == 1.0
    assert louder["phone_distance"] == pytest.approx(0.0, abs=1e-4)
    others = measured(sources[1:] + sources[:1], sources)
    assert others["content"] == 0.0 and others["phone_distance"] > 0.1


def test_silence_is_farther_than_another_sentence(sources: list[np.ndarray]) -> None:
    silent = measured([np.zeros_like(one) for one in sources], sources)
    others = measured(sources[1:] + sources[:1], sources)
    assert silent["phone_distance"] > 1.2 * others["phone_distance"]
    assert silent["content"] < 0.5


def test_pauses_do_not_bring_utterances_nearer() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.dirichlet(np.full(40, 0.1), (2, 80)).astype(np.float32)
    pause = np.zeros((400, 40), np.float32)
    pause[:, content.phones.PHONES.index(content.phones.SILENCE)] = 1.0

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        found = content.phone_distances(content.spoken(a), [content.spoken(b)], 0.0)
        return float(found[0])

    bare = distance(one, other)
    assert distance(np.concatenate([one, pause]), np.concatenate([other, pause])) == (
        pytest.approx(bare, rel=1e-5)
    )
    assert distance(one, one) == pytest.approx(0.0, abs=1e-9)
    assert distance(np.concatenate([one, pause]), np.concatenate([pause, one])) == (
        pytest.approx(1.0, abs=1e-6)
    )


@pytest.mark.parametrize("size", [1, 5, 20])
def test_the_share_of_choices_is_counted(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "CANDIDATES", 4)
    farther = np.random.default_rng(size).random(size) > 0.3
    choices = list(combinations(farther, min(3, size)))
    assert content._share_of_choices(farther) == pytest.approx(np.mean([all(c) for c in choices]))


def test_the_number_of_sources_does_not_decide() -> None:
    """Twice the distractors of the same kind give the same share."""
    few = np.arange(20) >= 2
    assert content._share_of_choices(np.repeat(few, 10)) == pytest.approx(
        content._share_of_choices(few), abs=0.15
    )
    assert content._share_of_choices(np.ones(0, bool)) == 1.0
