"""F0 by `swift_f0` on sounds whose F0 is known, beside `dio`, whose voicing it takes."""

import importlib.util
import sys

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.signal import fftconvolve, lfilter

from tests.sounds import speak
from vctool.audio.tracks import ArrayTrack
from vctool.errors import ConfigError
from vctool.features import swift, world
from vctool.features.analysis import scan, voice_features
from vctool.features.settings import FeatureConfig
from vctool.inference.blocks import plan

RATE, HOP = 16000, 80
CONFIG = FeatureConfig(rate=RATE, n_fft=1024, hop_length=HOP, n_mels=80, f0_estimator="swift_f0")
DIO = CONFIG.model_copy(update={"f0_estimator": "dio"})
ADULT = ((700, 90), (1200, 110), (2600, 170))
CHILD = ((900, 60), (1700, 120), (3600, 200))
"""Formants and their bandwidths [Hz]."""


def resonate(wave: np.ndarray, formants: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Filter a source (T,) by formants, and scale it to a peak of 0.5 over faint noise."""
    for centre, width in formants:
        radius = np.exp(-np.pi * width / RATE)
        pole = [1.0, -2 * radius * np.cos(2 * np.pi * centre / RATE), radius**2]
        wave = lfilter([sum(pole)], pole, wave)
    return scaled(wave)


def scaled(wave: np.ndarray) -> np.ndarray:
    noise = 1e-4 * np.random.default_rng(0).standard_normal(len(wave))
    return (0.5 * wave / np.abs(wave).max() + noise).astype(np.float32)


def pulses(f0: np.ndarray) -> np.ndarray:
    """Make a voice's source with F0 (T,) [Hz] at every sample: harmonics below 7.6 kHz."""
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    wave = sum(np.cos(k * phase) for k in range(1, int(7600 / f0.max()) + 1))
    return lfilter([1.0], [1.0, -0.95], wave)


def cents(wave: np.ndarray, truth: np.ndarray, config: FeatureConfig = CONFIG) -> np.ndarray:
    """Return the errors of the voiced frames; nearly all must be voiced but at the ends."""
    f0 = world.estimate_f0(wave, config)
    frames = np.arange(len(f0))[20:-20]
    f0, known = f0[frames], truth[np.minimum(frames * HOP, len(truth) - 1)]
    assert (f0 > 0).mean() > 0.9
    return np.asarray(1200 * np.abs(np.log2(f0[f0 > 0] / known[f0 > 0])))


TIME = np.arange(2 * RATE) / RATE
GLIDE = 110 * 2 ** (TIME / 2)


@pytest.mark.parametrize("db", [0, -30, -60, -80])
def test_a_glide_is_followed_at_any_level(db: int) -> None:
    wave = resonate(pulses(GLIDE), ADULT) * 10 ** (db / 20)
    assert np.quantile(cents(wave, GLIDE), 0.99) < 30


@pytest.mark.parametrize(("rate", "hop"), [(16000, 192), (22050, 256), (44100, 512)])
def test_frames_lie_where_other_features_have_them(rate: int, hop: int) -> None:
    """A frame too early or too late would be off by its share of the glide."""
    config = FeatureConfig(rate=rate, hop_length=hop, f0_estimator="swift_f0")
    time = np.arange(rate) / rate
    truth = 150 * 2**time
    phase = 2 * np.pi * np.cumsum(truth) / rate
    wave = 0.1 * sum(np.sin(k * phase) / k for k in range(1, 20))
    f0 = world.estimate_f0(wave.astype(np.float32), config)
    assert len(f0) == config.frames(rate)
    inner = np.arange(len(f0))[8:-8]
    off = 1200 * np.log2(f0[inner] / truth[inner * hop])
    assert np.abs(np.median(off)) < 6  # 5 ms of this glide
    assert np.abs(off).max() < 25


def test_a_child_with_a_strong_first_formant() -> None:
    """Its first formant lies on the second or third harmonic."""
    truth = 380 * 2 ** (0.35 * np.sin(2 * np.pi * 0.7 * TIME))
    assert truth.min() < 310 and truth.max() > 480
    assert np.quantile(cents(resonate(pulses(truth), CHILD), truth), 0.99) < 50


def test_creak_is_not_an_octave_off() -> None:
    """Irregular low pulses after a second of voice: no pitch an octave from their local rate."""
    rng, place = np.random.default_rng(1), 0.0
    wave, truth = np.zeros(2 * RATE), np.zeros(2 * RATE)
    while place < len(wave):
        creaky = place >= RATE
        period = RATE / (rng.uniform(66, 84) if creaky else 110)
        wave[int(place)] = rng.uniform(0.5, 1.0) if creaky else 1.0
        truth[int(place) : int(place + period)] = RATE / period
        place += period
    off = cents(resonate(lfilter([1.0], [1.0, -0.95], wave), ADULT), truth)
    assert np.quantile(off, 0.99) < 500
    assert np.median(off) < 50


def test_a_reverberant_voice_keeps_its_glide() -> None:
    decay = np.exp(-6.9 * np.arange(int(0.6 * RATE)) / (0.6 * RATE))
    room = decay * np.random.default_rng(2).standard_normal(len(decay))
    room[0] += 8.0
    dry = resonate(pulses(GLIDE), ADULT)
    wave = scaled(fftconvolve(dry, room)[: len(dry)])
    off = cents(wave, GLIDE)  # a room lags behind a glide
    assert np.median(off) < 50 and off.max() < 100


def test_a_whisper_has_no_pitch() -> None:
    whisper = resonate(np.random.default_rng(3).standard_normal(2 * RATE), ADULT)
    assert (world.estimate_f0(whisper, CONFIG) > 0).mean() < 0.01


def strong_second(harmonic: int) -> float:
    return (10.0 if harmonic == 2 else 1.0) / harmonic


def no_first(harmonic: int) -> float:
    return 0.0 if harmonic == 1 else 1.0 / harmonic


def test_a_strong_second_harmonic_is_no_octave() -> None:
    truth = np.full(2 * RATE, 150.0)
    phase = 2 * np.pi * np.cumsum(truth) / RATE
    wave = sum(strong_second(k) * np.sin(k * phase) for k in range(1, 20))
    assert cents(scaled(wave), truth).max() < 30


def test_a_missing_fundamental_is_heard_where_dio_hears_its_octave() -> None:
    truth = np.full(2 * RATE, 150.0)
    phase = 2 * np.pi * np.cumsum(truth) / RATE
    wave = scaled(sum(no_first(k) * np.sin(k * phase) for k in range(1, 20)))
    assert cents(wave, truth).max() < 30
    assert np.median(cents(wave, truth, DIO)) > 1000


def test_voicing_is_that_of_dio() -> None:
    wave = np.concatenate([np.zeros(3000), speak(1, 180.0, 1.0), np.zeros(3000)])
    wave = wave.astype(np.float32)
    mine, other = (world.estimate_f0(wave, config) for config in (CONFIG, DIO))
    np.testing.assert_array_equal(mine > 0, other > 0)
    assert (mine != other).any() and (mine == 0).any()
    inside = world.estimate_f0(wave, CONFIG, 150.0, 200.0)
    assert ((inside == 0) | ((inside >= 150) & (inside <= 200))).all() and inside.any()


@pytest.mark.parametrize("samples", [1, 79, 80, 800, 4000])
def test_short_sound_and_silence(samples: int) -> None:
    wave = resonate(pulses(GLIDE), ADULT)[:samples]
    for one in (wave, np.zeros_like(wave)):
        f0 = world.estimate_f0(one, CONFIG)
        assert f0.shape == (CONFIG.frames(samples),) and np.isfinite(f0).all()
    assert not world.estimate_f0(np.zeros(samples, np.float32), CONFIG).any()


def test_no_pitch_lies_between_a_voice_and_its_octave(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network's frames are interpolated, but not over a leap; there the surer one stands."""

    class Found:
        timestamps = np.arange(3) * 0.016
        pitch_hz = np.array([100.0, 104.0, 208.0])
        confidence = np.array([0.9, 0.9, 0.2])

    class Detector:
        def detect(self, *_: object) -> Found:
            return Found()

    monkeypatch.setattr(swift, "_detector", Detector)
    made = swift.pitch(np.zeros(1000, np.float32), CONFIG, 60.0, 800.0, 9)
    np.testing.assert_allclose(made[0], 100)
    assert 100 < made[1] < made[2] < made[3] < 104
    np.testing.assert_allclose(made[4:7], 104)  # 20, 25 and 30 ms
    np.testing.assert_allclose(made[7:], 208)


def test_a_long_recording_in_blocks_is_like_one_pass() -> None:
    wave = np.concatenate([speak(seed, 150.0, 3.0) for seed in range(3)]).astype(np.float32)
    track, block = ArrayTrack(wave), 3 * RATE
    known = scan(track, CONFIG, ("pitch",), block)
    whole = voice_features(wave, ("pitch",), CONFIG, known)["pitch"][:, 0]
    parts = plan(track, block, HOP, RATE)
    assert len(parts) > 2
    for one in parts:
        made = voice_features(
            track.read(one.outer_start, one.outer_stop), ("pitch",), CONFIG, known
        )["pitch"][:, 0]
        frames = slice(one.start // HOP, one.stop // HOP)
        first = one.outer_start // HOP
        mine, other = made[frames.start - first : frames.stop - first], whole[frames]
        both = (mine > 0) & (other > 0)
        assert ((mine > 0) != (other > 0)).mean() < 0.01 and both.mean() > 0.9
        assert np.abs(1200 * np.log2(mine[both] / other[both])).max() < 1.0


def test_threads_do_not_change_the_bytes() -> None:
    wave, threads, found = speak(2, 130.0, 2.0).astype(np.float32), torch.get_num_threads(), []
    for count in (1, 2):
        torch.set_num_threads(count)
        swift._detector.cache_clear()
        found.append(world.estimate_f0(wave, CONFIG).tobytes())
    torch.set_num_threads(threads)
    assert found[0] == found[1]
    options = swift._detector().session.get_session_options()
    assert options.intra_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize("package", ["swift_f0", "onnxruntime"])
def test_a_missing_package_names_the_command_that_installs_it(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "vctool.features.settings.find_spec",
        lambda name: None if name == package else there(name),
    )
    with pytest.raises(
        ValidationError, match=rf"{package} is not installed; local/setup.sh --eval"
    ):
        FeatureConfig(f0_estimator="swift_f0")
    FeatureConfig(f0_estimator="dio")
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "swift_f0.core", raising=False)
    if package == "onnxruntime":
        monkeypatch.delitem(sys.modules, "swift_f0", raising=False)
    swift._detector.cache_clear()
    with pytest.raises(ConfigError, match=rf"{package} is not installed; local/setup.sh --eval"):
        world.estimate_f0(resonate(pulses(GLIDE), ADULT), CONFIG)


@pytest.mark.parametrize(
    ("floor", "ceil", "cause"),
    [
        (40.0, 800.0, "hears pitch from 46.875 to 2093.75 Hz; f0_floor 40.0"),
        (65.0, 2500.0, "and f0_ceil 2500.0 must lie there"),
        (100.0, 104.0, "f0_ceil 104.0 to be at least 1.05 times f0_floor 100.0"),
    ],
)
def test_a_range_that_the_network_does_not_hear_is_refused(
    floor: float, ceil: float, cause: str
) -> None:
    with pytest.raises(ValidationError, match=cause):
        FeatureConfig(f0_estimator="swift_f0", f0_floor=floor, f0_ceil=ceil)
    FeatureConfig(f0_estimator="dio", f0_floor=floor, f0_ceil=ceil)


def test_the_estimator_is_part_of_the_dump_s_name() -> None:
    for kind in ("f0", "pitch", "world"):
        assert CONFIG.hash8(kind) != DIO.hash8(kind)
    assert CONFIG.hash8("mel") == DIO.hash8("mel")


def test_the_stated_limits_are_those_of_the_package() -> None:
    import swift_f0
    from swift_f0.core import BIN_RATIO

    from vctool.features import settings

    assert (swift_f0.FMIN, swift_f0.FMAX) == settings.SWIFT_RANGE_HZ
    assert swift_f0.SAMPLE_RATE == swift.RATE
    assert BIN_RATIO < settings.SWIFT_LEAST_RATIO
