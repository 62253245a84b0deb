from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.sounds import make_speech, speak
from tests.toy import FEATURES, save_toy, toy_family
from vctool import audio
from vctool.audio.tracks import ArrayTrack
from vctool.features import framing, world
from vctool.features.mel import log_mel
from vctool.inference.blocks import plan
from vctool.inference.converter import Converter
from vctool.vocoders.direct.vocoder import Vocoder

__all__ = ["save_toy", "toy_family"]

Save = Callable[..., Path]
RATE, HOP = FEATURES.rate, FEATURES.hop_length


def features_of(wave: np.ndarray) -> dict[str, np.ndarray]:
    coded = world.analyse(wave, FEATURES)
    return {"world": coded, "pitch": coded[:, :1].copy(), "wave": framing.frame(wave, FEATURES)}


@pytest.mark.parametrize("samples", [1000, 16000, 20011])
def test_unchanged_features_give_back_the_wave(samples: int) -> None:
    wave = speak(6, 130.0, 2.0)[:samples].astype(np.float32)
    made = Vocoder().synthesise(features_of(wave), FEATURES, len(wave))
    kept = len(wave) - HOP // 2  # beyond, the frames of `wave` may lack sound
    noise = np.square(made - wave)[:kept].mean()
    assert noise < 1e-8 * np.square(wave)[:kept].mean()  # 80 dB


def test_what_the_model_changes_is_what_changes() -> None:
    wave = speak(7, 130.0, 1.5).astype(np.float32)
    features = features_of(wave)
    features["world"][:, 0] *= 1.4
    features["world"][:, 1] += np.log(4)  # c0 of log power: 6 dB
    made = Vocoder().synthesise(features, FEATURES, len(wave))
    heard, f0 = world.estimate_f0(made, FEATURES), features["pitch"][:, 0]
    both = (heard > 0) & (f0 > 0)
    assert np.median(heard[both] / f0[both]) == pytest.approx(1.4, rel=0.003)
    assert audio.level_db(made, RATE) - audio.level_db(wave, RATE) == pytest.approx(6.0, abs=2.5)


def test_aperiodicity_and_voicing_that_a_model_writes_do_not_matter() -> None:
    wave = speak(8, 130.0, 0.7).astype(np.float32)
    features = features_of(wave)
    features["world"][:, -1] = 0.0
    features["world"][::3, 0] = 0.0
    made = Vocoder().synthesise(features, FEATURES, len(wave))
    np.testing.assert_allclose(made[:-HOP], wave[:-HOP], atol=1e-4)


def test_blocks_are_one_pass(save_toy: Save) -> None:
    """The toy smooths the envelope and, here, moves the pitch of the whole recording."""
    wave = make_speech(9.0)
    asked = {"to": "speech", "transpose": 4.0}
    whole, _ = Converter(save_toy("whole"), "cpu", "direct").convert(wave, RATE, **asked)
    path = save_toy("blocks", block_seconds=5.0)
    blocks, _ = Converter(path, "cpu", "direct").convert(wave, RATE, **asked)
    assert np.abs(whole - wave).max() > 0.05  # it does something
    difference = np.abs(blocks - whole)
    assert difference.max() < 0.01 * np.abs(whole).max()


def test_a_voice_without_a_pause_has_no_seam_at_a_cut(save_toy: Save) -> None:
    """Two blocks lay their grains from other beginnings; the cross-fade hides it."""
    wave = speak(2, 120.0, 8.0).astype(np.float32)
    converter = Converter(save_toy("blocks", block_seconds=5.0), "cpu", "direct")
    made, _ = converter.convert(wave, RATE, to="speech", transpose=4)
    (block, _) = plan(ArrayTrack(wave), 5 * RATE, HOP, RATE)
    around = slice(block.stop - RATE // 8, block.stop + RATE // 8)

    def levels(sound: np.ndarray) -> np.ndarray:
        return np.sqrt(np.convolve(sound[around] ** 2, np.ones(400) / 400, mode="valid"))

    change_db = 20 * np.log10(levels(made) / levels(wave))
    assert np.ptp(change_db) < 2.5
    elsewhere = np.abs(np.diff(made[: around.start], 2)).max()
    assert np.abs(np.diff(made[around], 2)).max() < 1.2 * elsewhere
    f0, heard = (world.estimate_f0(one, FEATURES) for one in (wave, made))
    near = slice(around.start // HOP, around.stop // HOP)
    np.testing.assert_allclose(heard[near], 2 ** (4 / 12) * f0[near], rtol=0.02)


@pytest.mark.parametrize("stretch", [0.8, 1.5])
def test_stretched_in_time(save_toy: Save, stretch: float) -> None:
    wave = make_speech(3.0)
    converter = Converter(save_toy(), "cpu", "direct")
    assert converter.borrowed == ("pitch", "wave")
    made, _ = converter.convert(wave, RATE, to="speech", stretch=stretch, transpose=-3)
    assert len(made) == round(stretch * len(wave))
    f0, heard = (world.estimate_f0(one.astype(np.float32), FEATURES) for one in (wave, made))
    moved = np.median(heard[heard > 0]) / np.median(f0[f0 > 0])
    assert moved == pytest.approx(2 ** (-3 / 12), rel=0.03)
    assert (heard > 0).mean() == pytest.approx((f0 > 0).mean(), abs=0.12)
    assert np.abs(np.diff(made, 2)).max() < 2 * np.abs(np.diff(wave, 2)).max()
    # On average over time it is as coloured as it was.
    before, after = (log_mel(one.astype(np.float32), FEATURES).mean(axis=0) for one in (wave, made))
    assert np.abs(before - after).mean() < 3


def test_an_offset_is_not_raised_with_the_voice() -> None:
    offset = 0.1
    wave = (0.5 * speak(9, 130.0, 1.0) + offset).astype(np.float32)
    features = features_of(wave)
    swing = np.sin(np.arange(len(features["world"])) / 5)
    features["world"][:, 2] += swing.astype(np.float32)  # the tilt of the envelope, in and out
    made = Vocoder().synthesise(features, FEATURES, len(wave))
    slow = made[: len(made) // 800 * 800].reshape(-1, 800).mean(axis=1)  # over 50 ms
    np.testing.assert_allclose(slow[1:-1], offset, atol=0.03)


def test_a_click_that_no_envelope_describes_is_not_raised() -> None:
    rng = np.random.default_rng(3)
    wave = np.convolve(1e-3 * rng.standard_normal(RATE), np.hanning(40), mode="same")  # dull
    wave[50 * HOP + HOP // 2] = 0.5  # between the windows of two unvoiced frames
    wave = wave.astype(np.float32)
    features = features_of(wave)
    features["world"][:, 0] = features["pitch"][:] = 0.0
    brighter = features["world"].copy()
    brighter[:, 2] -= 3.0  # c1: treble up, bass down
    before, after = (
        np.log(world.decode_envelope(one[:, 1:-1], FEATURES).mean(axis=1))
        for one in (features["world"], brighter)
    )
    brighter[:, 1] += before - after  # every frame keeps its power
    made = Vocoder().synthesise({**features, "world": brighter}, FEATURES, len(wave))
    assert np.abs(made).max() < 2 * np.abs(wave).max()
