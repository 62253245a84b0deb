"""Options of a conversion that one family alone has: typed among recordings, or given by name."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import typer
from typer.testing import CliRunner

import vctool
from tests.sounds import speak
from tests.toy import FEATURES, RATE
from vctool.cli import app
from vctool.errors import CheckpointError, ConfigError
from vctool.features import world
from vctool.inference import options
from vctool.inference.files import convert_files

Save = Callable[..., Path]


@pytest.fixture
def exp(tmp_path: Path, save_mimic: Save, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    soundfile.write("riff.wav", speak(1, 110, 1.0), RATE)
    save_mimic()
    return Path("exp/mimic")


def invoke(*words: str) -> Any:
    return CliRunner().invoke(app, ["convert", *words, "--device", "cpu", "--force"])


def pitch(path: str = "riff.ben.wav") -> float:
    f0 = world.estimate_f0(soundfile.read(path, dtype="float32")[0], FEATURES)
    return float(np.median(f0[f0 > 0])) if (f0 > 0).sum() > 20 else 0.0


def test_they_are_typed_anywhere_in_either_form(exp: Path) -> None:
    own, all_of_it = pitch("riff.wav"), 165.0
    for words in (
        ["riff.wav", "--amount", "0.5"],
        ["--amount=0.5", "riff.wav", "--to", "ben"],
        ["--no-whispered", "riff.wav", "--amount", "1", "--amount", "0.5"],
    ):
        assert invoke(*words).exit_code == 0
        assert pitch() == pytest.approx(np.sqrt(own * all_of_it), rel=0.05)
    assert invoke("--whispered", "riff.wav").exit_code == 0
    assert pitch() == 0
    assert invoke("riff.wav", "--timbre", "source").exit_code == 0
    assert pitch() == pytest.approx(all_of_it, rel=0.05)


def test_python_gives_them_by_name(exp: Path) -> None:
    converter = vctool.load(exp, "cpu")
    wave, _ = soundfile.read("riff.wav", dtype="float32")
    out, _ = converter.convert(wave, RATE, options={"amount": 0.5})
    invoke("riff.wav", "--amount", "0.5")
    np.testing.assert_allclose(soundfile.read("riff.ben.wav")[0], out, atol=2 / 32768)
    convert_files(["riff.wav"], model=exp, options={"amount": 0.5}, force=True, device="cpu")
    np.testing.assert_allclose(soundfile.read("riff.ben.wav")[0], out, atol=2 / 32768)
    with pytest.raises(ConfigError, match=r"--amont: exp/mimic has no such option; did you mean"):
        converter.convert(wave, RATE, options={"amont": 0.5})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--amont", "1"], "--amont: exp/mimic has no such option; did you mean '--amount'?"),
        (["--stretc", "1.2"], "--stretc: exp/mimic has no such option; did you mean '--stretch'?"),
        (["--whisper"], "--whisper: exp/mimic has no such option; did you mean '--whispered'?"),
        (["--no-amount"], "--no-amount: exp/mimic has no such option; did you mean '--amount'?"),
        (["--amount", "2"], "exp/mimic: options: amount = '2': Input should be less than or equal"),
        (["--amount", "much"], "exp/mimic: options: amount = 'much': Input should be a valid num"),
        (["--whispered=7"], "exp/mimic: options: whispered = '7': Input should be a valid boolean"),
        (["--amount"], "--amount: expected a value, such as --amount=0.5"),
    ],
)
def test_what_the_family_lacks_or_cannot_be_is_named(
    exp: Path, words: list[str], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        convert_files(["riff.wav", *words], model=exp, device="cpu")
    assert str(caught.value).startswith(told)
    assert not Path("riff.ben.wav").exists()


def test_a_model_that_lacks_it_is_passed_over(exp: Path, save_toy: Save) -> None:
    save_toy(step=9)
    with pytest.raises(ConfigError, match=r"--amount: exp/toy has no such option; did you mean"):
        convert_files(["riff.wav", "--amount", "0.5"], model=Path("exp/toy"), device="cpu")
    summary = convert_files(["riff.wav", "--amount", "0.5"], device="cpu")
    assert summary.model == exp
    with pytest.raises(CheckpointError, match=r"--amont: exp/mimic has no such option; did you"):
        convert_files(["riff.wav", "--amont", "0.5"], device="cpu")


def test_options_without_a_recording_convert_nothing(exp: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to convert; name a recording"):
        convert_files(["--amount", "0.5"], model=exp, device="cpu")


def test_the_general_options_are_those_of_the_command() -> None:
    command = typer.main.get_command(app).commands["convert"]  # type: ignore[attr-defined]
    typed = {one.opts[0][2:] for one in command.params if one.opts[0].startswith("--")}
    assert typed == set(options.GENERAL)
    for_scripts = {"inputs", "options", "experiments", "progress", "cancelled", "moved", "load"}
    for_terminals = {"demo", "json"}
    given = set(inspect.signature(convert_files).parameters) - for_scripts
    named = {"format" if name == "form" else name.replace("_", "-") for name in given}
    assert named == typed - for_terminals
