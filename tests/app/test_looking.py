"""What the page says and draws of sound."""

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import buzz, sine, speak
from vctool.app import looking
from vctool.errors import DataError

RATE = 16000
Keep = Callable[..., str]


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    """Writes a wave, and returns its path."""

    def write(wave: np.ndarray, name: str = "a", rate: int = RATE) -> str:
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, wave, rate)
        return str(path)

    return write


def said(keep: Keep, made: np.ndarray, source: np.ndarray) -> list[str]:
    return looking.verdicts(Path(keep(made, "made")), Path(keep(source, "source")))


def test_faults_of_an_output_are_called_so(keep: Keep) -> None:
    voice, other = speak(1, 110, 2.0), speak(2, 210, 2.0)
    assert said(keep, other, voice) == []
    for made, word in (
        (np.zeros(2 * RATE), "silent although the recording is not"),
        (np.clip(20 * other, -1, 1), "is clipped"),
        (sine(2.0, 220), "one tone throughout"),
        (0.5 * voice, "a copy of the recording"),
    ):
        (verdict,) = said(keep, made, voice)
        assert word in verdict
    assert said(keep, np.zeros(2 * RATE), np.zeros(2 * RATE)) == []  # as it should be


def test_a_tone_lies_where_its_frequency_is(keep: Keep) -> None:
    for hertz in (110.0, 440.0, 3520.0):
        image = looking.spectrogram(Path(keep(sine(2.0, hertz))), RATE, 2 * RATE)
        assert image.shape[0] == looking.BANDS and image.shape[1] <= looking.COLUMNS
        share = np.log(hertz / looking.LOWEST_HZ) / np.log(looking.HIGHEST_HZ / looking.LOWEST_HZ)
        assert abs(int(image.sum(axis=1).argmax()) - share * looking.BANDS) < 3
        assert image.max() == 255
    # 8 kHz is all that this rate has: nothing is drawn above.
    top = np.log(8000 / looking.LOWEST_HZ) / np.log(looking.HIGHEST_HZ / looking.LOWEST_HZ)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, RATE)
    image = looking.spectrogram(Path(keep(noise)), RATE, RATE)
    assert not image[round(top * looking.BANDS) + 1 :].any() and image[40:80].min() > 100
    assert not looking.spectrogram(Path(keep(np.zeros(RATE))), RATE, RATE).any()


def test_both_of_a_conversion_are_drawn_to_scale(keep: Keep) -> None:
    look = looking.look(keep(speak(1, 200, 3.0)), keep(speak(2, 100, 2.0), "b"))
    for side, seconds, hertz in (("output", 3.0, 200), ("source", 2.0, 100)):
        drawn = look[side]
        assert drawn["seconds"] == seconds
        image = np.frombuffer(base64.b64decode(drawn["image"]), np.uint8)
        assert len(image) == looking.BANDS * drawn["columns"]
        voiced = [one for one in drawn["f0"] if one]
        assert np.median(voiced) == pytest.approx(hertz, rel=0.15)
        assert abs(len(drawn["f0"]) - 100 * seconds) < 3


def test_peaks_are_those_of_the_wave(keep: Keep) -> None:
    wave = np.zeros(3 * RATE)
    wave[RATE], wave[2 * RATE] = 0.5, -0.25
    peaks = np.array(looking.peaks(Path(keep(wave)), len(wave))).reshape(-1, 2)
    assert len(peaks) == looking.PEAKS
    column = len(wave) / len(peaks)
    assert peaks[int(RATE / column)].tolist() == [0, 64]
    assert peaks[int(2 * RATE / column)].tolist() == [-32, 0]
    assert np.count_nonzero(peaks) == 2


def test_level_and_f0_are_measured(keep: Keep) -> None:
    facts = looking.measure(keep(buzz(2.0, 150, 10)), "voice")
    assert facts["f0"][1] == pytest.approx(150, abs=2)
    louder = looking.measure(keep(2 * buzz(2.0, 150, 10)), "voice")
    assert louder["level"] - facts["level"] == pytest.approx(6.0, abs=0.15)
    assert looking.measure(keep(buzz(2.0, 150, 10)), "backing")["f0"] is None


def test_length_is_counted_and_not_believed(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "LONGEST", 1.0)
    with pytest.raises(DataError, match="cut it into parts"):
        looking.measure(keep(speak(1, 110, 1.2)), "voice")


def test_a_mix_is_that_of_the_command(keep: Keep, tmp_path: Path) -> None:
    from vctool import audio
    from vctool.audio.loudness import level_db

    voice, backing = speak(1, 110, 2.0), np.stack([sine(1.0, 330), sine(1.0, 550)], axis=1)
    paths = {"voice": keep(voice, "voice"), "backing": keep(backing, "backing", 22050)}
    levels = looking.levels(**paths, offset=0.0)
    looking.mix(**paths, out=str(tmp_path / "mix.wav"), offset=0.0, vocal_db=-6.0, accomp_db=-60.0)
    mixed, rate = soundfile.read(tmp_path / "mix.wav")
    assert (rate, mixed.shape) == (22050, (44100, 2))
    alone = audio.resample(mixed.mean(axis=1).astype(np.float32), rate, RATE)
    # The voice is laid at the level of the backing, and 6 dB below it.
    assert level_db(alone, RATE) == pytest.approx(levels["backing"] - 6, abs=0.3)
    assert levels["voice"] == pytest.approx(level_db(voice.astype(np.float32), RATE), abs=0.1)
