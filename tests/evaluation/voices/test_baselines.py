"""The formulas: known statistics arrive, and a voice that is a filter away is reached."""

from collections.abc import Callable

import numpy as np
import pytest

from vctool import audio
from vctool.evaluation.voices import baselines
from vctool.features import world
from vctool.features.stats import SpeakerStats
from vctool.metrics import f0_error, mcd
from vctool.metrics.voice_analysis import analyse

RATE = 16000
Say = Callable[..., np.ndarray]


def made_up(seed: int) -> np.ndarray:
    """Features (400, D), half of them voiced, none silent."""
    rng = np.random.default_rng(seed)
    f0 = np.where(np.arange(400) % 4 < 2, 120 * np.exp(0.2 * rng.standard_normal(400)), 0.0)
    envelope = rng.normal(seed, 1.0 + seed, (400, 25)) * np.linspace(1.0, 0.1, 25)
    envelope[:, 0] = rng.uniform(-1, 1, 400)
    return world.join(f0, envelope, rng.uniform(-20, -1, (400, 1)))


def some(log_mean: float, log_std: float, features: np.ndarray) -> baselines.Speaker:
    rest = features[:, 2:26].astype(float)
    f0 = SpeakerStats(
        log_f0_mean=log_mean, log_f0_std=log_std, f0_floor=60, f0_ceil=600, voiced_frames=9
    )
    return baselines.Speaker(f0, rest.mean(axis=0), rest.std(axis=0))


def test_each_formula_gives_the_statistics_it_is_named_for() -> None:
    features, other = made_up(0), made_up(1)
    log_f0 = np.log(features[features[:, 0] > 0, 0])
    source = some(float(log_f0.mean()), float(log_f0.std()), features)
    target = some(5.3, 0.11, other)
    formula = baselines.Formula(source, target)
    mean, deviation = target.mean, target.deviation
    expected = {
        baselines.PITCH: (source.mean, source.deviation),
        baselines.MEAN_VARIANCE: (mean, deviation),
        baselines.CODED: (mean, deviation),
        baselines.MEAN: (mean, source.deviation),
        baselines.HALF: (mean, 0.5 * deviation),
    }
    for name, (wanted_mean, wanted_deviation) in expected.items():
        made = baselines.transform(features, formula, name)
        np.testing.assert_allclose(made[:, 2:26].mean(axis=0), wanted_mean, atol=1e-4)
        np.testing.assert_allclose(made[:, 2:26].std(axis=0), wanted_deviation, rtol=1e-3)
        np.testing.assert_array_equal(made[:, 1], features[:, 1])  # the level
        np.testing.assert_array_equal(made[:, 26], features[:, 26])  # aperiodicity
        np.testing.assert_array_equal(made[:, 0] > 0, features[:, 0] > 0)
        moved = np.log(made[made[:, 0] > 0, 0])
        assert moved.mean() == pytest.approx(5.3, abs=1e-4)
        assert moved.std() == pytest.approx(0.11, rel=1e-3)


def test_cheats_have_the_target_s_voice_and_no_words() -> None:
    features, other = made_up(0), made_up(1)
    target = some(5.3, 0.11, other)
    formula = baselines.Formula(some(4.8, 0.2, features), target)
    fixed = baselines.transform(features, formula, baselines.FIXED)
    np.testing.assert_allclose(fixed[:, 2:26], np.tile(target.mean, (400, 1)), rtol=1e-5)
    np.testing.assert_array_equal(fixed[:, 1], features[:, 1])  # the level, and so the rhythm
    sharp = baselines.transform(features, formula, baselines.MEAN_VARIANCE)
    smeared = baselines.transform(features, formula, baselines.SMEARED)
    np.testing.assert_allclose(smeared[200, 1:26], sharp[140:260, 1:26].mean(axis=0), atol=1e-4)
    np.testing.assert_array_equal(smeared[:, 0], sharp[:, 0])
    np.testing.assert_array_equal(smeared[:, 26], sharp[:, 26])


def test_silence_is_in_no_statistics() -> None:
    features = made_up(0)
    silent = made_up(1)
    silent[:, 0], silent[:, 1] = 0.0, -12.0  # 100 dB below
    known = baselines.fit_features([features], 60, 600)
    longer = baselines.fit_features([np.concatenate([features, silent])], 60, 600)
    np.testing.assert_array_equal(known.mean, longer.mean)
    np.testing.assert_array_equal(known.deviation, longer.deviation)


def test_a_voice_that_is_a_filter_and_a_pitch_away_is_reached(say: Say) -> None:
    trained = [[say(k, who) for k in range(20, 26)] for who in ("low", "high")]
    formula = baselines.fit(*trained, RATE)
    sources, targets = [say(k, "low") for k in range(3)], [say(k, "high") for k in range(3)]
    made = baselines.build(sources, targets, RATE, formula)
    assert set(made) | {baselines.REAL} == set(baselines.SYSTEMS)
    truth = [analyse(wave, RATE) for wave in targets]
    found, cents = {}, {}
    for name, waves in made.items():
        assert [len(wave) for wave in waves] == [len(wave) for wave in sources]
        own = [analyse(wave, RATE) for wave in waves]
        found[name] = mcd.pooled(own, truth).value
        cents[name] = f0_error.pooled(own, truth)["f0_rmse"].value
    assert found[baselines.MEAN] < 0.8 * found["copy"]
    assert found[baselines.MEAN_VARIANCE] < 0.8 * found["copy"]
    # as near as the vocoder itself comes
    assert found[baselines.MEAN] < 1.3 * found[baselines.TARGET_RESYNTHESIS]
    assert found[baselines.PITCH] > 0.8 * found["copy"]
    assert cents[baselines.PITCH] < 150 < 700 < cents["copy"]
    assert cents[baselines.SOURCE_RESYNTHESIS] > 700


def test_formulas_change_the_source_s_own_wave(say: Say) -> None:
    """To the speaker itself nothing is left to do, and the wave stays as it is."""
    trained = [say(k, "low") for k in range(20, 24)]
    formula = baselines.fit(trained, trained, RATE)
    wave = say(0, "low")
    made = baselines.build([wave], None, RATE, formula)

    def likeness(name: str) -> float:
        return float(np.corrcoef(made[name][0], wave)[0, 1])

    for name in (baselines.PITCH, baselines.MEAN_VARIANCE, baselines.MEAN):
        assert likeness(name) > 0.99999
    assert likeness(baselines.CODED) < 0.9


def test_any_rate_gives_waves_as_long_and_as_loud_as_their_sources(say: Say) -> None:
    wave = audio.resample(say(0, "low"), RATE, 22050)
    formula = baselines.fit([wave], [audio.resample(say(1, "high"), RATE, 22050)], 22050)
    made = baselines.build([wave], None, 22050, formula)
    for (one,) in made.values():
        assert len(one) == len(wave) and one.dtype == np.float32
        assert audio.level_db(one, 22050) == pytest.approx(audio.level_db(wave, 22050), abs=0.1)
