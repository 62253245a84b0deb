"""Conversion in memory: lengths, pitch, loudness, blocks, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import vctool
from tests.sounds import buzz
from vctool.audio import level_db
from vctool.audio.tracks import ArrayTrack
from vctool.errors import AudioError, CheckpointError, ConfigError
from vctool.features import mel, world
from vctool.features.analysis import scan, voice_features
from vctool.features.settings import FeatureConfig
from vctool.inference.converter import Converter

Make = Callable[..., np.ndarray]
Save = Callable[..., Path]
A, E = 57, 52  # MIDI notes


def median_note(wave: np.ndarray, features: FeatureConfig) -> float:
    f0 = world.estimate_f0(wave, features)
    return float(np.median(69 + 12 * np.log2(f0[f0 > 0] / 440)))


def test_load_needs_only_the_experiment(save_toy: Save) -> None:
    converter = vctool.load(save_toy())
    assert isinstance(converter, Converter)
    assert converter.roles == ("speech", "singing") and converter.rate == 16000


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("stretch", [1.0, 1.37])
def test_the_output_is_as_long_as_asked(
    save_toy: Save, speech: Make, note: Make, rate: int, stretch: float
) -> None:
    wave = speech(0.83, rate)
    out, out_rate = vctool.load(save_toy(), "cpu").convert(
        wave, rate, note(2.0, A), 16000, stretch=stretch
    )
    assert out_rate == 16000 and out.dtype == np.float32
    assert abs(len(out) - len(wave) * 16000 / rate * stretch) <= 1
    assert np.isfinite(out).all() and np.abs(out).max() <= 1


@pytest.mark.parametrize("seconds", [0.1, 0.37])
def test_short_recordings_are_converted(
    save_toy: Save, speech: Make, note: Make, seconds: float
) -> None:
    out, _ = vctool.load(save_toy(), "cpu").convert(speech(seconds), 16000, note(1.0, A))
    assert len(out) == round(seconds * 16000)


def test_channels_and_integers_are_the_same_sound(save_toy: Save, speech: Make, note: Make) -> None:
    converter = vctool.load(save_toy(), "cpu")
    wave = np.round(speech(0.5) * 32768) / 32768
    accomp = note(0.5, A)
    plain, _ = converter.convert(wave, 16000, accomp)
    stereo = np.stack([wave, wave], axis=1)
    np.testing.assert_allclose(converter.convert(stereo, 16000, accomp)[0], plain, atol=1e-5)
    pcm = (wave * 32768).astype(np.int16)
    np.testing.assert_allclose(converter.convert(pcm, 16000, accomp)[0], plain, atol=1e-5)
    # Deterministic: the same again, bit for bit.
    assert np.array_equal(converter.convert(wave, 16000, accomp)[0], plain)


@pytest.mark.parametrize("pitch", [A, E])
def test_the_voice_follows_its_accompaniment(
    save_toy: Save, speech: Make, note: Make, features: FeatureConfig, pitch: int
) -> None:
    out, _ = vctool.load(save_toy(), "cpu").convert(speech(2.0), 16000, note(2.0, pitch))
    away = (median_note(out, features) - pitch + 6) % 12 - 6
    assert abs(away) < 0.3


def test_an_offset_moves_the_accompaniment(
    save_toy: Save, speech: Make, note: Make, features: FeatureConfig
) -> None:
    accomp = np.concatenate([note(3.0, A), note(3.0, E)])
    out, _ = vctool.load(save_toy(), "cpu").convert(speech(2.0), 16000, accomp, accomp_offset=3.5)
    assert abs((median_note(out, features) - E + 6) % 12 - 6) < 0.3


def test_transposing_moves_the_pitch(
    save_toy: Save, speech: Make, note: Make, features: FeatureConfig
) -> None:
    converter = vctool.load(save_toy(), "cpu")
    plain, _ = converter.convert(speech(2.0), 16000, note(2.0, A))
    moved, _ = converter.convert(speech(2.0), 16000, note(2.0, A), transpose=5.0)
    difference = median_note(moved, features) - median_note(plain, features)
    assert difference == pytest.approx(5, abs=0.2)


def test_vocoders_without_f0_are_transposed_in_their_sound(
    save_toy: Save, speech: Make, features: FeatureConfig
) -> None:
    converter = vctool.load(save_toy(), "cpu")
    wave = speech(2.0)

    class Played:
        reads = ("mel",)

        def synthesise(self, *_: object) -> np.ndarray:
            return wave

    converter.vocoder = Played()  # type: ignore[assignment]
    moved = converter.synthesise({}, len(wave), transpose=-7.0)
    difference = median_note(moved, features) - median_note(wave, features)
    assert len(moved) == len(wave) and difference == pytest.approx(-7, abs=0.3)


def test_loudness_is_that_of_the_input(save_toy: Save, speech: Make, note: Make) -> None:
    converter = vctool.load(save_toy(), "cpu")
    for gain in (1.0, 0.05):
        wave = gain * speech(2.0)
        out, _ = converter.convert(wave, 16000, note(2.0, A))
        assert level_db(out, 16000) == pytest.approx(level_db(wave, 16000), abs=0.2)


def test_loud_output_is_lowered_and_never_clipped(save_toy: Save, speech: Make, note: Make) -> None:
    wave = speech(1.0)
    wave = np.clip(20 * wave, -1, 1)  # a square wave, louder than anything unclipped
    out, _ = vctool.load(save_toy(), "cpu").convert(wave, 16000, note(1.0, A))
    assert np.abs(out).max() == pytest.approx(0.99, abs=1e-3)


@pytest.mark.parametrize("offset", [0.0, 1 / 128])
def test_silence_stays_silence(
    save_toy: Save, note: Make, offset: float, caplog: pytest.LogCaptureFixture
) -> None:
    wave = np.full(8000, offset, np.float32)
    out, _ = vctool.load(save_toy(), "cpu").convert(wave, 16000, note(1.0, A), stretch=1.5)
    assert len(out) == 12000 and not out.any()
    assert "silent" in caplog.text


def test_a_stretched_voice_keeps_its_pauses(
    save_toy: Save, note: Make, features: FeatureConfig
) -> None:
    vowel = buzz(1.0, 110, 19)
    # Second differences of noise, bright as an s: the tracker finds no pitch in it.
    noise = 1e-3 * np.diff(np.random.default_rng(0).normal(size=16002), n=2)
    wave = np.concatenate([noise, vowel + noise]).astype(np.float32)
    out, _ = vctool.load(save_toy(), "cpu").convert(wave, 16000, note(4.0, A), stretch=1.5)
    f0 = world.estimate_f0(out, features)
    voiced = np.flatnonzero(f0 > 0) * features.hop_length / 16000
    # The second of noise stays a second; the vowel lasts two.
    assert voiced.min() == pytest.approx(1.0, abs=0.1) and len(out) == 48000
    assert len(voiced) * features.hop_length / 16000 == pytest.approx(2.0, abs=0.15)


def test_blocks_agree_with_one_whole_pass(
    save_toy: Save, speech: Make, note: Make, features: FeatureConfig
) -> None:
    wave, accomp = speech(13.0), np.concatenate([note(6.5, A), note(6.5, E)])
    whole, _ = vctool.load(save_toy("whole"), "cpu").convert(wave, 16000, accomp)
    blocks, _ = vctool.load(save_toy("blocks", block_seconds=5.0), "cpu").convert(
        wave, 16000, accomp
    )
    assert len(blocks) == len(whole)
    # Every block hears its own part of the accompaniment, five semitones from the other part;
    # the tracker wavers by less than one where the toy jumps by an octave.
    for part, pitch in ((blocks[: 6 * 16000], A), (blocks[9 * 16000 :], E)):
        assert abs((median_note(part, features) - pitch + 6) % 12 - 6) < 1
    first, second = mel.log_mel(whole, features), mel.log_mel(blocks, features)
    difference = np.abs(first - second).mean(axis=1)
    # No frame sticks out: the worst 0.2 s, at a seam or anywhere, differ by little.
    window = np.convolve(difference, np.ones(25) / 25, mode="valid")
    assert difference.mean() < 1.5 and window.max() < 4.0


@pytest.mark.parametrize("stretch", [1.0, 1.5])
def test_a_held_tone_has_no_seam(save_toy: Save, note: Make, stretch: float) -> None:
    wave = buzz(13.0, 110, 19)
    converter = vctool.load(save_toy("blocks", block_seconds=5.0), "cpu")
    out, _ = converter.convert(wave, 16000, note(20.0, A), stretch=stretch)
    assert len(out) == round(13 * 16000 * stretch)
    inner = out[8000 : len(out) // 400 * 400 - 8000]
    levels = 20 * np.log10(np.sqrt(np.mean(inner.reshape(-1, 400) ** 2, axis=1)))
    # 25 ms at a time, nothing dips or swells, wherever the two cuts fell.
    assert np.abs(levels - np.median(levels)).max() < 2.0


def test_features_are_those_of_the_dump(speech: Make, features: FeatureConfig) -> None:
    wave = speech(1.0)
    known = scan(ArrayTrack(wave), features, ("mel", "world", "chroma"), len(wave))
    found = voice_features(wave, ("mel", "world", "chroma"), features, known)
    assert np.array_equal(found["mel"], mel.log_mel(wave, features))
    assert np.array_equal(found["world"], world.analyse(wave, features, *known.f0_range))
    # The range is the voice's own, narrower than the wide one that it was found with.
    floor, ceil = known.f0_range
    assert features.f0_floor < floor < 100 and 150 < ceil < 300
    assert {len(values) for values in found.values()} == {features.frames(len(wave))}


def test_a_block_has_the_floor_of_the_whole(speech: Make, features: FeatureConfig) -> None:
    wave = np.concatenate([speech(1.0), 1e-3 * speech(1.0)])
    known = scan(ArrayTrack(wave), features, ("mel",), 8000)
    quiet = voice_features(wave[16000:], ("mel",), features, known)["mel"]
    floor = mel.log_mel(wave, features).min()
    assert quiet.min() == pytest.approx(floor, abs=0.5)


def test_the_other_direction_needs_no_accompaniment(save_toy: Save, speech: Make) -> None:
    out, _ = vctool.load(save_toy(), "cpu").convert(speech(0.5), 16000, to="speech")
    assert len(out) == 8000
    with pytest.raises(AudioError, match=r"needs an accompaniment; pass --accomp"):
        vctool.load(save_toy(), "cpu").convert(speech(0.5), 16000)


def test_only_the_recipe_s_target_is_stretched_by_itself(save_toy: Save, speech: Make) -> None:
    converter = vctool.load(save_toy(stretch=1.5), "cpu")
    assert converter.request().stretch == converter.request("singing").stretch == 1.5
    assert converter.request("speech").stretch == 1.0
    assert converter.request("speech", 2.0).stretch == 2.0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"to": "singin"}, r"--to singin: .*did you mean 'singing'"),
        ({"stretch": 0.1}, r"--stretch 0.1: must lie between 0.25 and 4"),
        ({"transpose": 60.0}, r"--transpose 60: must lie between -36 and 36"),
        ({"stretch": float("nan")}, r"--stretch nan"),
    ],
)
def test_impossible_wishes_are_named(
    save_toy: Save, speech: Make, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        vctool.load(save_toy(), "cpu").convert(speech(0.5), 16000, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wave", "told"),
    [
        (np.zeros(0), "at least 0.1 s"),
        (np.zeros(160), r"wave: lasts 0\.01 s; at least 0\.1 s"),
        (np.full(8000, np.nan), "NaN or infinity"),
        (np.full(8000, np.inf), "NaN or infinity"),
        (np.zeros((2, 8000)), r"shape \(2, 8000\); expected \(samples,\)"),
    ],
)
def test_unusable_arrays_are_refused(save_toy: Save, wave: np.ndarray, told: str) -> None:
    with pytest.raises(AudioError, match=told):
        vctool.load(save_toy(), "cpu").convert(wave, 16000, to="speech")


def test_a_model_that_gives_nan_is_named(save_toy: Save, speech: Make) -> None:
    path = save_toy(poisoned=True)
    with pytest.raises(CheckpointError, match=r"gives NaN or infinity in world; train on"):
        vctool.load(path, "cpu").convert(speech(0.5), 16000, to="speech")


def test_devices_are_checked(save_toy: Save) -> None:
    with pytest.raises(ConfigError, match=r"--device gpu: no such device; use auto, cpu"):
        vctool.load(save_toy(), "gpu")
    with pytest.raises(ConfigError, match=r"--device cuda:99: no such GPU"):
        vctool.load(save_toy(), "cuda:99")
