"""A voice from recordings with no experiment: the model that comes with vctool."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import vctool
from tests.sounds import make_speech, sine, speak
from vctool.audio import level_db
from vctool.cli import app
from vctool.errors import AudioError, CheckpointError, ConfigError
from vctool.features import world
from vctool.features.settings import FeatureConfig
from vctool.inference import untrained
from vctool.inference.files import convert_files

RATE = 16000
SOURCE, TARGET = 110.0, 200.0
"""F0 of the voices [Hz]."""
Save = Callable[..., Path]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with `in.wav` and two recordings of a target in `anna/`; no experiment."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", speak(1, SOURCE, 1.5), RATE)
    Path("anna").mkdir()
    for take in (2, 3):
        soundfile.write(f"anna/{take}.wav", speak(take, TARGET, 2.0), RATE)
    return tmp_path


def invoke(*words: str) -> Any:
    return CliRunner().invoke(app, ["convert", *words, "--device", "cpu"])


def pitch(path: str) -> float:
    wave, rate = soundfile.read(path, dtype="float32")
    f0 = world.estimate_f0(wave, FeatureConfig(rate=rate, hop_length=rate // 200))
    return float(np.median(f0[f0 > 0]))


def test_recordings_are_a_target_with_nothing_trained(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert invoke("in.wav", "--to", "anna/").exit_code == 0
    assert "model: knn_vc, which needs no training, to anna" in caplog.text
    (wave, rate), (source, _) = soundfile.read("in.anna.wav"), soundfile.read("in.wav")
    assert (rate, len(wave)) == (RATE, len(source))
    assert pitch("in.anna.wav") == pytest.approx(TARGET, rel=0.08)
    assert level_db(wave, RATE) == pytest.approx(level_db(source, RATE), abs=0.6)
    # The same in Python, by name.
    out, rate = vctool.load("knn_vc", "cpu").convert(source.astype("f4"), RATE, to="anna")
    np.testing.assert_allclose(out, wave, atol=1 / 32768)


def test_it_is_a_model_by_name_with_its_own_option(here: Path) -> None:
    words = ("in.wav", "--model", "knn_vc", "--to", "anna/2.wav", "--amount", "0")
    assert invoke(*words, "--out", "same.wav").exit_code == 0
    wave, source = (soundfile.read(path)[0] for path in ("same.wav", "in.wav"))
    np.testing.assert_allclose(wave, source, atol=2e-3)
    assert invoke(*words[:-1], "0.5", "--out", "half.wav").exit_code == 0
    assert pitch("half.wav") == pytest.approx(np.sqrt(SOURCE * TARGET), rel=0.06)


def test_a_trained_model_that_takes_recordings_comes_first(
    here: Path, save_mimic: Save, save_toy: Save
) -> None:
    save_toy()  # which takes none
    assert convert_files(["in.wav"], to="anna/", device="cpu").model == Path("knn_vc")
    save_mimic()
    again = convert_files(["in.wav"], to="anna/", device="cpu", force=True)
    assert again.model == Path("exp/mimic")


@pytest.mark.parametrize(
    ("source", "target", "rate"),
    [
        (16000, 44100, 16000),
        (44100, 16000, 16000),
        (48000, 44100, 44100),
        (22050, 48000, 22050),
        (24000, 32000, 22050),
        (8000, 48000, 16000),
    ],
)
def test_the_rate_is_the_highest_that_no_recording_falls_short_of(
    tmp_path: Path, source: int, target: int, rate: int
) -> None:
    paths = []
    for number, own in enumerate((source, target)):
        paths.append(tmp_path / f"{number}.wav")
        soundfile.write(paths[-1], sine(0.1, 200, own), own)
    assert untrained.rate_of(paths) == rate


@pytest.mark.parametrize("rate", list(untrained.RATES))
def test_every_rate_converts_and_keeps_what_is_not_changed(here: Path, rate: int) -> None:
    wave = speak(4, SOURCE, 1.0, rate)
    converter = untrained_at(rate)
    same, own = converter.convert(wave, rate, to="anna", options={"amount": 0.0})
    assert own == rate and len(same) == len(wave)
    np.testing.assert_allclose(same, wave, atol=2e-3)
    made, _ = converter.convert(wave, rate, to="anna")
    assert np.isfinite(made).all() and np.abs(made - wave).max() > 0.01


def untrained_at(rate: int) -> Any:
    from vctool.inference.converter import Converter

    return Converter("knn_vc", "cpu", rate=rate)


def test_stereo_at_another_rate_is_a_target_too(here: Path) -> None:
    wave = speak(5, TARGET, 2.0, 48000)
    soundfile.write("ben.wav", np.stack([wave, 0.5 * wave], axis=1), 48000)
    assert convert_files(["in.wav"], to="ben.wav", device="cpu").exit_code == 0
    assert pitch("in.ben.wav") == pytest.approx(TARGET, rel=0.08)


def test_a_second_of_a_target_is_enough_and_less_than_a_tenth_is_refused(here: Path) -> None:
    soundfile.write("short.wav", speak(5, TARGET, 1.0), RATE)
    assert convert_files(["in.wav"], to="short.wav", device="cpu").exit_code == 0
    assert pitch("in.short.wav") == pytest.approx(TARGET, rel=0.1)
    soundfile.write("tiny.wav", speak(5, TARGET, 0.05), RATE)
    with pytest.raises(AudioError, match=r"tiny.wav: lasts 0.05 s; at least 0.1 s"):
        convert_files(["in.wav"], to="tiny.wav", device="cpu")


def test_a_source_without_pitch_or_sound_stays_so(here: Path) -> None:
    noise = 0.05 * np.random.default_rng(0).standard_normal(RATE)
    soundfile.write("whisper.wav", noise, RATE)
    soundfile.write("nothing.wav", np.zeros(RATE), RATE)
    assert invoke("whisper.wav", "nothing.wav", "--to", "anna/").exit_code == 0
    made, _ = soundfile.read("whisper.anna.wav")
    assert level_db(made, RATE) == pytest.approx(level_db(noise, RATE), abs=1)
    assert not soundfile.read("nothing.anna.wav")[0].any()


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("empty/", r"--to empty/: a folder without recordings"),
        ("silent.wav", r"silent.wav: silent; give a recording with sound"),
        ("notes.wav", r"notes.wav: not audio that can be read"),
        ("nobody.wav", r"--to nobody.wav: .*no such file"),
        (None, r"knn_vc needs a target: pass --to and recordings of a voice"),
    ],
)
def test_what_is_no_target_is_one_line(here: Path, target: str | None, told: str) -> None:
    Path("empty").mkdir()
    soundfile.write("silent.wav", np.zeros(RATE), RATE)
    Path("notes.wav").write_text("not a recording")
    with pytest.raises((AudioError, ConfigError), match=told) as caught:
        convert_files(["in.wav"], model=Path("knn_vc"), to=target, device="cpu")
    assert "\n" not in str(caught.value)
    assert not list(here.glob("in.*.wav"))


def test_a_mistyped_target_is_named_where_there_is_no_model_either(here: Path) -> None:
    with pytest.raises(CheckpointError, match=r"/exp: no trained model and --to ana: no such file"):
        convert_files(["in.wav"], to=["anna", "ana"], device="cpu")
    told = (
        r"/exp: no trained model, whose voices --to all would be; .* --to anna/ --to ben/, need no"
    )
    with pytest.raises(CheckpointError, match=told):
        convert_files(["in.wav"], to="all", device="cpu")
    with pytest.raises(
        ConfigError, match=r"--to all: knn_vc has no voices of its own; .* --to anna/"
    ):
        convert_files(["in.wav"], model=Path("knn_vc"), to="all", device="cpu")


def test_little_of_a_target_is_said_whenever_it_is_used(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for out in ("first.wav", "again.wav"):  # computed, then remembered
        caplog.clear()
        convert_files(["in.wav"], to="anna/", out=Path(out), device="cpu")
        assert caplog.text.count("anna/2.wav and 1 more: only 4.0 s") == 1, caplog.text


def test_singing_stays_in_its_key(here: Path) -> None:
    assert invoke("in.wav", "--to", "anna/", "--pitch", "octave").exit_code == 0
    assert pitch("in.anna.wav") == pytest.approx(2 * SOURCE, rel=0.03)
    refused = invoke("in.wav", "--to", "anna/", "--pitch", "sung", "--out", "b.wav")
    assert isinstance(refused.exception, ConfigError)
    assert "'target', 'octave' or 'keep'" in str(refused.exception)


def test_a_long_recording_in_blocks_has_no_seam(here: Path) -> None:
    wave = make_speech(14, RATE, 0)
    converter = untrained_at(RATE)
    known = converter.reference("anna")
    whole, _ = converter.convert(wave, RATE, to=known)
    converter.settings = converter.settings.model_copy(update={"block_seconds": 5.0})
    blocks, _ = converter.convert(wave, RATE, to=known)
    assert len(blocks) == len(whole)
    jumps = [np.abs(np.diff(made)).max() for made in (blocks, whole)]
    assert jumps[0] < 1.3 * jumps[1]


def test_all_blocks_of_a_recording_are_moved_by_one_interval(here: Path) -> None:
    low, high = speak(4, SOURCE, 3.0), speak(5, 1.5 * SOURCE, 3.0)
    converter, intervals = untrained_at(RATE), []
    for seconds in (60.0, 3.2):
        converter.settings = converter.settings.model_copy(update={"block_seconds": seconds})
        both = np.concatenate([low, high])
        made, _ = converter.convert(both, RATE, to=converter.reference("anna"))
        soundfile.write("low.wav", made[: len(low)], RATE)
        soundfile.write("high.wav", made[len(low) :], RATE)
        intervals.append(12 * np.log2(pitch("high.wav") / pitch("low.wav")))
    np.testing.assert_allclose(intervals[1], intervals[0], atol=0.15)  # semitones
    assert intervals[0] > 4  # of the seven between the two
