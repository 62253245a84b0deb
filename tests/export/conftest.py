"""Fixtures of this folder."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.toys.fixtures import save_echo, save_shade, toys

__all__ = ["save_echo", "save_shade", "toys"]


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`host.c`, built against the library in onnxruntime's wheel."""
    import onnxruntime

    folder = tmp_path_factory.mktemp("host")
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):  # the names that linkers look for
        (folder / name).symlink_to(library)
    source = Path(__file__).parents[2] / "vctool" / "export" / "host.c"
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "local/debian.txt: build-essential"
    strict = ["-std=c99", "-O2", "-Wall", "-Wextra", "-pedantic", "-Werror"]
    linked = [f"-L{folder}", "-lonnxruntime", f"-Wl,-rpath,{folder}", "-lpthread", "-lm"]
    made = subprocess.run(
        [compiler, *strict, str(source), "-o", str(folder / "host"), *linked],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return folder / "host"
