import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.sounds import buzz
from vctool.features import world
from vctool.features.binding import pyworld
from vctool.features.mel import log_mel
from vctool.features.settings import FeatureConfig

CONFIGS = [
    FeatureConfig(rate=16000, n_fft=1024, hop_length=192, n_mels=80),
    FeatureConfig(rate=22050, n_fft=1024, hop_length=256, n_mels=80),
    FeatureConfig(),
]
BANDS = [1, 2, 5]


def voice(config: FeatureConfig, hz: float = 150.0, seconds: float = 0.6) -> np.ndarray:
    """Harmonics that fall by 6 dB an octave, between two silences."""
    wave = 2 * buzz(seconds, hz, int(4000 / hz) - 1, config.rate)
    wave += 1e-3 * np.random.default_rng(0).standard_normal(len(wave))
    return np.concatenate([np.zeros(3000), wave, np.zeros(3000)]).astype(np.float32)


@pytest.mark.parametrize(("config", "bands"), list(zip(CONFIGS, BANDS, strict=True)))
def test_columns_frames_and_pitch(config: FeatureConfig, bands: int) -> None:
    wave = voice(config)
    features = world.analyse(wave, config)
    assert features.dtype == np.float32
    assert features.shape == (config.frames(len(wave)), 1 + config.envelope_dim + bands)
    assert world.world_dim(config) == features.shape[1]
    f0, envelope, aperiodicity = world.split(features, config)
    middle = slice(len(f0) // 3, 2 * len(f0) // 3)
    np.testing.assert_allclose(f0[middle], 150, rtol=0.01)
    assert (f0[:3] == 0).all()
    assert (aperiodicity <= 1e-6).all()
    np.testing.assert_array_equal(world.join(f0, envelope, aperiodicity), features)


@pytest.mark.parametrize("estimator", ["dio", "harvest"])
@pytest.mark.parametrize("samples", [1, 100, 800, 191 * 7, 192 * 7, 192 * 7 + 1])
def test_short_and_silent_sound_is_analysed_and_synthesised(estimator: str, samples: int) -> None:
    config = CONFIGS[0].model_copy(update={"f0_estimator": estimator})
    for wave in (np.zeros(samples, np.float32), voice(config)[4000 : 4000 + samples]):
        features = world.analyse(wave, config)
        assert features.shape == (config.frames(samples), world.world_dim(config))
        assert np.isfinite(features).all()
        again = world.synthesise(features, config, samples)
        assert again.shape == (samples,)
        assert np.isfinite(again).all()
    assert np.abs(world.synthesise(world.analyse(0 * wave, config), config, samples)).max() < 1e-4


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config.rate))
def test_synthesis_sounds_like_what_was_analysed(config: FeatureConfig) -> None:
    wave = voice(config)
    again = world.synthesise(world.analyse(wave, config), config, len(wave))
    assert again.dtype == np.float32
    before, after = log_mel(wave, config), log_mel(again, config)
    loud = before > before.max() - 30
    assert np.abs(before - after)[loud].mean() < 2.0
    f0 = world.estimate_f0(again, config)
    np.testing.assert_allclose(np.median(f0[f0 > 0]), 150, rtol=0.01)


def test_f0_keeps_to_the_voice_s_range() -> None:
    config = CONFIGS[0]
    wave = voice(config, hz=150)
    assert (world.estimate_f0(wave, config, 200, 400) == 0).mean() > 0.9
    inside = world.estimate_f0(wave, config, 100, 200)
    assert ((inside == 0) | ((inside >= 100) & (inside <= 200))).all()
    assert (inside > 0).mean() > 0.4
    assert (world.analyse(wave, config, 100, 200)[:, 0] == inside).all()


def test_analysis_and_synthesis_repeat_exactly() -> None:
    config = CONFIGS[0]
    wave = voice(config)
    first = world.analyse(wave, config)
    np.testing.assert_array_equal(world.analyse(wave, config), first)
    sound = world.synthesise(first, config, len(wave))
    np.testing.assert_array_equal(world.synthesise(first, config, len(wave)), sound)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config.rate))
