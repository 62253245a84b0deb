"""Which trained model is taken where none is named."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from tests.sounds import make_speech
from vctool.errors import CheckpointError, ConfigError
from vctool.inference import discover
from vctool.inference.files import convert_files

Save = Callable[..., Path]


def test_models_of_one_time_are_asked_in_the_order_of_their_names(
    tmp_path: Path, save_toy: Callable[..., Path]
) -> None:
    for name, seconds in (("dee", 2), ("abe", 1), ("eve", 2), ("bob", 2), ("cid", 3)):
        os.utime(save_toy(name) / "checkpoints/step-00000007/state.json", (seconds, seconds))
    refused: list[str] = []
    found = discover._trained(tmp_path / "exp", discover.Asked([None], False), refused)
    names = [path.name for _, path in found]
    assert (names, refused) == (["cid", "bob", "dee", "eve", "abe"], [])


def test_a_newer_model_of_another_kind_that_lacks_an_accompaniment_is_named(
    files: Path,
    save_toy: Save,
    save_mimic: Save,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(files)
    old = save_mimic("old")
    (state,) = (old / "checkpoints").glob("*/state.json")
    os.utime(state, (1, 1))
    save_toy("new")
    convert_files(["in.wav"], device="cpu")
    told = "exp/new needs --accomp FILE to convert to singing; exp/old (mimic) is taken instead"
    assert told in caplog.messages
    # nothing surprises where the accompaniment is there, or the model is named
    caplog.clear()
    convert_files(["in.wav"], accomp=Path("inst.wav"), device="cpu")
    convert_files(["in.wav"], model=old, device="cpu", force=True)
    assert "instead" not in caplog.text


def test_a_stream_takes_the_newest_that_runs_in_real_time(
    tmp_path: Path, save_echo: Save, save_shade: Save
) -> None:
    root = tmp_path / "exp"
    save_echo("echo")
    told = r"no model here runs in real time: .*echo \(echo\): .*; pass --double, or train"
    with pytest.raises(CheckpointError, match=told):
        discover.streaming(root, None)
    for age, name in enumerate(("new", "old")):
        (state,) = (save_shade(name) / "checkpoints").glob("*/state.json")
        os.utime(state, (9 - age, 9 - age))
    save_shade("others", roles=("cid", "dee"))
    assert discover.streaming(root, "ann") == root / "new"
    assert discover.streaming(root, None) == root / "others"
    with pytest.raises(ConfigError, match=r"--to bn lee: none of the .* did you mean 'ben lee'"):
        discover.streaming(root, "bn lee")


def test_a_misspelt_vocoder_or_role_is_one_short_line(
    files: Path, save_toy: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    for name in "abcdefg":
        save_toy(name)
    with pytest.raises(ConfigError, match="no vocoder 'wolrd'; did you mean 'world'") as caught:
        convert_files(["in.wav"], to="speech", vocoder="wolrd", device="cpu")
    assert "exp/a" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"none of the 7 models.*did you mean 'speech'") as caught:
        convert_files(["in.wav"], to="speach", device="cpu")
    assert "exp/a" not in str(caught.value)
    with pytest.raises(CheckpointError, match=r"needs --accomp.*; and 4 more$"):
        convert_files(["in.wav"], device="cpu")


def test_it_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", make_speech(0.5), 16000)
    with pytest.raises(CheckpointError, match=f"^{tmp_path}/exp: no trained model; go to the fol"):
        convert_files(["in.wav"])
    with pytest.raises(CheckpointError, match=f"^exp/x: no such experiment.* in {tmp_path};"):
        convert_files(["in.wav"], model=Path("exp/x"))
    with pytest.raises(CheckpointError, match=r"^/exp/x: no such experiment.*; train"):
        convert_files(["in.wav"], model=Path("/exp/x"))
