"""What of a recording its output keeps: a share of its sound, and its left and right."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.sounds import buzz, speak
from vctool.audio.tracks import ArrayTrack
from vctool.errors import ConfigError
from vctool.inference.files import convert_files
from vctool.inference.stereo import Stereo, restored

RATE = 16000


def laid(middle: np.ndarray, left: np.ndarray, right: np.ndarray, chunk: int = 1 << 20) -> Any:
    sides = Stereo(ArrayTrack(left), ArrayTrack(right))
    return np.concatenate(list(restored(ArrayTrack(middle), sides, RATE, chunk)))


def test_a_recording_alike_on_both_sides_stays_in_the_middle() -> None:
    middle = buzz(1.0, 220, 10).astype(np.float32)
    made = laid(middle, 0.3 * middle, 0.3 * middle)
    np.testing.assert_allclose(made, np.stack([middle, middle], axis=1), atol=1e-5)


def test_every_band_goes_to_the_side_where_the_recording_has_it() -> None:
    low, high = buzz(1.0, 150, 3), buzz(1.0, 3000, 1)
    middle = (low + high).astype(np.float32)
    made = laid(middle, low, high)
    for side, own, other in ((0, 150, 3000), (1, 3000, 150)):
        power = np.abs(np.fft.rfft(made[:, side] * np.hanning(len(made)))) ** 2
        assert power[own] > 1000 * power[other]
    wanted = np.square(middle).mean()
    assert np.square(made).mean() == pytest.approx(wanted, rel=0.05)


@pytest.mark.parametrize("chunk", [512, 5000, 16000])
def test_pieces_do_not_show(chunk: int) -> None:
    rng = np.random.default_rng(0)
    middle, left, right = rng.standard_normal((3, 20011)).astype(np.float32)
    np.testing.assert_allclose(
        laid(middle, left, right, chunk), laid(middle, left, right), atol=1e-5
    )


@pytest.fixture
def voice(tmp_path: Path, save_mimic: Any, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Work in a folder with a model that moves pitch, and a recording of three quarters left."""
    monkeypatch.chdir(tmp_path)
    save_mimic()
    wave = speak(1, 110, 1.5)
    soundfile.write("in.wav", wave, RATE)
    soundfile.write("wide.wav", np.stack([wave, wave / 3], axis=1), RATE)
    return wave


def convert(name: str, **options: Any) -> np.ndarray:
    convert_files([name], out=Path("out.wav"), device="cpu", force=True, **options)
    made: np.ndarray = soundfile.read("out.wav")[0]
    return made


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def test_a_share_of_the_recording_is_in_the_output_at_the_same_time(voice: np.ndarray) -> None:
    wet, half, dry = (convert("in.wav", dry=share) for share in (0.0, 0.5, 1.0))
    assert alike(dry, voice) > 0.999 and abs(alike(wet, voice)) < 0.3
    assert alike(half, wet + dry) > 0.99
    powers = [float(np.square(one).mean()) for one in (wet, half, dry)]
    np.testing.assert_allclose(powers, np.square(voice).mean(), rtol=0.3)  # as loud as the input


def test_a_stereo_recording_keeps_its_sides_and_a_mono_one_has_none(
    voice: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert convert("wide.wav").ndim == 1
    made = convert("wide.wav", stereo=True, rate="44100")
    assert made.shape == (round(1.5 * 44100), 2)
    left, right = np.sqrt(np.square(made).mean(axis=0))
    assert left / right == pytest.approx(3.0, rel=0.02)
    assert alike(made[:, 0], made[:, 1]) > 0.999
    assert convert("in.wav", stereo=True).ndim == 1
    assert "--stereo: in.wav is mono, and its output mono" in caplog.text
    dry = convert("wide.wav", stereo=True, dry=1.0)
    assert alike(dry[:, 0], voice) > 0.99


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"dry": 1.5}, "--dry 1.5: must lie between 0 and 1"),
        ({"dry": 0.5, "stretch": 2.0}, "--dry: the output is 2 times as long .* pass --stretch 1"),
        ({"stereo": True, "stretch": 2.0}, "--stereo: the output is 2 times as long"),
    ],
)
def test_what_cannot_be_kept_is_refused(voice: np.ndarray, options: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        convert("wide.wav", **options)
