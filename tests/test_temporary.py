import os
import subprocess
import sys
from pathlib import Path

import pytest

from vctool import audio, temporary
from vctool.data.atomic import write_bytes


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal; from vctool import temporary\n"
        f"path = temporary.beside(pathlib.Path({str(tmp_path)!r}) / 'out.wav')\n"
        "path.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    (left,) = tmp_path.iterdir()
    mine = temporary.beside(tmp_path / "mine")
    assert not left.exists()
    mine.write_text("at work")
    for name in (".notes.tmp", ".vctool-elsewhere-1-0123456789.tmp", "a.tmp"):
        (tmp_path / name).touch()
    temporary.sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    ("long", "length"),
    [("é" * 124 + "a.wav", 253), ("a" * 251 + ".wav", 255), ("𝄞" * 62 + "ab.wav", 254)],
)
def test_a_name_of_the_longest_kind_can_be_written(tmp_path: Path, long: str, length: int) -> None:
    import numpy as np

    assert len(os.fsencode(long)) == length
    audio.write(tmp_path / long, np.zeros(100, "f4"), 8000)
    write_bytes(tmp_path / long.replace(".wav", ".txt"), b"x")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", [b"\xe9t\xe9.wav", b"a\tb.wav", "Zürich.wav".encode()])
def test_names_of_any_bytes_are_written_and_read(tmp_path: Path, name: bytes) -> None:
    import numpy as np

    path = tmp_path / os.fsdecode(name)
    wave = np.linspace(-0.5, 0.5, 2000, dtype="f4")
    audio.write(path, wave, 8000)
    assert np.abs(audio.read(path)[0] - wave).max() < 1e-4
    assert audio.info(path).samples == 2000
