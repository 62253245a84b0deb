"""Options of `vctool convert` that are about inputs, outputs and programs that read them."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import vctool.progress
from tests.conftest import Needs
from tests.sounds import make_speech
from tests.toy import files, save_toy, toy_family
from vctool.cli import app
from vctool.errors import AudioError, ConfigError
from vctool.inference.outputs import require_inputs
from vctool.progress import Meter

__all__ = ["files", "save_toy", "toy_family"]


def invoke(*words: str) -> Any:
    return CliRunner().invoke(app, ["convert", *words, "--device", "cpu"])


@pytest.fixture
def here(files: Path, save_toy: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a model, `in.wav` and `inst.wav`."""
    save_toy()
    monkeypatch.chdir(files)
    return files


def test_inputs_are_looked_at_before_models(workdir: Path) -> None:
    done = invoke("missing.wav")
    assert isinstance(done.exception, AudioError)
    assert str(done.exception) == "missing.wav: no such file; check the path"
    Path("empty.wav").touch()
    assert "empty file" in str(invoke("empty.wav").exception)
    Path("none").mkdir()
    assert "a folder without recordings" in str(invoke("none").exception)
    assert "nothing to convert" in str(invoke().exception)
    assert "nothing to convert" in str(invoke("--amount").exception)


def test_what_may_be_an_option_s_value_is_no_input(workdir: Path) -> None:
    with pytest.raises(AudioError, match=r"^gone\.wav"):
        require_inputs(["--amount", "0.5", "gone.wav"])
    require_inputs(["--amount", "0.5"])  # there is a word: whether it is an input, a family knows
    soundfile.write("in.wav", make_speech(0.3), 16000)
    require_inputs(["gone.wav", "in.wav"])  # one of several fails by itself, later
    with pytest.raises(ConfigError, match="nothing to convert"):
        require_inputs(["--flag"])


def test_a_word_that_begins_as_an_option_does_is_no_recording(workdir: Path) -> None:
    for words in (["-o", "y.wav"], ["in.wav", "-o", "y.wav"]):
        with pytest.raises(ConfigError, match=r"^-o: no such option.* --out PATH$"):
            require_inputs(words)
    soundfile.write("-o.wav", make_speech(0.3), 16000)
    require_inputs(["-o.wav"])
    require_inputs(["-*.wav"])


def test_json_says_what_was_done_and_nothing_else(here: Path) -> None:
    done = invoke("in.wav", "--accomp", "inst.wav", "--mix", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {
        "model": "exp/toy",
        "done": [
            {
                "source": "in.wav",
                "to": "singing",
                "output": "in.singing.wav",
                "mix": "in.singing.mix.wav",
            }
        ],
        "skipped": [],
        "failed": [],
    }
    failed = invoke("in.wav", "gone.wav", "--accomp", "inst.wav", "--json", "--force")
    assert failed.exit_code == 1
    told = json.loads(failed.stdout)
    assert [one["source"] for one in told["failed"]] == ["gone.wav"] and len(told["done"]) == 1
    refused = invoke("in.wav", "--json")
    assert refused.stdout == "" and refused.exception is not None


def test_outputs_are_flac_where_that_is_asked_for(here: Path) -> None:
    assert invoke("in.wav", "--accomp", "inst.wav", "--mix", "--format", "flac").exit_code == 0
    assert invoke("in.wav", "--accomp", "inst.wav", "--mix", "--out", "one.flac").exit_code == 0
    assert invoke("in.wav", "--accomp", "inst.wav", "--out", "one.wav").exit_code == 0
    for name in ("in.singing.flac", "in.singing.mix.flac", "one.flac", "one.mix.flac"):
        assert soundfile.info(name).format == "FLAC"
    waves = [soundfile.read(name, dtype="int16")[0] for name in ("one.flac", "one.wav")]
    assert np.array_equal(*waves)
    assert invoke(".", "--accomp", "inst.wav", "--out", "all", "--format", "flac").exit_code == 0
    # outputs of before are no inputs, in either format
    assert not list(Path("all").glob("*singing*singing*"))
    assert "end the name in .wav or .flac" in str(
        invoke("in.wav", "--accomp", "inst.wav", "--out", "a.mp3").exception
    )


def test_a_model_is_asked_for_by_its_name(here: Path) -> None:
    assert invoke("in.wav", "--accomp", "inst.wav", "--model", "toy").exit_code == 0
    done = invoke("in.wav", "--accomp", "inst.wav", "--model", "tay", "--force")
    assert "tay: no such model here" in str(done.exception)
    assert "did you mean 'toy'?" in str(done.exception)


def test_a_recording_of_a_phone_is_converted(here: Path, needs: Needs) -> None:
    import subprocess

    Path("talks").mkdir()
    words = ["-loglevel", "error", "-i", "in.wav", "-c:a", "aac", "talks/phone.m4a"]
    subprocess.run([needs("ffmpeg"), *words], check=True)
    assert invoke("talks", "--accomp", "inst.wav").exit_code == 0
    assert soundfile.info("talks/phone.singing.wav").duration == pytest.approx(1.0, abs=0.15)


def test_one_file_tells_how_far_it_is_a_line_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    now = [1000.0]
    monkeypatch.setattr(vctool.progress.time, "monotonic", lambda: now[0])
    meter = Meter("convert")
    for done in range(0, 360, 60):  # a minute of sound in 25 s
        meter(done, 360)
        now[0] += 25
    meter(360, 360)
    meter.close()
    assert caplog.messages == ["convert: 3m00s of 6m00s, 1m15s to go"]
