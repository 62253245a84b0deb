"""What tests of rendering need, and skip by name where it is not installed."""

import shutil
from pathlib import Path

import pytest

from vctool.corpora.midi import melodies, soundfonts


@pytest.fixture(scope="session")
def fluidsynth() -> str:
    path = shutil.which("fluidsynth")
    if path is None:
        pytest.skip("no fluidsynth on the path: apt-get install fluidsynth")
    return path


@pytest.fixture(scope="session")
def small_font() -> Path:
    path = soundfonts.find(soundfonts.TIMGM)
    if path is None:
        pytest.skip(f"no sound font TimGM6mb: {soundfonts.TIMGM.remedy}")
    return path


@pytest.fixture
def small_melodies(fluidsynth: str, small_font: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Melodies are played with the small sound font, which more machines have."""
    monkeypatch.setattr(melodies, "FONT", soundfonts.TIMGM)
