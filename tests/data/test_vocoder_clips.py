import numpy as np
import pytest
import torch

from vctool.data import vocoder_clips
from vctool.data.feature_set import FeatureSet
from vctool.errors import ConfigError, DataError
from vctool.features import framing, world
from vctool.features.mel import log_mel, mel_distance
from vctool.features.settings import FeatureConfig

CONFIG = FeatureConfig(rate=16000, n_fft=1024, win_length=800, hop_length=200, n_mels=40)
KINDS = ("mel", "pitch", "wave")


def voice(seconds: float, hz: float, seed: int = 0) -> np.ndarray:
    """Make harmonics of a gliding pitch, louder and softer, over faint noise."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * CONFIG.rate)
    glide = hz * 2 ** np.interp(np.arange(samples), np.linspace(0, samples, 6), rng.random(6) * 0.3)
    phase = 2 * np.pi * np.cumsum(glide / CONFIG.rate)
    loud = 0.02 + 0.1 * np.sin(np.arange(samples) / 4000) ** 2
    wave = sum(np.sin(order * phase) / order for order in range(1, 12))
    return (loud * wave + 1e-3 * rng.standard_normal(samples)).astype(np.float32)


def sets(**seconds: float) -> dict[str, FeatureSet]:
    waves = {name: voice(length, 130.0) for name, length in seconds.items()}
    arrays = {
        "mel": {name: log_mel(wave, CONFIG) for name, wave in waves.items()},
        "pitch": {name: world.estimate_f0(wave, CONFIG)[:, None] for name, wave in waves.items()},
        "wave": {name: framing.frame(wave, CONFIG) for name, wave in waves.items()},
    }
    people = dict.fromkeys(waves, "s")
    return {"voices": FeatureSet.from_arrays(arrays, people, dict.fromkeys(waves, "speech"))}


@pytest.mark.parametrize("speed", [0.8, 1.0, 1.25])
def test_mel_pitch_and_sound_of_a_clip_are_of_the_same_moment(speed: float) -> None:
    clips = vocoder_clips.draw(sets(a=2.0, b=3.0), KINDS, CONFIG, 40, 4, 0, (speed,)).batch(0)
    (mel, pitch, frames), keys = vocoder_clips.join(clips, vocoder_clips.columns(KINDS, CONFIG))
    assert keys.shape == (4,)
    wave = vocoder_clips.to_wave(frames)
    assert wave.shape == (4, 40 * 200)
    # a slow voice has less above its old band's edge than the mel's floor says
    apart = float(mel_distance(wave, mel, CONFIG))
    assert apart < (0.02 if speed >= 1 else 0.2)
    late = torch.roll(wave, 200, dims=1)
    assert float(mel_distance(late, mel, CONFIG)) > apart + 0.02
    # the pitch that the tracker hears in the clip itself, where it is far from the clip's ends
    for own, sound in zip(pitch[:, 0].numpy(), wave.numpy(), strict=True):
        heard = world.estimate_f0(sound[CONFIG.hop_length // 2 :], CONFIG)[8:-8]
        both = (heard > 0) & (own[8:-8] > 0)
        assert both.mean() > 0.5
        cents = 1200 * np.log2(heard[both] / own[8:-8][both])
        assert np.median(np.abs(cents)) < 15


def test_each_speed_is_a_voice_of_its_own() -> None:
    data = vocoder_clips.draw(sets(a=3.0), KINDS, CONFIG, 40, 2, 0, (0.8, 1.0, 1.25))
    medians = []
    for clips in data.batch(0).values():
        pitch = clips.voice[:, CONFIG.n_mels].numpy()
        medians.append(float(np.median(pitch[pitch > 0])))
    assert medians[0] < 0.9 * medians[1] < 0.81 * medians[2]


def test_what_is_shorter_than_a_clip_is_left_out() -> None:
    data = vocoder_clips.draw(sets(short=0.3, long=2.0), KINDS, CONFIG, 40, 4, 0)
    assert {name for step in range(5) for name in data.names(step)} == {"long"}
    with pytest.raises(DataError, match="clip of 400 frames; lower"):
        vocoder_clips.draw(sets(short=0.3), KINDS, CONFIG, 400, 4, 0)


def test_a_clip_is_as_long_as_every_fft_of_its_losses() -> None:
    vocoder_clips.require_long(10, CONFIG, (512, 2000))
    with pytest.raises(ConfigError, match="an FFT of 2048 samples is longer than a clip of model"):
        vocoder_clips.require_long(10, CONFIG, (512, 2048))


def test_playing_twice_as_fast_halves_time_and_doubles_pitch() -> None:
    wave = voice(2.0, 110.0)
    parts = {
        "mel": log_mel(wave, CONFIG),
        "pitch": world.estimate_f0(wave, CONFIG)[:, None],
        "wave": framing.frame(wave, CONFIG),
    }
    fast = vocoder_clips.at_speed(parts, 2.0, CONFIG)
    assert {len(one) for one in fast.values()} == {CONFIG.frames((161 * 200 - 100) // 2)}
    before, after = (one["pitch"][one["pitch"] > 0] for one in (parts, fast))
    assert np.median(after) == pytest.approx(2 * np.median(before), rel=0.02)


def test_the_wave_of_a_whole_utterance_has_its_mel() -> None:
    wave = torch.from_numpy(framing.frame(voice(1.0, 120.0), CONFIG)).reshape(1, -1)
    mel = torch.from_numpy(log_mel(voice(1.0, 120.0), CONFIG)).T[None]
    assert float(mel_distance(wave, mel, CONFIG)) < 0.02
    assert float(mel_distance(0.1 * wave, mel, CONFIG)) == pytest.approx(2.0, abs=0.1)
