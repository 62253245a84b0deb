"""`vctool double`: files in, files out."""

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import make_speech
from vctool.errors import AudioError, ConfigError, VctoolError
from vctool.inference.double import Doubler, DoubleSettings
from vctool.inference.double_output import double_files


def saved(path: Path, rate: int = 16000, seconds: float = 1.0, channels: int = 1) -> np.ndarray:
    """Write a lead and return it as it is read: (T, C)."""
    lead = make_speech(seconds, rate)[:, None] * np.ones(channels)
    soundfile.write(path, lead, rate)
    return np.asarray(soundfile.read(path, always_2d=True)[0])


def heard(path: Path) -> np.ndarray:
    return np.asarray(soundfile.read(path, dtype="int16")[0])


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (192000, 1), (16000, 6)])
def test_a_double_has_its_lead_s_rate_and_length(tmp_path: Path, rate: int, channels: int) -> None:
    lead = saved(tmp_path / "lead.wav", rate, 0.7, channels)
    (path,) = double_files([str(tmp_path / "lead.wav")])
    assert path == tmp_path / "lead.double.wav"
    assert soundfile.info(path).samplerate == rate
    made = heard(path)
    assert made.shape == (len(lead),)
    # the very samples of the stream
    doubler = Doubler(rate, DoubleSettings())
    mono = lead.mean(axis=1).astype(np.float32)
    stream = np.concatenate([doubler.process(mono), doubler.flush()], axis=1)[0, doubler.latency :]
    np.testing.assert_array_equal(made, np.rint(stream.astype(float) * 32768))


def test_a_part_is_the_same_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vctool.inference.double_output.CHUNK_SECONDS", 0.25)
    monkeypatch.setattr("vctool.inference.double.PREROLL_SECONDS", 1.0)
    monkeypatch.setattr("vctool.inference.double_motion.MEMORY_SECONDS", 0.3)
    saved(tmp_path / "lead.wav", 8000, 3.0)
    settings = DoubleSettings(takes=2)
    whole = double_files([str(tmp_path / "lead.wav")], settings=settings)
    assert [path.name for path in whole] == ["lead.double1.wav", "lead.double2.wav"]
    for at in (0.3, 2.6):
        part = double_files(
            [str(tmp_path / "lead.wav")], settings=settings, at=at, out=tmp_path / f"{at}"
        )
        for one, other in zip(whole, part, strict=True):
            np.testing.assert_array_equal(heard(other), heard(one)[round(8000 * at) :])


def test_a_mix_has_the_lead_in_the_middle_and_takes_at_the_sides(tmp_path: Path) -> None:
    lead = saved(tmp_path / "lead.wav")[:, 0]
    paths = double_files([str(tmp_path / "lead.wav")], settings=DoubleSettings(takes=2), mix=True)
    assert paths[-1].name == "lead.double.mix.wav"
    both, _ = soundfile.read(paths[-1])
    left, right = (soundfile.read(path)[0] for path in paths[:2])
    sides = np.sqrt(0.5) * lead[:, None] + 10 ** (-6 / 20) * np.stack([left, right], axis=1)
    np.testing.assert_allclose(both, sides, atol=2e-4)
    two = double_files([str(tmp_path / "lead.wav")], mix=True, out=tmp_path / "made")
    assert [path.name for path in two] == ["lead.double.wav", "lead.double.mix.wav"]


def test_a_loud_mix_is_lowered_as_a_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loud = np.clip(30 * make_speech(1.0), -1, 1)
    soundfile.write(tmp_path / "lead.wav", loud, 16000)
    with caplog.at_level(logging.INFO):
        paths = double_files([str(tmp_path / "lead.wav")], mix=True)
    assert 0.98 < np.abs(soundfile.read(paths[1])[0]).max() < 0.995
    assert "softer so as not to clip" in caplog.text


def test_a_silent_lead_stays_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    soundfile.write(tmp_path / "lead.wav", np.zeros(8000), 8000)
    with caplog.at_level(logging.INFO):
        (path,) = double_files([str(tmp_path / "lead.wav")])
    assert not heard(path).any() and "silent" in caplog.text


def test_bad_leads_are_one_line_and_leave_nothing(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    holed = make_speech(1.0)
    holed[5000] = np.nan
    soundfile.write(tmp_path / "nan.wav", holed, 16000, subtype="FLOAT")
    saved(tmp_path / "slow.wav", 4000)
    saved(tmp_path / "short.wav", 8000, 0.004)
    for name, told in (
        ("empty", "empty"),
        ("nan", "NaN"),
        ("slow", "4000 Hz"),
        ("none", "no such"),
    ):
        with pytest.raises(AudioError, match=told) as error:
            double_files([str(tmp_path / f"{name}.wav")], mix=True)
        assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("*double*"))
    (path,) = double_files([str(tmp_path / "short.wav")])
    assert len(heard(path)) == 32


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    saved(tmp_path / "lead.wav")
    with pytest.raises(AudioError, match=r"lead.wav: cannot be made: .*; pass --out"):
        double_files([str(tmp_path / "lead.wav")], out=tmp_path / "lead.wav" / "x.wav")


def test_wrong_wishes_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "lead.wav")
    lead = [str(tmp_path / "lead.wav")]
    with pytest.raises(ConfigError, match="--at -1"):
        double_files(lead, at=-1.0)
    with pytest.raises(VctoolError, match=r"holds only 1\.00 s"):
        double_files(lead, at=9.0)
    with pytest.raises(ConfigError, match="need a folder"):
        double_files(lead, settings=DoubleSettings(takes=2), out=tmp_path / "one.wav")
    with pytest.raises(AudioError, match="is an input"):
        double_files(lead, out=tmp_path / "lead.wav", force=True)
    double_files(lead)
    with pytest.raises(AudioError, match="--force"):
        double_files(lead)
    double_files(lead, force=True)


def test_of_several_leads_those_that_can_are_doubled(tmp_path: Path) -> None:
    saved(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_bytes(b"no sound")
    with pytest.raises(AudioError, match="1 of 2 leads"):
        double_files([str(tmp_path)], out=tmp_path / "made")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["a.double.wav"]
