"""Targets that are recordings: what `--to` means, what is heard of them, and which model takes it.

The family comes from a folder laid beside those of the tree, and nothing else names it.
"""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

import vctool
from tests.sounds import speak
from tests.toy import FEATURES, RATE
from vctool import audio
from vctool.cli import app
from vctool.errors import AudioError, CheckpointError, ConfigError
from vctool.features import world
from vctool.inference import target
from vctool.inference.converter import Converter
from vctool.inference.files import convert_files

Save = Callable[..., Path]
SAX = 240.0
"""F0 of the target's recordings [Hz]."""


@pytest.fixture
def exp(tmp_path: Path, save_mimic: Save, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with `riff.wav`, the recording `sax.wav` of a target, and a model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VCTOOL_CACHE", str(tmp_path / "cache"))
    soundfile.write("riff.wav", speak(1, 110, 1.0), RATE)
    soundfile.write("sax.wav", speak(2, SAX, 1.0), RATE)
    save_mimic()
    return Path("exp/mimic")


def pitch(wave: np.ndarray | str) -> float:
    wave = soundfile.read(wave)[0] if isinstance(wave, str) else wave
    f0 = world.estimate_f0(np.asarray(wave, np.float32), FEATURES)
    return float(np.median(f0[f0 > 0]))


def invoke(*words: str) -> Any:
    return CliRunner().invoke(app, ["convert", *words, "--device", "cpu"], catch_exceptions=False)


def made() -> list[str]:
    return sorted(str(path) for path in Path(".").rglob("riff.*.wav"))


def test_a_recording_is_a_target_on_the_command_line_and_in_python(
    exp: Path, mimic: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert invoke("riff.wav", "--to", "sax.wav").exit_code == 0
    assert made() == ["riff.sax.wav"]
    assert "model: exp/mimic, step 0, to sax" in caplog.text
    assert pitch("riff.sax.wav") == pytest.approx(SAX, rel=0.12)
    assert soundfile.info("riff.sax.wav").frames == RATE
    wave, _ = soundfile.read("riff.wav", dtype="float32")
    out, _ = vctool.load(exp, "cpu").convert(wave, RATE, to="sax.wav")
    np.testing.assert_allclose(soundfile.read("riff.sax.wav")[0], out, atol=1 / 32768)
    # A role is one still, and the default.
    assert invoke("riff.wav").exit_code == 0
    assert pitch("riff.ben.wav") == pytest.approx(110 * 1.5, rel=0.05)


def test_files_folders_and_globs_name_outputs_and_several_are_done_at_once(exp: Path) -> None:
    for path in ("anna/a.wav", "anna/b/b.flac", "takes/one.wav"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speak(3, 180, 0.6), RATE)
    words = ["--to", "sax.wav", "--to", "anna/", "--to", "takes/*.wav", "--to", "ann"]
    assert invoke("riff.wav", *words).exit_code == 0
    names = ["riff.ann.wav", "riff.anna.wav", "riff.sax.wav", "riff.takes.wav"]
    assert made() == names
    assert pitch("riff.anna.wav") == pytest.approx(180, rel=0.12)
    assert pitch("riff.ann.wav") == pytest.approx(110, rel=0.05)
    together = {name: Path(name).read_bytes() for name in names}
    for word, name in (("sax.wav", "sax"), ("./anna", "anna"), ("anna/**/*.*", "anna")):
        invoke("riff.wav", "--to", word, "--force")
        assert Path(f"riff.{name}.wav").read_bytes() == together[f"riff.{name}.wav"]


def test_everyone_and_a_recording(exp: Path) -> None:
    summary = convert_files(["riff.wav"], to=["all", "sax.wav"], device="cpu")
    names = ["riff.ann.wav", "riff.ben.wav", "riff.sax.wav"]
    assert [str(one.path) for one in summary.done] == names


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        (["sax.wav", "./sax.wav"], "sax"),
        (["sax.wav", "other/sax.flac"], "sax"),
        (["ben", "other/ben"], "ben"),
        (["all", "ann"], "ann"),
    ],
)
def test_equal_names_are_refused(exp: Path, wanted: list[str], name: str) -> None:
    Path("other/ben").mkdir(parents=True)
    for path in ("other/sax.flac", "other/ben/a.wav"):
        soundfile.write(path, speak(3, 180, 0.3), RATE)
    with pytest.raises(ConfigError, match=rf"two targets would both give \*\.{name}\.wav"):
        convert_files(["riff.wav"], to=wanted, device="cpu")
    assert not made()


