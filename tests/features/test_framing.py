import numpy as np
import pytest

from vctool.audio.tracks import ArrayTrack
from vctool.data.extraction import Task, features_of
from vctool.data.utterance import Utterance
from vctool.features import framing
from vctool.features.analysis import scan, voice_features
from vctool.features.mel import log_mel
from vctool.features.settings import FeatureConfig

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
