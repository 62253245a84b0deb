"""`vctool prepare` as it is typed, in a folder far from vctool's own."""

import hashlib
from pathlib import Path

import numpy as np
import soundfile
from typer.testing import CliRunner

from vctool import cli
from vctool.data.datadir import DataDir
from vctool.experiment import recipe as recipes


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_everything_goes_to_the_work_folder(root: Path, workdir: Path) -> None:
    rng = np.random.default_rng(0)
    for name in [f"{speaker}/{index}" for speaker in ("no", "0010") for index in range(12)]:
        path = workdir / "wavs" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(8000), 16000)
    watched = [root / name for name in ("recipes", "conf", "vctool")]
    before = [digests(folder) for folder in watched], sorted(root.iterdir())
    asked = ["prepare", "from-wavs", "wavs", "--name", "mine", "--nj", "1"]
    said = CliRunner().invoke(cli.app, asked)
    assert said.exit_code == 0, said.output
    assert said.output.startswith("wrote data/mine and recipes/mine.yaml; train with ")
    assert sorted(path.name for path in workdir.iterdir()) == ["data", "recipes", "wavs"]
    assert recipes.load("mine").roles == {"0010": "mine", "no": "mine"}
    assert recipes.load("mine", ["corpus.source=no", "corpus.target=0010"]).exp == Path(
        "exp/mine_no_0010"
    )
    assert before == ([digests(folder) for folder in watched], sorted(root.iterdir()))


def test_of_a_single_voice_the_next_command_is_told_with_its_name(workdir: Path) -> None:
    rng = np.random.default_rng(0)
    for index in range(12):
        path = workdir / "wavs" / "Zoë B" / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(8000), 16000)
    asked = ["prepare", "from-wavs", "wavs", "--name", "single", "--nj", "1"]
    said = CliRunner().invoke(cli.app, asked)
    assert said.exit_code == 0, said.output
    assert "--add-speaker single/Zoë_B, or" in said.output
    assert set(DataDir.read(Path("data/single/train")).speakers) == {"Zoë_B"}
