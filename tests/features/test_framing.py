import numpy as np
import pytest

from vctool.audio.tracks import ArrayTrack
from vctool.data.extraction import Task, features_of
from vctool.data.utterance import Utterance
from vctool.features import framing
from vctool.features.analysis import scan, voice_features
from vctool.features.mel import log_mel
from vctool.features.settings import FeatureConfig
from vctool.features.world import estimate_f0

CONFIG = FeatureConfig(rate=16000, n_fft=1024, hop_length=200, n_mels=40)


@pytest.mark.parametrize("samples", [1, 99, 100, 199, 200, 201, 1234, 16000])
def test_frames_join_to_the_wave_but_for_half_a_hop_at_its_end(samples: int) -> None:
    wave = np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    frames = framing.frame(wave, CONFIG)
    assert frames.shape == (CONFIG.frames(samples), 200)
    assert frames.dtype == np.float32
    reached = min(samples, len(frames) * 200 - 100)
    joined = framing.unframe(frames, samples)
    np.testing.assert_array_equal(joined[:reached], wave[:reached])
    assert not joined[reached:].any()
    assert framing.unframe(frames, samples + 777).shape == (samples + 777,)


def test_a_click_is_in_the_middle_of_the_frame_where_its_mel_peaks() -> None:
    for at in (3, 11):
        wave = np.zeros(4000, np.float32)
        wave[at * CONFIG.hop_length] = 1.0
        frames = framing.frame(wave, CONFIG)
        assert np.argwhere(frames).tolist() == [[at, CONFIG.hop_length // 2]]
        assert log_mel(wave, CONFIG).max(axis=1).argmax() == at


def test_training_and_conversion_read_the_same_frames(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    wave = np.random.default_rng(1).standard_normal(3210).astype(np.float32)
    monkeypatch.setattr(Utterance, "load", lambda self, rate: wave)
    one = Utterance("a", "s", "speech", wav=tmp_path_factory.mktemp("x") / "a.wav", duration=0.2)
    dumped = features_of(Task(one, ("wave",), CONFIG, 65.0, 400.0))["wave"]
    known = scan(ArrayTrack(wave), CONFIG, ("wave",), 16000)
    read = voice_features(wave, ("wave",), CONFIG, known)["wave"]
    np.testing.assert_array_equal(dumped, framing.frame(wave, CONFIG))
    np.testing.assert_array_equal(read, dumped)


@pytest.mark.parametrize("stretch", [0.5, 1.3, 3.0])
@pytest.mark.parametrize("hop", [80, 200])
def test_stretched_sound_keeps_its_pitch_and_its_level(stretch: float, hop: int) -> None:
    config = CONFIG.model_copy(update={"hop_length": hop})
    time = np.arange(16000) / 16000
    wave = 0.1 * sum(np.sin(2 * np.pi * 90 * k * time) / k for k in range(1, 8))
    frames = framing.frame(wave.astype(np.float32), config)
    positions = np.minimum(np.arange(round(len(frames) * stretch)) / stretch, len(frames) - 1)
    made = framing.unframe(framing.stretch(frames, positions, config), round(16000 * stretch))
    inner = made[1600:-1600]
    f0 = estimate_f0(made, config)[1600 // hop : -1600 // hop]
    assert np.abs(1200 * np.log2(f0 / 90)).max() < 10
    levels = np.sqrt(np.mean(inner[: len(inner) // 400 * 400].reshape(-1, 400) ** 2, axis=1))
    loud = np.sqrt(np.mean(wave**2))
    assert np.abs(20 * np.log10(levels / loud)).max() < 1.5


def test_sound_at_normal_speed_stays_as_it_is_and_each_part_keeps_its_place() -> None:
    rng = np.random.default_rng(3)
    wave = rng.standard_normal(8000).astype(np.float32)
    wave[3000:5000] *= 0.01
    frames = framing.frame(wave, CONFIG)
    np.testing.assert_array_equal(
        framing.stretch(frames, np.arange(len(frames), dtype=float), CONFIG), frames
    )
    twice = framing.stretch(frames, np.linspace(0, len(frames) - 1, 2 * len(frames)), CONFIG)
    loud = np.abs(twice).max(axis=1) > 0.5
    times = np.arange(len(twice)) / 2 * CONFIG.hop_length
    grain = round(framing.GRAIN_SECONDS * 16000)
    assert not loud[(times > 3000 + grain) & (times < 5000 - grain)].any()
    assert loud[(times < 3000 - grain) | ((times > 5000 + grain) & (times < 8000 - grain))].all()
