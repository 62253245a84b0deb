"""Progress of a conversion, told block by block, and an end to one that is not wanted any more."""

from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import speak
from tests.toy import RATE
from vctool.errors import AudioError, Cancelled
from vctool.inference import files
from vctool.inference.converter import Converter
from vctool.inference.files import convert_files

Make = Callable[..., np.ndarray]
Save = Callable[..., Path]

BLOCK = 5.0
"""Length of a model's blocks here, the shortest that a recipe may have [s]."""


@pytest.fixture
def exp(files: Path, save_toy: Save, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with `talks/`: 8 s, 0.5 s and a text; and an experiment of short blocks."""
    monkeypatch.chdir(files)
    Path("talks").mkdir()
    for name, seconds in (("long", 8.0), ("short", 0.5)):
        soundfile.write(f"talks/{name}.wav", speak(1, 120, seconds), RATE)
    Path("talks/middle.wav").write_text("RIFF is what this is not")
    return save_toy(block_seconds=BLOCK)


def asked_until(times: int) -> Callable[[], bool]:
    """Return a question that is answered with no so many times."""
    asked = count()
    return lambda: next(asked) >= times


def left_behind() -> list[str]:
    return sorted(path.name for path in Path("sung").rglob("*") if path.is_file())


def test_progress_is_told_by_blocks_and_ends_at_the_whole(exp: Path) -> None:
    told: list[tuple[float, float]] = []
    summary = convert_files(
        ["talks"],
        to="speech",
        out=Path("sung"),
        device="cpu",
        progress=lambda done, total: told.append((done, total)),
    )
    assert len(summary.done) == 2 and len(summary.failed) == 1
    done = [seconds for seconds, _ in told]
    assert {total for _, total in told} == {8.5}  # the text has no length
    assert done[0] == 0 and done[-1] == pytest.approx(8.5)
    assert all(one <= other for one, other in pairwise(done))
    # The first block ends where it is quiet in its last tenth, and is told at its end.
    assert any(0.9 * BLOCK - 0.1 < seconds < BLOCK for seconds in done)


def test_in_memory_it_is_told_too(exp: Path) -> None:
    told: list[tuple[float, float]] = []
    wave, _ = soundfile.read("talks/long.wav")
    Converter(exp, "cpu").convert(
        wave, RATE, to="speech", progress=lambda done, total: told.append((done, total))
    )
    assert told[0] == (0.0, 8.0) and told[-1] == (8.0, 8.0) and len(set(told)) >= 3


def test_watching_changes_no_sample(exp: Path) -> None:
    for name, watched in (("plain", {}), ("watched", {"progress": print, "cancelled": bool})):
        convert_files(
            ["talks/long.wav"], to="speech", out=Path(f"{name}.wav"), device="cpu", **watched
        )
    assert Path("plain.wav").read_bytes() == Path("watched.wav").read_bytes()


@pytest.mark.parametrize("at", ["decoding", "scan", "second block", "mix"])
def test_a_cancelled_conversion_leaves_no_file(
    exp: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where it is asked is found out by asking all along, and noting what is done then.
    steps: list[str] = []
    step = "before"

    def entering(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def entered(*args: object, **options: object) -> object:
            nonlocal step
            step = name
            result = call(*args, **options)
            step = f"after {name}"
            return result

        return entered

    blocks = count(1)
    convert_block = Converter._convert_block

    def block(*args: object) -> np.ndarray:
        nonlocal step
        step = "second block" if next(blocks) >= 2 else "first block"
        return convert_block(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "_fill", entering("decoding", files._fill))
    monkeypatch.setattr(Converter, "scan", entering("scan", Converter.scan))
    monkeypatch.setattr(Converter, "_convert_block", block)
    monkeypatch.setattr("vctool.inference.takes.write_mix", entering("mix", files.mixing.write_mix))

    def cancelled() -> bool:
        steps.append(step)
        return step == at

    with pytest.raises(Cancelled, match="cancelled") as raised:
        convert_files(
            ["talks/long.wav"],
            to="speech",
            accomp=Path("inst.wav"),
            mix=True,
            out=Path("sung/out.wav"),
            device="cpu",
            cancelled=cancelled,
        )
    assert steps.count(at) == 1 and raised.value.exit_code == 130
    # A voice whose mix was not wanted any more is complete, and stays.
    assert left_behind() == (["out.wav"] if at == "mix" else [])
    if at == "mix":
        assert soundfile.info("sung/out.wav").frames == 8 * RATE


def test_several_recordings_are_not_gone_on_with(
    exp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Cancelled):
        convert_files(
            ["talks"], to="speech", out=Path("sung"), device="cpu", cancelled=asked_until(5)
        )
    assert left_behind() == []
    assert "cancelled" not in caplog.text  # as a failure of one recording would be


def test_in_memory_it_can_be_cancelled(exp: Path) -> None:
    wave, _ = soundfile.read("talks/long.wav")
    with pytest.raises(Cancelled):
        Converter(exp, "cpu").convert(wave, RATE, to="speech", cancelled=asked_until(3))


def test_the_analysis_of_a_target_can_be_cancelled(
    tmp_path: Path, save_mimic: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VCTOOL_CACHE", str(tmp_path / "cache"))
    Path("sax").mkdir()
    for place in range(3):
        soundfile.write(f"sax/{place}.wav", speak(place, 240, 0.5), RATE)
    soundfile.write("in.wav", speak(9, 110, 0.5), RATE)
    model = save_mimic()
    heard: list[int] = []
    system = Converter(model, "cpu").system
    reference = type(system).reference

    def counted(self: object, recordings: object) -> object:
        def each() -> object:
            for one in recordings:  # type: ignore[attr-defined]
                heard.append(1)
                yield one

        return reference(self, each())  # type: ignore[arg-type]

    monkeypatch.setattr(type(system), "reference", counted)
    with pytest.raises(Cancelled):
        convert_files(
            ["in.wav"], to="sax/", model=model, device="cpu", cancelled=lambda: len(heard) == 2
        )
    assert len(heard) == 2 and not list(Path("cache").rglob("*.safetensors"))
    assert not Path("in.sax.wav").exists()


def test_a_failure_is_no_cancellation(exp: Path) -> None:
    with pytest.raises(AudioError, match="not audio"):
        convert_files(["talks/middle.wav"], to="speech", device="cpu", cancelled=bool)


def test_moments_of_a_stretched_recording_are_told(exp: Path, speech: Make) -> None:
    wave = np.concatenate([speech(3.0), np.zeros(RATE, np.float32), speech(4.0)])
    soundfile.write("stretched.wav", wave, RATE)
    told: list[tuple[np.ndarray, np.ndarray]] = []
    convert_files(
        ["stretched.wav"],
        to="speech",
        stretch=1.5,
        device="cpu",
        moved=lambda taken, given: told.append((taken, given)),
    )
    assert len(told) == 2  # blocks
    taken, given = (np.concatenate([part[side] for part in told]) for side in (0, 1))
    assert (taken[0], given[0]) == (0.0, 0.0)
    assert taken[-1] == pytest.approx(8.0, abs=0.01) and given[-1] == pytest.approx(12.0, abs=0.01)
    assert (np.diff(taken) >= 0).all() and (np.diff(given) >= 0).all()
    # The pause keeps its length as a pause does: 3.1..3.9 s of silence stay 0.8 s, nearly.
    begin, end = np.interp([3.1, 3.9], taken, given)
    assert end - begin < 1.05 and begin > 1.2 * 3.1


def test_a_caller_may_keep_what_it_loaded(exp: Path) -> None:
    kept = Converter(Path("exp/toy"), "cpu")
    summary = convert_files(["in.wav"], to="speech", load=lambda *asked: kept)
    assert summary.done[0].path.is_file()
