"""`vctool evaluate FOLDER --task singing`: any system's singing."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vctool import audio, cli
from vctool.errors import DataError
from vctool.evaluation.page import figures
from vctool.evaluation.scoring import score
from vctool.evaluation.singing.board import SingingTask
from vctool.evaluation.singing.folders import run_folder
from vctool.evaluation.singing.report import SingingScoring
from vctool.metrics import distribution
from vctool.metrics.base import serially

RATE = 16000


def sing(pitch: float, seconds: float, seed: int) -> np.ndarray:
    """A note through a filter of its own for every tenth of a second, at a pitch [MIDI]: (T,)."""
    hz = 440.0 * 2 ** ((pitch - 69) / 12)
    wobble = np.random.default_rng(seed).standard_normal(round(seconds * RATE)).cumsum() / 2e4
    pulses = np.diff(np.floor(np.cumsum(hz * np.exp(wobble) / RATE)), prepend=0.0)
    rng, pieces = np.random.default_rng(seed), []
    for piece in np.array_split(pulses, round(10 * seconds)):
        curve = np.exp(np.interp(np.arange(len(piece) // 2 + 1), [0, 200, 400], rng.normal(size=3)))
        pieces.append(np.fft.irfft(np.fft.rfft(piece) * curve, len(piece)))
    wave = np.concatenate(pieces)
    return (0.4 * wave / np.abs(wave).max()).astype(np.float32)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two sentences, their singing by somebody (half as long again), four songs, and the music."""
    for number in range(2):
        audio.write(tmp_path / "speech" / f"s{number}.wav", sing(52, 0.6, number), RATE)
        audio.write(tmp_path / "sung" / f"s{number}_sung.wav", sing(60, 0.9, number), RATE)
    for number in range(4):
        audio.write(tmp_path / "songs" / f"song{number}.wav", sing(60 + number, 0.8, 9), RATE)
    chord = sum(np.sin(2 * np.pi * hz * np.arange(RATE) / RATE) for hz in (261.6, 329.6, 392.0))
    for name in ("s0", "s1", "song1", "song3"):
        audio.write(tmp_path / "music" / f"{name}.wav", 0.2 * np.asarray(chord), RATE)
    return tmp_path


def test_any_systems_singing_gets_the_table_of_stage_6(
    folders: Path, monkeypatch: pytest.MonkeyPatch, no_judges: None
) -> None:
    monkeypatch.setattr(figures, "SHOWN", 1)
    places = {name: str(folders / name) for name in ("speech", "sung", "songs", "music")}
    asked = ["evaluate", places["sung"], "--task", "singing", "--nj", "1"]
    asked += ["--reference", places["songs"], "--source", places["speech"]]
    said = CliRunner().invoke(cli.app, [*asked, "--accomp", places["music"]])
    assert said.exit_code == 0, said.exception
    out = folders / "sung" / "evaluation"
    result = json.loads((out / "results.json").read_text())
    rows = {"copy", "resynthesis", "F0 snap", "drone", "random singing", "model", "real singing"}
    rows.add("real singing, WORLD")
    assert set(result["systems"]) == rows == set(result["measures"]["distance"])
    assert "through WORLD" in result["systems"]["resynthesis"]
    # a C under a chord of C, and the formulas as long as the singing
    assert result["measures"]["chroma"]["model"]["value"] > 0.2
    assert result["measures"]["chroma"]["real singing"]["value"] > 0
    assert result["measures"]["content"]["model"]["value"] == 1.0
    assert result["counts"]["real singing, half A (reference)"] == 2
    assert set(result["not_run"]) == {
        "F0 error",
        "words",
        "model, shuffled",
        "CER, WER",
        "DistillMOS",
    }
    assert said.stdout.startswith(
        "| system | content kept | phone distance | content by mel | distance |"
    )
    assert "smoke test" not in said.stdout and "half of the held-out singing has 2" in said.stdout
    page = (out / "report.html").read_text()
    assert page.count("<audio") == len(rows) - 1  # real singing is of other words
    monkeypatch.setattr("vctool.evaluation.folders.score", lambda job, each: 1 / 0)
    (folders / "music" / "s1.wav").unlink()
    with pytest.raises(DataError, match=r"no accompaniment of 's1' \(1 of 2 lack one\)"):
        run_folder(
            folders / "sung",
            out,
            reference=folders / "songs",
            source=folders / "speech",
            accomp=folders / "music",
        )


def test_formulas_are_as_long_as_the_outputs(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    monkeypatch.setattr(
        "vctool.evaluation.folders.score", lambda job, each: found.append(job) or 1 / 0
    )
    places = {"reference": folders / "songs", "source": folders / "speech"}
    for converted in ("sung", "speech"):
        with pytest.raises(ZeroDivisionError):
            run_folder(folders / converted, folders / "out", **places)
    longer, same = (job.time_maps for job in found)
    np.testing.assert_allclose(longer[0], [[0, 0], [0.6, 0.9]])
    assert same is None


def test_one_song_is_too_little(folders: Path) -> None:
    for name in ("song1", "song2", "song3"):
        (folders / "songs" / f"{name}.wav").unlink()
    with pytest.raises(DataError, match=r"songs: holds 1 recording\(s\) of singing; at least 2"):
        run_folder(
            folders / "sung",
            folders / "out",
            reference=folders / "songs",
            source=folders / "speech",
        )


def test_singers_that_are_known_are_measured_against_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_judges: None
) -> None:
    monkeypatch.setattr(figures, "SHOWN", 1)
    monkeypatch.setattr(distribution, "ENOUGH", 0.1)  # four windows of a singer
    spoken = [sing(52, 1.5, number) for number in range(2)]
    sung = [sing(60 + 5 * (number % 4 // 2), 1.5, number) for number in range(8)]
    singers = ["ann", "ann", "ben", "ben"] * 2
    task = SingingTask(
        RATE,
        spoken,
        sung[::2],
        sung[1::2],
        real_a_singers=singers[::2],
        real_b_singers=singers[1::2],
    )
    job = SingingScoring(
        folder=tmp_path,
        name="known",
        utterances=["s0", "s1"],
        config_hash="",
        data_hash="",
        resamples=50,
        task=task,
        outputs=sung[:2],
        model="given",
    )
    scored = score(job, serially)
    row = "real singing, other singers"
    distances = scored.findings.scores["distance"]
    assert distances[row].value > distances["real singing"].value
    assert np.isfinite([distances[row].low, distances[row].high]).all()
    assert row not in scored.findings.scores["note_stability"] and row not in scored.board.rows
    text = (tmp_path / "RESULTS.md").read_text()
    assert f"- *{row}*: each held-out singer against the others" in text
    used = scored.findings.counts["windows of every row that are used"]
    assert used <= scored.findings.counts["windows of the reference"] / 2