def test_a_role_wins_over_a_file_of_its_name_and_says_so(
    exp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    Path("ben").mkdir()
    soundfile.write("ben/a.wav", speak(3, 300, 0.6), RATE)
    convert_files(["riff.wav"], to="ben", device="cpu")
    assert pitch("riff.ben.wav") == pytest.approx(110 * 1.5, rel=0.05)
    assert "--to ben: the role of exp/mimic, not the file of that name; pass --to ./ben" in (
        caplog.text
    )
    for path in ("./ben", Path("ben")):
        convert_files(["riff.wav"], to=path, force=True, device="cpu")
        assert pitch("riff.ben.wav") == pytest.approx(300, rel=0.12)
    assert caplog.text.count("the role of") == 1


def test_it_is_heard_once_for_all_files_and_blocks(exp: Path, save_mimic: Save, mimic: Any) -> None:
    save_mimic(block_seconds=5.0)
    soundfile.write("long.wav", speak(4, 110, 11.0), RATE)  # three blocks
    soundfile.write("sax.wav", speak(2, SAX, 12.0), RATE)
    convert_files(["riff.wav", "long.wav"], to="sax.wav", device="cpu")
    # In three pieces of 4 s, each with a frame at its start and its end.
    assert mimic.heard == [3 * (1 + 4 * RATE // FEATURES.hop_length)]
    blocks, _ = soundfile.read("long.sax.wav")
    save_mimic("whole", block_seconds=60.0)
    whole, _ = Converter("exp/whole", "cpu").convert(
        soundfile.read("long.wav", dtype="float32")[0], RATE, to="sax.wav"
    )
    assert pitch(blocks) == pytest.approx(pitch(whole), rel=0.01)
    assert len(blocks) == len(whole) == 11 * RATE


def test_a_reference_can_be_kept_and_used_again(exp: Path, mimic: Any) -> None:
    converter = vctool.load(exp, "cpu")
    wave, _ = soundfile.read("riff.wav", dtype="float32")
    known = converter.reference("sax.wav")
    save_file(known, "sax.safetensors")
    expected, _ = converter.convert(wave, RATE, to="sax.wav")
    for reference in (known, load_file("sax.safetensors")):
        out, _ = converter.convert(wave, RATE, to=reference)
        np.testing.assert_array_equal(out, expected)
    assert len(mimic.heard) == 1  # the second time it was known


def test_a_reference_is_known_by_the_contents_of_its_recordings(exp: Path, mimic: Any) -> None:
    converter = vctool.load(exp, "cpu")
    first = converter.reference("sax.wav")
    for name in ("copy.wav", "anna/other.wav"):
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy("sax.wav", name)
        np.testing.assert_array_equal(converter.reference(name)["log_f0"], first["log_f0"])
    assert len(mimic.heard) == 1
    soundfile.write("anna/b.wav", speak(5, 150, 1.0), RATE)
    assert converter.reference("anna/")["log_f0"] != first["log_f0"]
    assert len(mimic.heard) == 2


def test_a_reference_belongs_to_its_model_and_to_the_version_of_its_analysis(
    exp: Path, mimic: Any, save_mimic: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    vctool.load(exp, "cpu").reference("sax.wav")
    save_mimic("again")  # the same model under another name
    vctool.load("exp/again", "cpu").reference("sax.wav")
    assert len(mimic.heard) == 1
    save_mimic("other", roles=("ann", "carl"))
    vctool.load("exp/other", "cpu").reference("sax.wav")
    assert len(mimic.heard) == 2
    monkeypatch.setattr(mimic, "reference_version", 2)
    vctool.load(exp, "cpu").reference("sax.wav")
    assert len(mimic.heard) == 3
    monkeypatch.setattr("vctool.features.kinds.world.Kind.VERSION", 99)
    vctool.load(exp, "cpu").reference("sax.wav")
    assert len(mimic.heard) == 4


def test_a_damaged_or_unwritable_cache_costs_time_alone(exp: Path, mimic: Any) -> None:
    converter = vctool.load(exp, "cpu")
    first = converter.reference("sax.wav")
    (kept,) = Path("cache/references").iterdir()
    kept.write_bytes(kept.read_bytes()[:-8])
    np.testing.assert_array_equal(converter.reference("sax.wav")["log_f0"], first["log_f0"])
    assert len(mimic.heard) == 2
    shutil.rmtree("cache")
    Path("cache").write_text("no folder")
    np.testing.assert_array_equal(converter.reference("sax.wav")["log_f0"], first["log_f0"])
    assert len(mimic.heard) == 3


def test_nothing_is_kept_for_a_user_without_a_home(
    exp: Path, mimic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VCTOOL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as without HOME and an account
    vctool.load(exp, "cpu").reference("sax.wav")
    assert len(mimic.heard) == 1
    assert not Path("~").exists()


def test_the_references_used_longest_ago_make_room(
    exp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converter = vctool.load(exp, "cpu")
    converter.reference("sax.wav")
    folder = Path("cache/references")
    size = next(folder.iterdir()).stat().st_size
    monkeypatch.setattr("vctool.inference.reference_cache.LIMIT", 2 * size)
    for day, name in enumerate("abcd"):
        soundfile.write(f"{name}.wav", speak(day, 150, 1.0), RATE)
        before = set(folder.iterdir())
        converter.reference(f"{name}.wav")
        (new,) = set(folder.iterdir()) - before
        os.utime(new, ns=(0, (1 + day) * 10**9))
        assert len(list(folder.iterdir())) <= 2
    assert new.exists()


def test_a_reference_that_was_edited_in_place_is_heard_anew(exp: Path) -> None:
    converter = vctool.load(exp, "cpu")
    voices = [speak(2, hz, 1.0) for hz in (SAX, 150)]
    Path("takes").mkdir()
    take = Path("takes/a.wav")
    soundfile.write(take, np.stack([voices[0], -voices[0]], axis=1), RATE)  # one is inverted
    before, first = take.stat(), converter.reference("takes")
    soundfile.write(take, np.stack([0 * voices[1], voices[1]], axis=1), RATE)  # one is dead
    os.utime(take, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert take.stat().st_size == before.st_size
    second = converter.reference("takes")
    soundfile.write("mono.wav", voices[1], RATE)
    assert first["log_f0"][0] - second["log_f0"][0] == pytest.approx(np.log(SAX / 150), abs=0.1)
    np.testing.assert_array_equal(second["log_f0"], converter.reference("mono.wav")["log_f0"])


def test_a_reference_may_have_any_rate_and_channels(exp: Path) -> None:
    converter = Converter(exp, "cpu")
    plain = converter.reference("sax.wav")
    wave, _ = soundfile.read("sax.wav", dtype="float32")
    higher = audio.resample(wave, RATE, 44100)
    soundfile.write("stereo.flac", np.stack([higher, higher], axis=1), 44100)
    other = converter.reference("stereo.flac")
    assert other["log_f0"][0] == pytest.approx(plain["log_f0"][0], abs=0.01)
    # A silent take beside others says nothing.
    Path("takes").mkdir()
    soundfile.write("takes/a.wav", wave, RATE)
    soundfile.write("takes/still.wav", np.zeros(RATE), RATE)
    for name, values in converter.reference("takes").items():
        np.testing.assert_array_equal(values, plain[name])


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("missing", r"bad.wav: no such file or folder, and exp/mimic has no such role"),
        ("text", "bad.wav: not audio"),
        ("nan", "bad.wav: .*NaN or infinity"),
        ("silent", "bad.wav: silent; give a recording with sound"),
        ("short", r"bad.wav: lasts 0.01 s; at least 0.1 s"),
        ("folder", r"bad.wav: a folder without recordings"),
    ],
)
def test_what_cannot_be_heard_is_one_line(exp: Path, kind: str, told: str) -> None:
    wave = speak(5, 200, 0.5).astype(np.float32)
    if kind == "text":
        Path("bad.wav").write_text("no sound")
    elif kind == "folder":
        Path("bad.wav").mkdir()
    elif kind == "nan":
        wave[100] = np.nan
        soundfile.write("bad.wav", wave, RATE, subtype="FLOAT")
    elif kind != "missing":
        soundfile.write("bad.wav", 0 * wave if kind == "silent" else wave[:160], RATE)
    for to in ("bad.wav", *(["./bad.wav"] if kind != "missing" else [])):
        with pytest.raises((AudioError, ConfigError), match=told) as caught:
            convert_files(["riff.wav"], model=exp, to=to, device="cpu")
        assert "\n" not in str(caught.value) and not made()


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("./none.wav", r"--to ./none.wav: no such file or folder"),
        ("none/*.wav", r"--to none/\*.wav: no recording matches"),
        (
            "bem",
            r"--to bem: no such file or folder, and exp/mimic has no such role; did you .*'ben'",
        ),
    ],
)
def test_what_is_not_there_is_named(exp: Path, to: str, told: str) -> None:
    with pytest.raises((AudioError, ConfigError), match=told):
        convert_files(["riff.wav"], model=exp, to=to, device="cpu")


def test_no_reference_is_ever_replaced(exp: Path) -> None:
    before = Path("sax.wav").read_bytes()
    with pytest.raises(AudioError, match=r"sax.wav: is an input; pass --out"):
        convert_files(["riff.wav"], to="sax.wav", out=Path("sax.wav"), force=True, device="cpu")
    assert Path("sax.wav").read_bytes() == before


def test_only_a_model_that_takes_the_target_is_taken(
    exp: Path, save_toy: Save, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    save_toy(step=9)  # newer, and takes no recordings
    convert_files(["riff.wav"], to="sax.wav", device="cpu")
    assert "model: exp/mimic, step 0, to sax" in caplog.text
    with pytest.raises(ConfigError, match=r"--to sax.wav: exp/toy takes no recordings as a target"):
        convert_files(["riff.wav"], model=Path("exp/toy"), to="sax.wav", device="cpu")
    with pytest.raises(ConfigError, match=r"takes no recordings as a target; name a role"):
        Converter("exp/toy", "cpu").reference("sax.wav")
    # A file of a role's name does not keep an older model with that role from being taken.
    Path("speech").mkdir()
    soundfile.write("speech/a.wav", speak(3, 300, 0.6), RATE)
    (exp / "checkpoints" / "step-00000000" / "state.json").touch()
    convert_files(["riff.wav"], to="speech", device="cpu")
    assert "model: exp/toy, step 9, to speech" in caplog.text


def test_that_no_model_takes_a_recording_and_has_a_role_too_is_told(
    tmp_path: Path, save_toy: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_toy()
    for name in ("riff.wav", "sax.wav"):
        soundfile.write(name, speak(1, 110, 0.5), RATE)
    with pytest.raises(
        CheckpointError, match=r"exp/toy converts to speech or singing, not to recordings"
    ):
        convert_files(["riff.wav"], to=["sax.wav", "speech"], device="cpu")


def test_a_reference_that_is_not_finite_is_the_models_fault(
    exp: Path, mimic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mimic, "reference", lambda *_: {"log_f0": np.array([np.inf])})
    with pytest.raises(CheckpointError, match=r"exp/mimic: gives NaN or infinity in log_f0 of the"):
        Converter(exp, "cpu").reference("sax.wav")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sax.wav", "sax"),
        ("a/b.c.flac", "b.c"),
        ("anna/", "anna"),
        ("*.wav", "here"),
        (".", "here"),
    ],
)
def test_outputs_are_called_after_what_holds_the_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert target.name(text) == name
