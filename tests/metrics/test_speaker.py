"""Speaker embedding and verification."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from scipy.stats import norm

from tests.sounds import sine
from vctool.metrics import bootstrap, speaker
from vctool.metrics.unavailable import MetricUnavailable

Voice = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def encoder(needs: Any) -> speaker.SpeakerEncoder:
    try:
        return speaker.SpeakerEncoder()
    except MetricUnavailable as missing:
        needs.lacks(str(missing))


def test_equal_error_of_two_normal_distributions_is_the_known_one() -> None:
    rng = np.random.default_rng(0)
    genuine = rng.normal(1.0, 1.0, 4000)
    for distance in (0.0, 1.0, 2.0):
        outputs = rng.normal(1.0 - distance, 1.0, 3000)
        found = speaker.equal_error(outputs, genuine).value
        assert found == pytest.approx(norm.cdf(-distance / 2), abs=0.02)


def test_equal_error_is_none_where_outputs_are_found_out_and_more_than_half_beyond() -> None:
    genuine = np.array([0.8, 0.85, 0.9])
    assert speaker.equal_error(np.array([0.1, 0.2]), genuine).value == 0.0
    assert speaker.equal_error(genuine, genuine).value == pytest.approx(0.5, abs=0.17)
    assert speaker.equal_error(np.array([0.95, 0.99]), genuine).value == 1.0
    # One of four outputs passes where one of four recordings fails.
    mixed = speaker.equal_error(np.array([0.1, 0.2, 0.3, 0.7]), np.array([0.6, 0.8, 0.9, 0.95]))
    assert mixed.value == pytest.approx(0.25)


def test_resamples_of_the_equal_error_are_those_of_outputs_and_recordings() -> None:
    genuine = np.linspace(0.5, 1.0, 20)
    outputs = np.linspace(0.3, 0.8, 10)
    pooled = speaker.equal_error(outputs, genuine)
    counts = np.array([[3, 0, 1, 0, 0, 2, 0, 4, 0, 0]])
    others = bootstrap.resample_counts(20, 1, bootstrap.AGAINST_SEED)[0]
    assert others.max() > 1
    drawn = speaker.equal_error(np.repeat(outputs, counts[0]), np.repeat(genuine, others))
    assert pooled.draws(counts)[0] == pytest.approx(drawn.value, abs=0.03)


def test_cosines_are_pooled_by_utterance() -> None:
    target, source = np.eye(speaker.DIM)[:2]
    outputs = np.stack([target, (3 * target + 4 * source) / 5, np.zeros(speaker.DIM)])
    found = speaker.pooled(outputs, target, source)
    assert found["speaker_target"].value == pytest.approx((1 + 0.6 + 0) / 3)
    assert found["speaker_source"].value == pytest.approx((0 + 0.8 + 0) / 3)
    assert found["speaker_margin"].value == pytest.approx((1 - 0.2 + 0) / 3)
    assert np.linalg.norm(speaker.centroid(outputs)) == pytest.approx(1.0)


def test_level_and_silence_around_change_little(
    encoder: speaker.SpeakerEncoder, voice: Voice
) -> None:
    wave = voice(0, seconds=3.0)
    plain = encoder.embed(wave, 16000)
    assert plain.shape == (speaker.DIM,) and np.linalg.norm(plain) == pytest.approx(1.0)
    assert plain @ encoder.embed(0.01 * wave, 16000) > 0.9999
    assert plain @ encoder.embed(np.concatenate([np.zeros(8000), wave]), 16000) > 0.98
    assert plain @ encoder.embed(voice(3, 240.0, 3.0), 16000) < 0.9


def test_what_holds_no_speech_is_like_nobody_or_embedded_whole(
    encoder: speaker.SpeakerEncoder,
) -> None:
    for samples in (1, 700, 32000):
        assert not encoder.embed(np.zeros(samples), 16000).any()
    assert np.linalg.norm(encoder.embed(sine(1.0, 50), 16000)) == pytest.approx(1.0)


def test_it_prints_nothing_and_needs_no_network(
    encoder: speaker.SpeakerEncoder,
    voice: Voice,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a metric reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    waves = [voice(seed, seconds=1.0) for seed in range(3)]
    fresh = speaker.SpeakerEncoder()
    together = fresh.embed_all(waves, 16000)
    assert capfd.readouterr() == ("", "")
    for wave, one in zip(waves, together, strict=True):
        np.testing.assert_allclose(encoder.embed(wave, 16000), one, atol=1e-6)


@pytest.mark.parametrize("package", ["resemblyzer", "webrtcvad"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("resemblyzer", "resemblyzer.audio", "webrtcvad"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MetricUnavailable, match=r"speaker: \w+ is not installed; .*--eval"):
        speaker.SpeakerEncoder()


def test_real_voices_are_nearest_to_their_own(
    encoder: speaker.SpeakerEncoder, shared_data: Path
) -> None:
    folder = shared_data / "VCC2016"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    names = ("SF1", "SM1", "TF2", "TM3")

    def embed(part: str, name: str, count: int) -> np.ndarray:
        paths = sorted((folder / part / name).glob("*.wav"))[:count]
        return encoder.embed_all([soundfile.read(path)[0] for path in paths], 16000)

    voices = [speaker.centroid(embed("vcc2016_training", name, 8)) for name in names]
    for place, name in enumerate(names):
        held_out = embed("evaluation_all", name, 4)
        nearest = np.argmax(held_out @ np.stack(voices).T, axis=1)
        assert (nearest == place).all(), name
