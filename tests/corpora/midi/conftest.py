"""What tests of rendering need, and skip by name where it is not installed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vctool.corpora.midi import melodies, soundfonts


@pytest.fixture(scope="session")
def fluidsynth(needs: Callable[[str], str]) -> str:
    return needs("fluidsynth")


@pytest.fixture(scope="session")
def small_font(needs: Any) -> Path:
    return soundfonts.find(soundfonts.TIMGM) or needs.lacks("no TimGM6mb, local/debian.txt")


@pytest.fixture(scope="session")
def large_font(needs: Any) -> Path:
    return soundfonts.find(melodies.FONT) or needs.lacks(
        f"no {melodies.FONT.title}, local/debian.txt"
    )


@pytest.fixture
def small_melodies(fluidsynth: str, small_font: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Melodies are played with the small sound font, which more machines have."""
    monkeypatch.setattr(melodies, "FONT", soundfonts.TIMGM)
