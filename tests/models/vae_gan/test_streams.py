"""Between features and channels: levels, pitch, and where harmonics lie."""

import numpy as np
import pytest
import torch
from scipy.fft import dct

from vctool.features.mel import log_mel
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats
from vctool.models.vae_gan import streams

CONFIG = FeatureConfig(
    rate=16000, n_fft=2048, win_length=800, hop_length=200, f_min=40, mel_power=1, f0_ceil=600
)


def stats(f0: float, std: float) -> SpeakerStats:
    return SpeakerStats(
        log_f0_mean=float(np.log(f0)), log_f0_std=std, f0_floor=60, f0_ceil=500, voiced_frames=9
    )


def test_a_louder_recording_is_the_same_to_the_networks() -> None:
    rng = np.random.default_rng(0)
    mel = (-40 + 10 * rng.standard_normal((50, 128))).astype(np.float32)
    mel = np.maximum(mel, mel.max() - CONFIG.top_db)
    values = streams.normalise(mel, streams.level(mel), CONFIG)
    louder = streams.normalise(mel + 12, streams.level(mel + 12), CONFIG)
    np.testing.assert_allclose(louder, values, atol=1e-5)
    np.testing.assert_allclose(
        streams.denormalise(values, streams.level(mel), CONFIG), mel, atol=1e-3
    )


def test_a_word_in_a_long_silence_is_not_cut_off() -> None:
    rng = np.random.default_rng(3)
    word = (-30 + 10 * rng.standard_normal((60, 128))).astype(np.float32)
    pause = np.full((40, 128), -100, np.float32)  # as much of it as utterances have
    spoken = streams.normalise(word, streams.level(np.concatenate([word, pause])), CONFIG).max()
    lonely = np.concatenate([word, *[pause] * 100])
    made = streams.normalise(lonely, streams.level(lonely), CONFIG)
    assert made.max() < spoken + 10 / CONFIG.top_db + 0.01
    # and a click does not make the rest of an utterance soft
    said = np.concatenate([word, pause])
    clicked = said.copy()
    clicked[20] += 30
    assert streams.level(clicked) == pytest.approx(streams.level(said), abs=1)


def test_f0_gets_the_targets_mean_and_deviation() -> None:
    rng = np.random.default_rng(1)
    f0 = np.where(rng.random(400) > 0.3, 110 * np.exp(0.2 * rng.standard_normal(400)), 0.0)
    moved = streams.move_f0(f0, stats(220, 0.3))
    assert ((moved > 0) == (f0 > 0)).all()
    logs = np.log(moved[moved > 0])
    assert logs.mean() == pytest.approx(np.log(220), abs=1e-4)
    assert logs.std() == pytest.approx(0.3, abs=1e-3)
    np.testing.assert_array_equal(streams.move_f0(np.zeros(9), stats(220, 0.3)), np.zeros(9))
    # a block is moved as the whole is
    block = streams.move_f0(np.array([150.0, 0.0]), stats(220, 0.2), stats(100, 0.2))
    np.testing.assert_allclose(block, [330.0, 0.0], rtol=1e-6)
    # a hum has hardly any contour: nothing is blown up
    hum = streams.move_f0(np.full(50, 100.0) + 1e-3 * np.arange(50), stats(220, 0.3))
    np.testing.assert_allclose(hum, 220, rtol=1e-2)


@pytest.mark.parametrize("f0", [95.0, 140.0, 231.0, 400.0])
def test_harmonics_lie_where_a_pulse_train_has_them(f0: float) -> None:
    time = np.arange(16000) / CONFIG.rate
    count = int(8000 / f0)
    wave = sum(np.cos(2 * np.pi * k * f0 * time) for k in range(1, count))
    heard = log_mel((0.5 * wave / count).astype(np.float32), CONFIG)[30:50].mean(axis=0)
    told = streams.Harmonics(CONFIG)(torch.tensor([[f0, 0.0]]))[0]
    comb, voicing = told[: CONFIG.n_mels, 0].numpy(), told[-1]
    assert voicing.tolist() == [1.0, 0.0]
    assert (told[:, 1] == 0).all(), "an unvoiced frame has no harmonics"
    low = slice(0, 60)  # where harmonics are told apart
    assert np.corrcoef(comb[low], heard[low])[0, 1] > 0.8
    other = streams.Harmonics(CONFIG)(torch.tensor([[1.25 * f0]]))[0, : CONFIG.n_mels, 0].numpy()
    assert np.corrcoef(other[low], heard[low])[0, 1] < 0.6


def test_the_cosine_basis_is_the_orthonormal_dct() -> None:
    basis = streams.cosine_basis(40, 13).numpy()
    values = np.random.default_rng(2).standard_normal((5, 40))
    expected = dct(values, type=2, norm="ortho", axis=1)[:, :13]
    np.testing.assert_allclose(values @ basis.T, expected, atol=1e-5)
