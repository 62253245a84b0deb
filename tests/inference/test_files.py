"""`vctool convert`: what is written where, and bad input that gets one clear line."""

import json
import logging
import os
import resource
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vctool.errors import AudioError, CheckpointError, ConfigError, VctoolError
from vctool.features import world
from vctool.features.settings import FeatureConfig
from vctool.inference.converter import Converter
from vctool.inference.files import convert_files

Make = Callable[..., np.ndarray]
Save = Callable[..., Path]


@pytest.fixture
def exp(files: Path, save_toy: Save, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder that holds `in.wav`, `inst.wav` and one trained experiment."""
    monkeypatch.chdir(files)
    return save_toy()


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(".*") if path.is_file())


def test_a_file_is_sung_beside_itself(exp: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    summary = convert_files(["in.wav"], accomp=Path("inst.wav"), device="cpu")
    assert [job.path for job in summary.done] == [Path("in.singing.wav")]
    assert summary.exit_code == 0 and summary.lines() == ["1 of 1 converted with exp/toy"]
    info = soundfile.info("in.singing.wav")
    assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
    assert info.frames == 16000
    assert "model: exp/toy, step 7, to singing" in caplog.text
    # The accompaniment is 0.7 s long and the voice 1 s.
    assert "the accompaniment is looped to 1.00 s" in caplog.text


def test_it_is_what_python_gives(exp: Path) -> None:
    convert_files(["in.wav"], accomp=Path("inst.wav"), stretch=1.3, transpose=2, device="cpu")
    wave, rate = soundfile.read("in.wav", dtype="float32")
    accomp, _ = soundfile.read("inst.wav", dtype="float32")
    expected, _ = Converter(exp, "cpu").convert(wave, rate, accomp, stretch=1.3, transpose=2)
    written, _ = soundfile.read("in.singing.wav", dtype="float32")
    np.testing.assert_allclose(written, expected, atol=1 / 32768)


@pytest.mark.parametrize(("rate", "frames"), [("input", 13231), ("8000", 2400), ("model", 4800)])
def test_the_rate_is_as_asked_and_the_length_exact(
    exp: Path, speech: Make, rate: str, frames: int
) -> None:
    soundfile.write("odd.flac", np.stack([speech(0.4, 44100)[:13231]] * 3, axis=1), 44100)
    convert_files(["odd.flac"], accomp=Path("inst.wav"), rate=rate, device="cpu")
    info = soundfile.info("odd.singing.wav")
    assert info.samplerate == {"input": 44100, "8000": 8000, "model": 16000}[rate]
    assert info.frames == frames


def test_folders_and_globs_keep_their_shape(exp: Path, speech: Make) -> None:
    for name in ("talks/a.wav", "talks/b/c.flac", "talks/b/c.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(name, speech(0.3), 16000)
    Path("talks/notes.txt").write_text("not a recording")
    summary = convert_files(["talks"], accomp=Path("inst.wav"), out=Path("sung"), device="cpu")
    made = sorted(str(path) for path in Path("sung").rglob("*.wav"))
    # c.flac and c.wav would both be c.singing.wav, so both keep their endings.
    assert made == [
        "sung/a.singing.wav",
        "sung/b/c.flac.singing.wav",
        "sung/b/c.wav.singing.wav",
    ]
    assert summary.exit_code == 0 and not left_behind(Path("."))
    convert_files(["talks/b/*.flac"], accomp=Path("inst.wav"), device="cpu")
    assert Path("talks/b/c.singing.wav").is_file()
    # A second round over the folder does not take the first one's output for input.
    again = convert_files(["talks"], accomp=Path("inst.wav"), out=Path("two"), device="cpu")
    assert len(again.done) == 3


def test_one_bad_recording_does_not_stop_the_others(exp: Path, speech: Make) -> None:
    Path("talks").mkdir()
    soundfile.write("talks/good.wav", speech(0.3), 16000)
    Path("talks/bad.wav").write_bytes(b"this is not audio at all")
    soundfile.write("talks/short.wav", np.zeros(160), 16000)
    summary = convert_files(["talks"], accomp=Path("inst.wav"), device="cpu")
    assert [job.source.name for job in summary.done] == ["good.wav"]
    assert summary.exit_code == 1
    told = summary.lines()
    assert told[-1] == "1 of 3 converted with exp/toy"
    assert "bad.wav: not audio" in told[0] and "short.wav: lasts 0.01 s" in told[1]
    assert not left_behind(Path("."))


def bad(path: Path, kind: str, speech: Make) -> None:
    """Write a file that something is wrong with."""
    wave = speech(0.5)
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("RIFF is what this is not")
    elif kind == "truncated":
        soundfile.write(path, wave, 16000)
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "nan":
        wave[100] = np.nan
        soundfile.write(path, wave, 16000, subtype="FLOAT")
    elif kind == "tiny":
        soundfile.write(path, wave[:160], 16000)
    elif kind == "headed":
        soundfile.write(path, wave[:0], 16000)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("missing", "no such file"),
        ("empty", "empty file"),
        ("text", "not audio"),
        ("truncated", "truncated"),
        ("nan", "NaN or infinity"),
        ("tiny", r"lasts 0.01 s; at least 0.1 s are needed"),
        ("headed", "holds no samples"),
    ],
)
@pytest.mark.parametrize("as_accomp", [False, True])
def test_bad_files_get_one_line(
    exp: Path, speech: Make, kind: str, told: str, as_accomp: bool
) -> None:
    bad(Path("bad.wav"), kind, speech)
    if as_accomp and kind == "tiny":
        convert_files(["in.wav"], accomp=Path("bad.wav"), device="cpu")  # it is looped
        return
    source, accomp = ("in.wav", "bad.wav") if as_accomp else ("bad.wav", "inst.wav")
    with pytest.raises(AudioError, match=told) as caught:
        convert_files([source], accomp=Path(accomp), device="cpu")
    assert "bad.wav" in str(caught.value) and "\n" not in str(caught.value)
    assert not list(Path(".").glob("*.singing.wav")) and not left_behind(Path("."))


@pytest.mark.parametrize(
    ("rate", "subtype"), [(8000, "PCM_U8"), (192000, "PCM_24"), (11025, "FLOAT")]
)
def test_odd_files_are_converted(exp: Path, speech: Make, rate: int, subtype: str) -> None:
    soundfile.write("odd.wav", speech(0.4, rate), rate, subtype=subtype)
    convert_files(["odd.wav"], accomp=Path("inst.wav"), device="cpu")
    assert soundfile.info("odd.singing.wav").frames == 6400


def test_a_silent_file_stays_silent_and_is_told(
    exp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    soundfile.write("still.wav", np.zeros(22050), 22050, subtype="PCM_U8")
    convert_files(["still.wav"], accomp=Path("inst.wav"), device="cpu")
    wave, _ = soundfile.read("still.singing.wav")
    assert len(wave) == 16000 and not wave.any()
    assert caplog.text.count("silent") == 1 and "still.wav: silent" in caplog.text


def test_a_folder_can_be_run_again_and_only_what_is_missing_is_converted(
    exp: Path, speech: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        Path("talks").mkdir(exist_ok=True)
        soundfile.write(f"talks/{name}.wav", speech(0.3), 16000)
    given = {"accomp": Path("inst.wav"), "device": "cpu", "mix": True}
    assert convert_files(["talks"], **given).exit_code == 0  # type: ignore[arg-type]
    before = {path: path.read_bytes() for path in Path("talks").glob("*.singing*.wav")}
    assert len(before) == 4
    # one half of a pair is missing: it is made again, and nothing else
    Path("talks/b.singing.mix.wav").unlink()
    Path("talks/a.singing.wav").write_bytes(b"mine")
    told = (
        r"a\.singing\.wav and 1 more exist already; pass --force .* --skip-existing to leave them"
    )
    with pytest.raises(AudioError, match=told):
        convert_files(["talks"], **given)  # type: ignore[arg-type]
    partly = convert_files(["talks/a.wav"], skip_existing=True, **given)  # type: ignore[arg-type]
    assert (partly.done, partly.exit_code) == ([], 0)
    assert partly.lines() == ["0 of 1 converted with exp/toy; 1 existed already"]
    assert Path("talks/a.singing.wav").read_bytes() == b"mine"

    def never(*_: object) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr("vctool.inference.discover.Converter", never)
    with pytest.raises(AudioError, match=r"a\.singing\.wav: exists already"):
        convert_files(["talks/a.wav"], **given)  # type: ignore[arg-type]
    assert convert_files(["talks/a.wav"], skip_existing=True, **given).done == []  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="--force, --skip-existing: contradict each other"):
        convert_files(["talks"], skip_existing=True, force=True, **given)  # type: ignore[arg-type]


def test_of_several_targets_only_the_missing_ones_are_made(exp: Path) -> None:
    given = {"accomp": Path("inst.wav"), "device": "cpu", "to": ["speech", "singing"]}
    convert_files(["in.wav"], **given)  # type: ignore[arg-type]
    both = [Path("in.speech.wav"), Path("in.singing.wav")]
    whole = [path.read_bytes() for path in both]
    both[1].unlink()
    both[0].write_bytes(b"mine")
    again = convert_files(["in.wav"], skip_existing=True, **given)  # type: ignore[arg-type]
    assert [one.path for one in again.done] == [both[1]]
    assert [one.path for one in again.skipped] == [both[0]]
    assert both[0].read_bytes() == b"mine" and both[1].read_bytes() == whole[1]


def test_existing_files_are_kept_unless_forced(exp: Path) -> None:
    Path("in.singing.wav").write_text("precious")
    with pytest.raises(AudioError, match=r"in.singing.wav: exists already; pass --force"):
        convert_files(["in.wav"], accomp=Path("inst.wav"), device="cpu")
    assert Path("in.singing.wav").read_text() == "precious"
    convert_files(["in.wav"], accomp=Path("inst.wav"), force=True, device="cpu")
    assert soundfile.info("in.singing.wav").frames == 16000


@pytest.mark.parametrize("target", ["in.wav", "inst.wav"])
def test_no_input_is_ever_replaced(exp: Path, target: str) -> None:
    before = Path(target).read_bytes()
    with pytest.raises(AudioError, match="is an input; pass --out with another name"):
        convert_files(
            ["in.wav"], accomp=Path("inst.wav"), out=Path(target), force=True, device="cpu"
        )
    assert Path(target).read_bytes() == before


@pytest.mark.parametrize(
    ("inputs", "options", "told"),
    [
        (["in.wav", "in2.wav"], {"out": "x.wav"}, r"2 recordings need a folder, not a file"),
        (["in.wav"], {"out": "x.mp3"}, r"--out x.mp3: outputs are WAV or FLAC"),
        (["in.wav"], {"rate": "fast"}, r"--rate fast: expected model, input or a rate"),
        (["in.wav"], {"mix": True, "accomp": None}, r"--mix: there is nothing to mix with"),
        (["in.wav"], {"to": "humming"}, r"--to humming: exp/toy converts to speech or singing"),
        (["none/*.wav"], {}, r"none/\*.wav: no recording matches"),
        (["bare"], {}, r"bare: a folder without recordings"),
        (["in.wav"], {"out": "in.wav/below/x.wav"}, r"cannot be made: Not a directory"),
        (["in.wav"], {"accomp_offset": float("nan")}, r"--accomp-offset nan: must lie between"),
        (["in.wav"], {"accomp_offset": -1e300}, r"--accomp-offset -1e\+300: must lie between"),
    ],
)
def test_what_cannot_be_meant_is_told(
    exp: Path, inputs: list[str], options: dict[str, object], told: str
) -> None:
    Path("bare").mkdir()
    Path("in2.wav").write_bytes(Path("in.wav").read_bytes())
    given = {"accomp": Path("inst.wav"), **options}
    if isinstance(given.get("out"), str):
        given["out"] = Path(str(given["out"]))
    with pytest.raises(VctoolError, match=told) as caught:
        convert_files(inputs, device="cpu", **given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@contextmanager
def disk_with(room: int) -> Iterator[None]:
    """Let no file grow past so many bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("room", "rate", "told"),
    [
        # The temporary files hold 4 bytes a sample at 16 kHz; the output 2 at its own rate.
        (20_000, "model", r"cannot be written to \(File too large\); free some"),
        (70_000, "96000", r"in.singing.wav: cannot be written"),
    ],
)
def test_a_full_disk_leaves_nothing_half_written(
    exp: Path, room: int, rate: str, told: str
) -> None:
    with pytest.raises(AudioError, match=told), disk_with(room):
        convert_files(["in.wav"], accomp=Path("inst.wav"), rate=rate, device="cpu")
    assert not Path("in.singing.wav").exists() and not left_behind(Path("."))