def test_envelope_basis_reads_what_pyworld_decodes(config: FeatureConfig) -> None:
    dim = config.envelope_dim
    coded = np.random.default_rng(0).standard_normal((4, dim)) / (1 + np.arange(dim))
    basis = world.envelope_basis(config)
    bands = coded @ basis
    np.testing.assert_allclose(bands @ basis.T / dim, coded, atol=1e-12)
    size = world.fft_size(config)
    log_power = np.log(pyworld.decode_spectral_envelope(coded, config.rate, size))
    bins = np.arange(size // 2 + 1) * config.rate / size
    centres = world.band_frequencies(config)
    assert (np.diff(centres) > 0).all()
    for row, expected in zip(bands, log_power, strict=True):
        # Below the first few bins the linear axis is too coarse to be read between.
        read = np.interp(centres, bins, expected)[20:]
        np.testing.assert_allclose(row[20:], read, atol=0.012)


@pytest.mark.parametrize("coding", ["world", "mcep"])
@pytest.mark.parametrize("samples", [900, 9600])
def test_the_envelope_alone_is_that_of_the_whole_analysis(coding: str, samples: int) -> None:
    config = CONFIGS[0].model_copy(update={"envelope_coding": coding})
    wave = voice(config)[:samples]
    features = world.analyse(wave, config)
    alone = world.analyse_envelope(wave, config, features[:, 0])
    assert alone.dtype == np.float32
    np.testing.assert_allclose(alone, world.split(features, config)[1], atol=1e-4)


@pytest.mark.parametrize(("coding", "c0"), [("world", np.log(4)), ("mcep", np.log(2))])
def test_gains_of_changed_codes(coding: str, c0: float) -> None:
    """c0 is the mean natural log of power by WORLD's code, and of amplitude in mel-cepstra."""
    config = CONFIGS[0].model_copy(update={"envelope_coding": coding})
    code = np.random.default_rng(0).normal(0, 0.2, (7, config.envelope_dim))
    change = np.zeros_like(code)
    change[3:, 0] = c0
    gain_db = world.envelope_gain_db(change, config)
    assert gain_db.shape == (7, 1 + world.fft_size(config) // 2)
    np.testing.assert_allclose(gain_db[:3], 0, atol=1e-9)
    np.testing.assert_allclose(gain_db[3:], 20 * np.log10(2), atol=1e-6)
    louder, before = (world.decode_envelope(one, config) for one in (code + change, code))
    np.testing.assert_allclose(10 * np.log10(louder / before), gain_db, atol=1e-6)


def test_pyworld_is_imported_without_a_warning() -> None:
    code = "import warnings; warnings.simplefilter('error', UserWarning); "
    code += "from vctool.features.binding import pyworld; print(pyworld.default_f0_floor)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_a_part_of_the_band_gives_the_same_f0_at_a_high_rate(monkeypatch):
    config = FeatureConfig(rate=44100, hop_length=512)
    seconds = np.arange(44100) / 44100
    f0 = 180 * 2 ** (0.3 * np.sin(2 * np.pi * 2 * seconds))
    phase = 2 * np.pi * np.cumsum(f0) / 44100
    wave = 0.1 * sum(np.sin(order * phase) / order for order in range(1, 40))
    fast = world.estimate_f0(wave, config)
    monkeypatch.setattr(world, "DIO_RATE", 44100)
    whole = world.estimate_f0(wave, config)
    both = (fast > 0) & (whole > 0)
    assert both.mean() > 0.8 and ((fast > 0) != (whole > 0)).mean() < 0.02
    assert np.quantile(np.abs(1200 * np.log2(fast[both] / whole[both])), 0.99) < 3  # cents


def test_threads_do_not_change_the_analysis():
    config = FeatureConfig(rate=16000, hop_length=64, n_fft=1024)
    wave = 0.1 * np.random.default_rng(0).standard_normal(5 * 64 * world.FRAMES_AT_ONCE // 2)
    threads, results = torch.get_num_threads(), []
    for count in (1, 2):
        torch.set_num_threads(count)
        results.append(world.analyse(wave, config))
    torch.set_num_threads(threads)
    assert np.array_equal(*results)


def test_a_bridged_analysis_hears_voice_where_f0_was_missed() -> None:
    config = CONFIGS[0].model_copy(update={"hop_length": 80})
    bridged = config.model_copy(update={"bridge_f0": True})
    wave = voice(config)
    found = world.find_f0(wave, config, 65, 1000)
    truth = world.analyse_with(wave, config, found)
    gap = slice(len(found) // 2 - 8, len(found) // 2 + 8)
    assert (found[gap] > 0).all()
    missed = found.copy()
    missed[gap] = 0
    analysed = {one: world.analyse_with(wave, one, missed) for one in (config, bridged)}
    for made in analysed.values():
        np.testing.assert_array_equal(made[:, 0], missed.astype(np.float32))
    errors = [np.abs(made[gap, 1:] - truth[gap, 1:]).mean() for made in analysed.values()]
    assert errors[1] < 0.02 * errors[0]
    envelope = world.analyse_envelope(wave, bridged, missed)
    np.testing.assert_array_equal(envelope, analysed[bridged][:, 1 : 1 + config.envelope_dim])
    silent = np.zeros(len(found))
    np.testing.assert_array_equal(
        world.analyse_with(wave, bridged, silent), world.analyse_with(wave, config, silent)
    )
    # Older dumps keep their place; bridged ones have another.
    assert "bridge_f0" not in config.of_kind("world")
    assert bridged.hash8("world") != config.hash8("world")
