"""`vctool data` as it is typed."""

from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from tests.sounds import sine
from vctool import cli
from vctool.data.datadir import DataDir, Utterance
from vctool.errors import DataError


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    soundfile.write(tmp_path / "x.wav", sine(0.5, 200, peak=0.5), 16000)
    made = DataDir(
        tmp_path / "data" / "own" / "train",
        tuple(Utterance(f"ann-{n}", "ann", "speech", tmp_path / "x.wav", 0.5) for n in range(3)),
    )
    made.write()
    return made


def test_a_data_dir_is_shown_and_plotted_where_it_is_asked_for(data: DataDir) -> None:
    said = CliRunner().invoke(cli.app, ["data", "show", str(data.path), "--nj", "1"])
    assert said.exit_code == 0, said.output
    first, *rows, legend, _ = said.output.splitlines()
    assert first == f"{data.path}: 3 utterances, 0.0 min, 1 speaker, speech, 16000 Hz"
    assert rows == [
        "voice         utt  min  duration [s]  level [dB]      F0 [Hz]",
        "ann (speech)    3  0.0   0.5 0.5 0.5    -9 -9 -9  200 200 200",
    ]
    assert legend.startswith("least, median and most of durations")
    assert (data.path / "summary.png").is_file()
    elsewhere = data.path.parent / "x.png"
    CliRunner().invoke(cli.app, ["data", "show", str(data.path), "--plot", str(elsewhere)])
    assert elsewhere.is_file()


def test_manifests_go_out_and_come_back(data: DataDir, tmp_path: Path) -> None:
    out, back = tmp_path / "manifests", tmp_path / "data" / "back" / "train"
    said = CliRunner().invoke(cli.app, ["data", "export-lhotse", str(data.path), str(out)])
    assert said.exit_code == 0, said.output
    files = [str(out / f"own_{what}_train.jsonl.gz") for what in ("recordings", "supervisions")]
    again = ["data", "import-lhotse", *files, str(back)]
    said = CliRunner().invoke(cli.app, again)
    assert (said.exit_code, said.output) == (0, f"wrote {back}: 3 utterances\n")
    assert DataDir.read(back).utterances == DataDir.read(data.path).utterances
    said = CliRunner().invoke(cli.app, again)
    assert isinstance(said.exception, DataError) and "add --force" in str(said.exception)
    (tmp_path / "x.wav").unlink()
    said = CliRunner().invoke(cli.app, [*again, "--force"])
    assert said.exit_code == 1 and "no such file" in said.output