def test_an_interrupt_leaves_nothing_half_written(
    exp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> Iterator[np.ndarray]:
        yield np.zeros(4000, np.float32)
        raise KeyboardInterrupt

    monkeypatch.setattr(Converter, "pieces", stopped)
    with pytest.raises(KeyboardInterrupt):
        convert_files(["in.wav"], accomp=Path("inst.wav"), device="cpu")
    assert not Path("in.singing.wav").exists() and not left_behind(Path("."))


@pytest.mark.parametrize("force", [False, True])
def test_recordings_of_one_name_never_replace_each_other(
    exp: Path, speech: Make, force: bool
) -> None:
    for folder in ("ann", "bob"):
        Path(folder).mkdir()
        soundfile.write(f"{folder}/take.wav", speech(0.3), 16000)
    given = {"accomp": Path("inst.wav"), "force": force, "device": "cpu"}
    with pytest.raises(ConfigError, match=r"ann/take.wav and bob/take.wav would both become"):
        convert_files(["ann", "bob"], out=Path("sung"), **given)  # type: ignore[arg-type]
    assert not Path("sung").exists()
    # Beside themselves they do not meet, and one that is named twice is converted once.
    summary = convert_files(["ann", "bob", "**/take.wav"], **given)  # type: ignore[arg-type]
    targets = sorted(str(job.path) for job in summary.done)
    assert targets == ["ann/take.singing.wav", "bob/take.singing.wav"]


def test_no_input_still_to_come_is_replaced(exp: Path, speech: Make) -> None:
    soundfile.write("in.singing.wav", speech(0.3), 16000)
    before = Path("in.singing.wav").read_bytes()
    summary = convert_files(
        ["in.wav", "in.singing.wav"], accomp=Path("inst.wav"), force=True, device="cpu"
    )
    assert [str(path) for path, _ in summary.failed] == ["in.wav"]
    assert "in.singing.wav: is an input" in summary.failed[0][1]
    assert Path("in.singing.wav").read_bytes() == before


def test_without_a_model_it_says_how_to_get_one(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    with pytest.raises(CheckpointError, match=rf"{files}/exp: no trained model; go to.*/run.sh"):
        convert_files(["in.wav"], accomp=Path("inst.wav"))


def test_the_newest_model_that_accepts_the_inputs_is_taken(
    exp: Path, save_toy: Save, caplog: pytest.LogCaptureFixture
) -> None:
    state = save_toy("newer") / "checkpoints" / "step-00000007" / "state.json"
    os.utime(state, (4e9, 4e9))
    summary = convert_files(["in.wav"], accomp=Path("inst.wav"), device="cpu")
    assert summary.model == Path("exp/newer")
    # Without an accompaniment no experiment can sing, and each says why not.
    with pytest.raises(CheckpointError, match=r"exp/newer needs --accomp FILE to convert to sing"):
        convert_files(["in.wav"], device="cpu")
    assert convert_files(["in.wav"], to="speech", device="cpu").exit_code == 0
    # A broken newer one is skipped, with a warning.
    state.write_text("{")
    caplog.clear()
    summary = convert_files(["in.wav"], accomp=Path("inst.wav"), force=True, device="cpu")
    assert summary.model == Path("exp/toy") and "skipped" in caplog.text


@pytest.mark.parametrize("harm", ["manifest", "no roles", "settings"])
def test_a_broken_experiment_does_not_hide_the_others(
    exp: Path, save_toy: Save, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    checkpoints = save_toy("newer") / "checkpoints"
    path = checkpoints / "step-00000007" / "state.json"
    state = json.loads(path.read_text())
    if harm == "manifest":
        (checkpoints / "manifest.json").write_text("{")
    elif harm == "no roles":
        del state["context"]["roles"]
    else:
        state["recipe"]["convert"] = {"strech": 2}
    path.write_text(json.dumps(state))
    os.utime(path, (4e9, 4e9))
    summary = convert_files(["in.wav"], accomp=Path("inst.wav"), device="cpu")
    assert summary.model == Path("exp/toy") and "skipped: exp/newer" in caplog.text


@pytest.mark.parametrize("harm", ["half", "family", "config", "nothing"])
def test_broken_checkpoints_are_refused(exp: Path, harm: str) -> None:
    folder = exp / "checkpoints" / "step-00000007"
    state = folder / "state.json"
    if harm == "half":
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-3])
    elif harm == "family":
        state.write_text(state.read_text().replace('"family": "toy"', '"family": "tory"'))
    elif harm == "config":
        state.write_text(state.read_text().replace('"poisoned"', '"poisonous"'))
    model = Path("exp/none") if harm == "nothing" else exp
    with pytest.raises(CheckpointError) as caught:
        convert_files(["in.wav"], accomp=Path("inst.wav"), model=model, device="cpu")
    assert "\n" not in str(caught.value) and not Path("in.singing.wav").exists()


def test_pitch_survives_any_input_rate(exp: Path, speech: Make, features: FeatureConfig) -> None:
    # Sound at 48 kHz that is taken for 16 kHz would be sung an octave and a fifth lower.
    notes = []
    for rate in (16000, 48000):
        soundfile.write(f"{rate}.wav", speech(1.5, rate), rate)
        convert_files([f"{rate}.wav"], to="speech", device="cpu")
        wave, _ = soundfile.read(f"{rate}.speech.wav")
        f0 = world.estimate_f0(wave, features)
        notes.append(float(np.median(f0[f0 > 0])))
    assert notes[1] == pytest.approx(notes[0], rel=0.02)


def test_memory_does_not_grow_with_length(
    files: Path, save_toy: Save, speech: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    save_toy(block_seconds=5.0)
    peaks = []
    for seconds in (12, 30):
        soundfile.write("long.wav", speech(float(seconds)), 16000)
        tracemalloc.start()
        convert_files(["long.wav"], to="speech", force=True, device="cpu")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert soundfile.info("long.speech.wav").frames == seconds * 16000
    assert peaks[1] < 1.2 * peaks[0]


def test_a_bad_option_is_told_before_a_model_is_loaded(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    with pytest.raises(ConfigError, match="--rate 12: expected"):
        convert_files(["in.wav"], accomp=Path("inst.wav"), rate="12")
