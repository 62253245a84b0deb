"""A package of an extra that is missing is told in one line, before any work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vctool import extras
from vctool.acquisition import stems
from vctool.corpora.midi import rendering
from vctool.errors import DataError


@pytest.mark.parametrize(
    ("package", "checked", "extra"),
    [
        ("pretty_midi", rendering.program, "corpora"),
        ("stempeg", stems.require_ffmpeg, "corpora"),
    ],
)
def test_a_missing_package_names_its_extra(
    package: str,
    checked: Callable[[], object],
    extra: str,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(DataError, match=f"^{package}: not installed, .* extra {extra}, or: pip"):
        checked()
    file = root / f"requirements-{extra}.txt"
    assert f"-r {file.name} -c constraints.txt" in extras.remedy(extra)
    assert f"\n{package}==" in file.read_text()


def test_a_package_that_is_there_passes() -> None:
    extras.require("numpy", "corpora", "sound is computed with it")
