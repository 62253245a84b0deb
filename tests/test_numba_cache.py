"""Where numba keeps what it compiles, when its own folders cannot be written."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from vctool import numba_cache
from vctool.metrics import alignment, harmony, naturalness, speaker, spectral
from vctool.numba_cache import VARIABLE, ensure_writable

NOWHERE = "/proc/nowhere"
"""A folder that nobody can make, not even root."""


@pytest.fixture(autouse=True)
def _sealed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing can be written beside librosa, nor at home."""
    sealed = ModuleSpec("librosa", None, is_package=True)
    sealed.submodule_search_locations = [NOWHERE]
    monkeypatch.setattr(numba_cache, "find_spec", lambda name: sealed)
    monkeypatch.setenv(VARIABLE, "")  # so that what a test sets is undone
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", NOWHERE)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_folder_of_the_user_alone_is_taken_and_kept(tmp_path: Path) -> None:
    ensure_writable()
    folder = Path(os.environ[VARIABLE])
    assert folder == tmp_path / f"vctool-numba-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    os.environ[VARIABLE] = ""
    ensure_writable()
    assert os.environ[VARIABLE] == str(folder)


def test_a_user_without_a_home_gets_no_folder_called_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # no HOME and no account
    ensure_writable()
    assert not (tmp_path / "~").exists()
    assert Path(os.environ[VARIABLE]) == tmp_path / f"vctool-numba-{os.getuid()}"


@pytest.mark.parametrize("kind", ["open to all", "a link", "a file"])
def test_what_others_may_have_laid_there_is_not_trusted(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / f"vctool-numba-{os.getuid()}"
    if kind == "open to all":
        folder.mkdir()
        folder.chmod(0o777)
    elif kind == "a link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "theirs")
    else:
        folder.touch()
    ensure_writable()
    taken = Path(os.environ[VARIABLE])
    assert taken.parent == tmp_path and taken != folder
    assert taken.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("place", ["beside librosa", "at home", "XDG", "named"])
def test_a_folder_that_works_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    if place == "beside librosa":
        monkeypatch.undo()
        monkeypatch.delenv(VARIABLE, raising=False)
    elif place == "at home":
        monkeypatch.setenv("HOME", str(tmp_path))
    elif place == "XDG":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    else:
        monkeypatch.setenv(VARIABLE, NOWHERE)
    ensure_writable()
    assert os.environ.get(VARIABLE, "") == (NOWHERE if place == "named" else "")


class Ensured(Exception):
    """Raised where the folder is seen to."""


@pytest.mark.parametrize(
    ("module", "use"),
    [
        (alignment, lambda: alignment.align(None, None)),
        (harmony, lambda: harmony.chroma(np.ones(8000), 16000)),
        (naturalness, naturalness.OpinionPredictor),
        (speaker, speaker.SpeakerEncoder),
        (spectral, spectral._filterbank),
    ],
)
def test_whatever_imports_librosa_sees_to_it_first(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, use: Callable[[], object]
) -> None:
    def ensure() -> None:
        raise Ensured

    monkeypatch.setattr(module, "ensure_writable", ensure)
    spectral._filterbank.cache_clear()
    with pytest.raises(Ensured):
        use()


PROGRAM = """
from vctool import numba_cache
from vctool.metrics import spectral

def sealed():
    numba_cache._own_folders = lambda: []
    numba_cache.ensure_writable()
    from numba.core import caching  # reads the variable
    for locator in (caching.InTreeCacheLocator, caching.UserWideCacheLocator):
        locator.from_function = classmethod(lambda *_: None)

spectral.ensure_writable = sealed
print(spectral._filterbank().shape)
"""


def test_librosa_can_be_used_in_a_read_only_installation(root: Path, tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"PYTHONPATH": str(root), VARIABLE: "", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout.strip() == "(40, 257)", said.stderr
    assert list(tmp_path.glob("vctool-numba-*"))
