"""The mix of a converted voice with its accompaniment."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vctool.audio import level_db, resample
from vctool.errors import ConfigError
from vctool.inference.files import convert_files

Make = Callable[..., np.ndarray]
Save = Callable[..., Path]
BACKING = {"accomp": Path("organ.wav"), "mix": True, "force": True, "device": "cpu"}


@pytest.fixture
def exp(files: Path, save_toy: Save, speech: Make, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder that holds `long.wav` (2 s) and one trained experiment."""
    monkeypatch.chdir(files)
    soundfile.write("long.wav", speech(2.0), 16000)
    return save_toy()


def mixed(**options: object) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the voice (T,) at the mix's rate, the mix (T, 2), and its rate."""
    convert_files(["long.wav"], **(BACKING | options))  # type: ignore[arg-type]
    voice, voice_rate = soundfile.read("long.singing.wav", dtype="float32")
    both, rate = soundfile.read("long.singing.mix.wav", dtype="float32")
    return resample(voice, voice_rate, rate), both, rate


def parts(both: np.ndarray, voice: np.ndarray, organ: np.ndarray) -> np.ndarray:
    """Return the gains (2,) of voice and accompaniment that make up one channel of a mix."""
    basis = np.stack([voice, organ[: len(voice)]], axis=1)
    gains, *_ = np.linalg.lstsq(basis, both, rcond=None)
    rest = both - basis @ gains
    assert np.abs(rest).max() < 0.01 * np.abs(both).max()  # there is nothing else in it
    return np.asarray(gains)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_the_mix_has_the_channels_rate_and_level_of_its_accompaniment(
    exp: Path, note: Make, rate: int
) -> None:
    sides = np.stack([0.7 * note(2.0, 57, rate), 0.4 * note(2.0, 64, rate)], axis=1)
    soundfile.write("organ.wav", sides, rate, subtype="FLOAT")
    voice, both, made_at = mixed(vocal_gain=-6, accomp_gain=0)
    assert made_at == rate and both.shape == (2 * rate, 2)
    gains = [parts(both[:, side], voice, sides[:, side]) for side in (0, 1)]
    assert gains[0][0] == pytest.approx(gains[1][0], rel=1e-2)  # the voice is in the middle
    assert [one[1] for one in gains] == pytest.approx([1, 1], abs=0.01)  # unchanged
    level = 10 * np.log10(np.mean([10 ** (level_db(sides[:, one], rate) / 10) for one in (0, 1)]))
    assert level_db(gains[0][0] * voice, rate) == pytest.approx(level - 6, abs=0.2)


def test_gains_are_the_recipe_s_unless_they_are_given(
    exp: Path, save_toy: Save, note: Make
) -> None:
    organ = note(2.0, 57)
    soundfile.write("organ.wav", 0.5 * organ, 16000, subtype="FLOAT")
    save_toy(vocal_gain_db=-12.0, accomp_gain_db=-20.0)
    voice, both, _ = mixed()
    quiet = parts(both[:, 0], voice, 0.5 * organ)
    assert quiet[1] == pytest.approx(0.1, abs=0.005)
    voice, both, _ = mixed(vocal_gain=-6.0, accomp_gain=-6.0)
    loud = parts(both[:, 0], voice, 0.5 * organ)
    assert loud[0] / quiet[0] == pytest.approx(10 ** (6 / 20), rel=0.02)
    assert loud[1] == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(both[:, 0], both[:, 1])  # mono on both sides


def test_a_mix_that_would_clip_is_lowered_as_a_whole_and_that_is_said(
    exp: Path, note: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    organ = note(2.0, 57)
    organ *= 0.95 / np.abs(organ).max()
    soundfile.write("organ.wav", organ, 16000, subtype="FLOAT")
    voice, both, _ = mixed(vocal_gain=0, accomp_gain=0)
    assert np.abs(both).max() == pytest.approx(0.99, abs=1e-3)
    gains = parts(both[:, 0], voice, organ)
    told = f"all {-20 * np.log10(gains[1]):.1f} dB softer so as not to clip"
    assert gains[1] < 0.9 and told in caplog.text
    caplog.clear()
    mixed(vocal_gain=-20, accomp_gain=-6)
    assert "stereo, 16000 Hz; the voice -20.0 dB" in caplog.text and "softer" not in caplog.text


@pytest.mark.parametrize("silent", ["accompaniment", "voice"])
def test_silence_has_no_level_to_be_matched_to(exp: Path, note: Make, silent: str) -> None:
    quiet = np.zeros(32000)
    organ = quiet if silent == "accompaniment" else 0.5 * note(2.0, 57)
    soundfile.write("organ.wav", organ, 16000)
    if silent == "voice":
        soundfile.write("long.wav", quiet, 16000)
    voice, both, _ = mixed(vocal_gain=0, accomp_gain=0)
    np.testing.assert_allclose(both[:, 0], voice + organ, atol=3e-4)


def test_an_accompaniment_at_any_rate_keeps_its_pitch(exp: Path, note: Make) -> None:
    # The published application mixed it at whatever rate it had: too slow, and out of tune.
    for rate in (8000, 44100):
        soundfile.write("organ.wav", note(2.0, 57, rate), rate)
        _, both, made_at = mixed(vocal_gain=-60, accomp_gain=0)
        assert made_at == max(rate, 16000)
        spectrum = np.abs(np.fft.rfft(both[:, 0] * np.hanning(len(both))))
        pitch = spectrum.argmax() * made_at / len(both)
        assert 12 * np.log2(pitch / 220) % 12 == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_an_offset_is_heard_in_the_mix(exp: Path, note: Make, rate: int) -> None:
    organ = np.concatenate([np.zeros(rate), 0.3 * note(2.0, 57, rate)])
    soundfile.write("organ.wav", organ, rate, subtype="FLOAT")
    given = {"vocal_gain": 0.0, "accomp_gain": 0.0}
    voice, both, _ = mixed(accomp_offset=1.0, **given)
    assert parts(both[:, 0], voice, organ[rate:])[1] == pytest.approx(1, abs=0.01)
    # half a second before the file begins, then its own second of silence
    voice, both, _ = mixed(accomp_offset=-0.5, **given)
    late = np.concatenate([np.zeros(rate // 2), organ])
    assert parts(both[:, 0], voice, late)[1] == pytest.approx(1, abs=0.01)


def test_of_more_than_two_channels_the_downmix_is_mixed(
    exp: Path, note: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    organ = 0.5 * note(2.0, 57)
    soundfile.write("organ.wav", np.stack([organ] * 4, axis=1), 16000, subtype="FLOAT")
    voice, both, _ = mixed(vocal_gain=-6, accomp_gain=0)
    assert parts(both[:, 1], voice, organ)[1] == pytest.approx(1, abs=0.01)
    assert "organ.wav: the downmix of its 4 channels is mixed" in caplog.messages


@pytest.mark.parametrize("option", ["vocal_gain", "accomp_gain"])
@pytest.mark.parametrize("gain", [-61.0, 21.0, float("nan")])
def test_gains_out_of_range_are_refused(exp: Path, option: str, gain: float) -> None:
    given = {**BACKING, "accomp": Path("inst.wav"), option: gain}
    with pytest.raises(ConfigError, match=rf"--{option.replace('_', '-')} .*between -60 and 20"):
        convert_files(["long.wav"], **given)  # type: ignore[arg-type]
