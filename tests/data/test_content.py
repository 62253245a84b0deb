import shutil
from pathlib import Path

import numpy as np
import soundfile
from typer.testing import CliRunner

from vctool.cli import app
from vctool.data.content import shared
from vctool.data.datadir import DataDir, Utterance


def made(folder: Path, *rows: tuple[str, Path, float, float]) -> DataDir:
    data = DataDir(
        folder,
        tuple(
            Utterance(
                name, "a", "speech", wav, seconds, start, None if start is None else start + seconds
            )
            for name, wav, start, seconds in rows
        ),
    )
    data.write()
    return DataDir.read(folder)


def test_copies_under_other_names_are_found_and_other_parts_are_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in "abc":
        soundfile.write(tmp_path / f"{name}.wav", rng.uniform(-0.1, 0.1, 24000), 8000)
    shutil.copy(tmp_path / "a.wav", tmp_path / "copy.wav")
    wavs = {name: tmp_path / f"{name}.wav" for name in ("a", "b", "c", "copy")}
    train = made(tmp_path / "d/train", ("a-1", wavs["a"], 0.0, 1.0), ("a-2", wavs["b"], 0.0, 3.0))
    test = made(tmp_path / "d/test", ("a-3", wavs["copy"], 0.5, 1.0), ("a-4", wavs["c"], 0.0, 3.0))
    assert [line.split(": ")[1] for line in shared([train, test])] == [
        f"'a-1' is 'a-3' of {tmp_path / 'd/test'}"
    ]
    said = CliRunner().invoke(app, ["data", "check", str(train.path), str(test.path)])
    assert said.exit_code == 1 and "'a-1' is 'a-3'" in said.output
    later = made(tmp_path / "d/test", ("a-3", wavs["copy"], 1.0, 1.0), ("a-4", wavs["c"], 0.0, 3.0))
    assert shared([train, later]) == []
    assert (
        CliRunner().invoke(app, ["data", "check", str(train.path), str(later.path)]).exit_code == 0
    )
